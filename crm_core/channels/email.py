"""E-mail out of the house: by SMTP when a server is set, otherwise as ``.eml`` files in the outbox folder.

The last step of a hand-over is announced: ``before_handover`` is called when the receiving server has everything but the closing dot. Up
to there nothing was delivered, whatever dies; after it the message counts as handed over. Whoever keeps books writes that down there.
A folder knows a message by its key, a mail server does not: so a file is written before it is announced, and a death costs nothing at all.
"""

import hashlib
import re
import smtplib
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from crm_core.errors import Unavailable
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clean
from crm_core.settings import settings

TIMEOUT_SECONDS = 30
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_BAD_ADDRESS = re.compile(r"^5\.1\.[0-6]$")


class MailError(Unavailable):
    """A message that did not go out. ``permanent``: trying again can't help; ``address_refused``: the address is the reason;
    ``unknown``: it may have arrived; ``whole_server``: no message at all goes out right now."""

    code = "mail"

    def __init__(
        self,
        message: str,
        *,
        permanent: bool = False,
        address_refused: bool = False,
        unknown: bool = False,
        whole_server: bool = False,
    ) -> None:
        super().__init__(message, permanent=permanent)
        self.address_refused = address_refused
        self.unknown = unknown
        self.whole_server = whole_server


@dataclass(frozen=True)
class Enclosure:
    """A file that goes along."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True)
class Letter:
    """One message to one address. ``headers`` come on top of the usual ones or, for From, To, Reply-To and Message-ID, in their place: the same message
    may go to several people, each of whom sees all of them."""

    to: str
    subject: str
    text: str
    html: str = ""
    name: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    enclosures: Sequence[Enclosure] = ()


@dataclass(frozen=True)
class Receipt:
    """What is known of a message that went out; ``file`` is its path below the outbox folder when no server is set."""

    message_id: str
    file: str = ""


class Transport(Protocol):
    """A way out that is open."""

    def send(self, letter: Letter, *, idempotency_key: str, before_handover: Callable[[], None] = ...) -> Receipt: ...


def configured() -> bool:
    """True when mail leaves the house, false when it only lands in the outbox folder."""
    return bool(_smtp_url())


def where() -> str:
    """Where mail goes, in words for administrators (without the password)."""
    if configured():
        parts = urlsplit(_smtp_url())
        return f"{parts.hostname}:{parts.port or _default_port(parts.scheme)}"
    return str(outbox_folder())


def outbox_folder() -> Path:
    """Folder of the ``.eml`` files."""
    return settings().data_dir / "outbox"


def send(letter: Letter, *, idempotency_key: str) -> Receipt:
    """Send one message at once. Jobs that send many keep a ``transport()`` open instead."""
    with transport() as way:
        return way.send(letter, idempotency_key=idempotency_key)


@contextmanager
def transport() -> Iterator[Transport]:
    """An open way out; raises MailError (``whole_server``) when there is none."""
    if not configured():
        yield _Files(outbox_folder())
        return
    server = _connect()
    try:
        yield _Smtp(server)
    finally:
        with suppress(smtplib.SMTPException, OSError):
            server.quit()


def message_id_of(idempotency_key: str) -> str:
    """The Message-ID of a key: the same message twice can be recognised by whoever receives it."""
    return f"<{_digest(idempotency_key)[:40]}@{_sender().domain or 'localhost'}>"


def compose(letter: Letter, idempotency_key: str) -> EmailMessage:
    """The message as it goes over the wire."""
    found = EmailMessage(policy=SMTP_POLICY)
    given = {key.lower() for key in letter.headers}
    try:
        usual: dict[str, Any] = {
            "From": _sender(), "To": _address(letter.name, letter.to), "Subject": _line(letter.subject), "Date": format_datetime(utcnow()),
            "Message-ID": message_id_of(idempotency_key),
        }  # fmt: skip
        if settings().mail_reply_to:
            usual["Reply-To"] = _parsed(settings().mail_reply_to)
        for key, value in usual.items():
            if key.lower() not in given:
                found[key] = value
        for key, value in letter.headers.items():
            found[key] = _line(value)
        found.set_content(letter.text or " ", cte="quoted-printable")
        if letter.html:
            found.add_alternative(letter.html, subtype="html", cte="quoted-printable")
        for one in letter.enclosures:
            if one.media_type.startswith("text/calendar"):
                _add_invitation(found, one)
                continue
            main, _, sub = one.media_type.partition("/")
            found.add_attachment(one.content, maintype=main or "application", subtype=sub or "octet-stream", filename=one.name)
    except (ValueError, IndexError, UnicodeError) as error:
        raise MailError(f"This message can't be written as an e-mail: {error}.", permanent=True) from error
    return found


def _add_invitation(found: EmailMessage, one: Enclosure) -> None:
    """An invitation stands in the message twice: as another form of its text, which calendars answer, and as a file for all other programs."""
    method = one.media_type.partition("method=")[2] or "PUBLISH"
    text = one.content.decode()
    found.add_alternative(text, subtype="calendar", cte="base64", params={"method": method})
    found.add_attachment(
        one.content, maintype="text", subtype="calendar", cte="base64", filename=one.name, params={"method": method}
    )


def sender_address() -> str:
    """The bare address under which mail goes out; empty when none is set."""
    return parseaddr(settings().mail_from)[1].strip().lower() if settings().mail_from else ""


def written(name: str, address: str) -> str:
    """An address with its name, as a header has it."""
    return str(_address(name, address))


def _line(text: str) -> str:
    return re.sub(r"\s+", " ", clean(text))


def _address(name: str, address: str) -> Address:
    local, _, domain = address.strip().rpartition("@")
    if not local or not domain or not local.isascii():
        raise MailError(f"{address} is not an e-mail address that can be written to.", permanent=True, address_refused=True)
    try:
        plain = domain if domain.isascii() else domain.encode("idna").decode("ascii")
        return Address(_line(name), local, plain)
    except (ValueError, UnicodeError, IndexError) as error:
        raise MailError(
            f"{address} is not an e-mail address that can be written to.", permanent=True, address_refused=True
        ) from error


def _parsed(text: str) -> Address:
    name, address = parseaddr(text)
    return _address(name, address)


def _sender() -> Address:
    if not settings().mail_from:
        if configured():
            raise MailError(
                "The sender is not set. Set RAPPORT_MAIL_FROM to an address of yours.", permanent=True, whole_server=True
            )
        return Address("Rapport", "rapport", "localhost")
    return _parsed(settings().mail_from)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _nothing() -> None:
    """Nobody keeps books."""


# --- files ------------------------------------------------------------------------------------------------------------------


class _Files:
    """The outbox folder: the same key is the same file, so that a message written twice is still one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def send(self, letter: Letter, *, idempotency_key: str, before_handover: Callable[[], None] = _nothing) -> Receipt:
        name = _digest(idempotency_key)
        path = self.folder / name[:2] / f"{name[:40]}.eml"
        found = compose(letter, idempotency_key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            part.write_bytes(found.as_bytes())
        except OSError as error:
            raise MailError(f"The outbox folder can't be written to ({error.strerror or error}).", whole_server=True) from error
        part.replace(path)  # first: who dies in between writes the same file again, and no death loses a message
        before_handover()
        return Receipt(str(found["Message-ID"]), path.relative_to(self.folder).as_posix())


# --- SMTP -------------------------------------------------------------------------------------------------------------------


class _Smtp:
    """A connection to a mail server, one message after the other."""

    def __init__(self, server: smtplib.SMTP) -> None:
        self.server = server

    def send(self, letter: Letter, *, idempotency_key: str, before_handover: Callable[[], None] = _nothing) -> Receipt:
        found = compose(letter, idempotency_key)
        recipient = _address("", letter.to).addr_spec
        try:
            self._envelope(_sender().addr_spec, recipient)
            self.server.send(_on_the_wire(found))
        except smtplib.SMTPException as error:
            raise _gone(error) from error
        except OSError as error:
            raise MailError("The mail server broke the connection off.", whole_server=True) from error
        try:
            before_handover()
        except BaseException:
            self.server.close()  # without the dot nothing was delivered; a polite QUIT would only be read as more of the text
            raise
        return self._close(str(found["Message-ID"]))

    def _envelope(self, sender: str, recipient: str) -> None:
        for step in (lambda: self.server.mail(sender), lambda: self.server.rcpt(recipient), lambda: self.server.docmd("DATA")):
            code, words = step()
            if code not in (250, 251, 252, 354):
                self.server.rset()
                raise _refused(code, words)

    def _close(self, message_id: str) -> Receipt:
        try:
            self.server.send(b".\r\n")
            code, words = self.server.getreply()
        except (smtplib.SMTPException, OSError) as error:
            raise MailError("The mail server took the message but did not confirm it.", unknown=True, whole_server=True) from error
        if code != 250:
            raise _refused(code, words)
        return Receipt(message_id)


def _on_the_wire(message: EmailMessage) -> bytes:
    body = message.as_bytes()
    if not body.endswith(b"\r\n"):
        body += b"\r\n"
    return re.sub(rb"(?m)^\.", b"..", body)


def _refused(code: int, words: bytes) -> MailError:
    text = words.decode("utf-8", "replace").replace("\n", " ")
    enhanced = text.split(" ", 1)[0]
    bad = bool(_BAD_ADDRESS.match(enhanced)) or (code in (550, 551, 553) and not enhanced.startswith("5."))
    closing = code == 421
    return MailError(
        f"The mail server answered {code} {clean(text)[:300]}",
        permanent=500 <= code < 600,
        address_refused=bad,
        whole_server=closing,
    )


def _gone(error: smtplib.SMTPException) -> MailError:
    if isinstance(error, smtplib.SMTPResponseException):
        words = error.smtp_error if isinstance(error.smtp_error, bytes) else str(error.smtp_error).encode()
        return _refused(error.smtp_code, words)
    return MailError("The mail server broke the connection off.", whole_server=True)


def _smtp_url() -> str:
    found = settings().smtp_url
    return found.get_secret_value().strip() if found else ""


def _default_port(scheme: str) -> int:
    return 465 if scheme == "smtps" else 587


def _connect() -> smtplib.SMTP:
    parts = urlsplit(_smtp_url())
    host = parts.hostname or ""
    if parts.scheme not in ("smtp", "smtps") or not host:
        raise MailError("RAPPORT_SMTP_URL must look like smtp://user:password@host:587.", permanent=True, whole_server=True)
    try:
        port = parts.port or _default_port(parts.scheme)
        if parts.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context())
        else:
            server = smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS)
            _start_tls(server, host, insecure=parse_qs(parts.query).get("tls") == ["never"])
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
    except smtplib.SMTPAuthenticationError as error:
        raise MailError("The mail server refused the user name or the password.", permanent=True, whole_server=True) from error
    except (smtplib.SMTPException, OSError, ValueError) as error:
        raise MailError(f"The mail server {host} can't be reached ({_short(error)}).", whole_server=True) from error
    return server


def _start_tls(server: smtplib.SMTP, host: str, *, insecure: bool) -> None:
    """TLS before anything is said; only a server on this machine may do without."""
    server.ehlo_or_helo_if_needed()
    if insecure or (host in _LOOPBACK and not server.has_extn("starttls")):
        return
    if not server.has_extn("starttls"):
        raise MailError(
            f"The mail server {host} offers no encryption. Add ?tls=never to RAPPORT_SMTP_URL to send anyway.",
            permanent=True,
            whole_server=True,
        )
    server.starttls(context=ssl.create_default_context())
    server.ehlo()


def _short(error: Exception) -> str:
    return clean(str(getattr(error, "strerror", None) or error) or type(error).__name__)[:200]
