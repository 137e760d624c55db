"""Reading a message as it came over the wire: who, what, which files. Pure, and never surprised: whatever is broken is read as far as it goes."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime

from crm_core.kit.clock import utcnow
from crm_core.kit.text import clean, clip, email_key
from crm_core.services.inbox import html_rules

MAX_FILES = 50
MAX_TEXT = 200_000
_ID = re.compile(r"<[^<>\s]{1,290}>")
_ADDRESS = re.compile(r"^[^\s@<>,;\"]{1,64}@[^\s@<>,;\"]{1,255}$")
_ANGLE = re.compile(r"<([^<>]*)>")
_LOOSE = re.compile(r"(?<![^\s@<>,;\"'])[^\s@<>,;\"']+@[^\s@<>,;\"']+")
_ADDR = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,255}"
_WORDS = r"""[^()<>@,;:\\"\x00-\x08\x0a-\x1f\x7f]*"""
_PLAIN_FROM = re.compile(
    r"""(?:(?:"(?:[^"\\\x00-\x1f\x7f]|\\[^\x00-\x1f\x7f])*"[ \t]*|"""
    + _WORDS
    + r""")(?:\("""
    + _WORDS
    + r"""\)[ \t]*)*<(?P<angle>"""
    + _ADDR
    + r""")>|(?P<bare>"""
    + _ADDR
    + r"""))"""
)
"""The one form of a From that every program reads alike: a quoted string or plain words before ``<address>``, with remarks in brackets between them that
hold plain words only, or a bare address; nothing behind it. Whoever takes a remark for a part of the name reads the same address.
No repetition stands beside another that takes the same letters, so that a hostile header costs no more than its length."""
MAX_FROM = 1000
_CHECKED = "authentication-results"
_NAMED = ("From", "Sender", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To", "References")
KEPT = (
    "auto-submitted", "precedence", "x-auto-response-suppress", "x-autoreply", "x-autorespond", "x-auto-reply", "list-id", "list-unsubscribe", "return-path",
    "x-failed-recipients", "x-rapport", "x-loop", "delivered-to", "authentication-results", "x-original-to", "envelope-to", "content-type",
)  # fmt: skip
"""Headers that say how a message came about, for the rules against loops and for finding the conversation."""


@dataclass(frozen=True)
class FilePart:
    """A file in a message. ``content_id``: the name under which the text shows it."""

    name: str
    media_type: str
    content: bytes
    content_id: str = ""


@dataclass(frozen=True)
class Incoming:
    """A message, read. ``html`` is cleaned; ``headers``: lower-case names of ``KEPT``; ``broken``: what could not be read.

    ``certain``: whether every program reads the same sender out of it. Of any other message it may be said who seems to have sent it, no more.
    """

    message_id: str = ""
    references: tuple[str, ...] = ()
    sender: str = ""
    sender_name: str = ""
    certain: bool = False
    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    subject: str = ""
    sent_at: datetime | None = None
    text: str = ""
    html: str = ""
    files: tuple[FilePart, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    left_out: int = 0
    broken: str = ""

    @property
    def sender_key(self) -> str:
        return email_key(self.sender)[:254]


def read(raw: bytes) -> Incoming:
    """The message. What is too broken to be read at all has ``broken`` set, and as much of its head as there is."""
    try:
        message = message_from_bytes(raw, policy=policy.compat32)
    except Exception as error:  # hostile input: whatever the parser trips over
        return Incoming(broken=f"The message could not be taken apart ({type(error).__name__}).")
    try:
        head = _head(message)
    except Exception as error:
        return Incoming(broken=f"The head of the message could not be read ({type(error).__name__}).")
    if not head.sender:
        head = _with(head, broken="The message does not say who sent it.")
    try:
        return _with(head, **_body(message))
    except Exception as error:
        return _with(head, broken=f"The text of the message could not be read ({type(error).__name__}).")


def calendar_of(raw: bytes) -> bytes:
    """The calendar file of a message that its head announces; empty when there is none."""
    if b"text/calendar" not in raw.lower():
        return b""
    try:
        for part in message_from_bytes(raw, policy=policy.compat32).walk():
            if part.get_content_type() == "text/calendar":
                body = part.get_payload(decode=True)
                return body[:MAX_TEXT] if isinstance(body, bytes) else b""
    except Exception:  # hostile input: whatever the parser trips over
        return b""
    return b""


def key_of(found: Incoming, raw: bytes) -> str:
    """What makes it the same message however often and wherever it is fetched."""
    if found.message_id:
        stamp = found.sent_at.isoformat() if found.sent_at else hashlib.sha256(raw).hexdigest()
        return hashlib.sha256(f"{found.message_id}|{found.sender_key}|{stamp}".encode()).hexdigest()
    return hashlib.sha256(raw).hexdigest()


def _with(found: Incoming, **values: object) -> Incoming:
    return Incoming(**{**found.__dict__, **values})  # type: ignore[arg-type]


# --- head -------------------------------------------------------------------------------------------------------------------


def _head(message: Message) -> Incoming:
    values = {name: _header(message, name) for name in _NAMED}
    name, address, certain = _sender(message, values)
    ids = _ID.findall(values["Message-ID"])
    above = [*_ID.findall(values["References"]), *_ID.findall(values["In-Reply-To"])]
    kept = {name: clip(_header(message, name), 1000) for name in KEPT if name in message}
    if _CHECKED in kept:  # the topmost is what our own mail server wrote; anybody before it may have written the others
        kept[_CHECKED] = clip(_line(_words(_raw(message, _CHECKED)[0])), 4000)
    return Incoming(
        message_id=ids[0][:300] if ids else "",
        references=tuple(dict.fromkeys(above[-100:])),
        sender=address,
        sender_name=clip(name, 200),
        certain=certain,
        to=_only(values["To"]),
        cc=_only(values["Cc"]),
        subject=clip(_line(values["Subject"]), 500),
        sent_at=_instant(values["Date"]),
        headers=kept,
    )


def _sender(message: Message, values: dict[str, str]) -> tuple[str, str, bool]:
    """Name and address of who sent it, and whether that is certain: one From in the one plain form, as it was written and before any word is
    decoded, so that nothing in a name, a quotation or a remark can pass for the address that the mail servers on the way have checked."""
    heads = _raw(message, "From")
    head = _line(_letters(heads[0]))[:20_000] if heads else ""
    plain = _plain_address(heads[0]) if len(heads) == 1 else ""
    angles = [found.strip().lower() for found in _ANGLE.findall(head)]
    address = plain or (angles[0] if len(angles) == 1 else "")
    if _ADDRESS.match(address):
        names = [name for name, known in _addresses(head) if known == address]
        return _line(_words(names[0])) if names else "", address, bool(plain)
    people = _addresses(head) or _addresses(values["From"]) or _addresses(values["Sender"])
    return (*people[0], False) if people else ("", "", False)


def _plain_address(raw: str) -> str:
    """The address of a From in the plain form; empty for every other one. An encoded word is text before the address and nothing within it."""
    if len(raw) > MAX_FROM:
        return ""
    found = _PLAIN_FROM.fullmatch(re.sub(r"\r?\n(?=[ \t])", "", raw).strip(" \t\r\n"))
    address = (found["angle"] or found["bare"]).lower() if found else ""
    return "" if "=?" in address else address


def _raw(message: Message, name: str) -> list[str]:
    return [str(value) for key, value in message.raw_items() if key.lower() == name.lower()]


def _header(message: Message, name: str) -> str:
    """All values of a header as text, in one line."""
    found = _raw(message, name)
    whole = _line(", ".join(_words(value) for value in found[:20]))
    return whole[-20_000:] if name == "References" else whole[:20_000]  # of a long conversation the end counts


def _words(value: str) -> str:
    """A header in letters: encoded words decoded."""
    value = _letters(value)
    if "=?" not in value:
        return value
    value = " ".join(value[:20_000].splitlines())
    end = value.rfind("?=") + 2
    if end < 2:
        return value
    try:  # only up to the last end of a word: behind it the decoder would look for one from each beginning
        parts = decode_header(value[:end])
    except Exception:
        return value
    return "".join(_text(part, charset or "ascii") if isinstance(part, bytes) else part for part, charset in parts) + value[end:]


def _letters(value: str) -> str:
    """Bytes that should not be in a header, read as well as may be."""
    return _text(value.encode("utf-8", "surrogateescape"), "utf-8") if any("\ud800" <= c <= "\udfff" for c in value) else value


def _line(text: str) -> str:
    return re.sub(r"\s+", " ", clean(text.replace("\n", " ").replace("\t", " "))).strip()


def _addresses(value: str) -> list[tuple[str, str]]:
    try:
        pairs = getaddresses([value[:20_000]])
    except Exception:
        pairs = []
    found = [(_line(name), address.strip().lower()) for name, address in pairs if _ADDRESS.match(address.strip())]
    if found or "@" not in value:
        return found
    return [("", address.lower()) for address in _LOOSE.findall(value[:20_000]) if _ADDRESS.match(address)]


def _only(value: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(address for _, address in _addresses(value)))[:50]


def _instant(value: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(value)
    except Exception:
        return None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    try:
        found = found.astimezone(UTC)
    except (OverflowError, ValueError):
        return None
    return found if datetime(1990, 1, 1, tzinfo=UTC) < found < utcnow() + timedelta(days=2) else None


# --- body -------------------------------------------------------------------------------------------------------------------


def _body(message: Message) -> dict[str, object]:
    plain: list[str] = []
    rich: list[str] = []
    files: list[FilePart] = []
    left_out = 0
    for part, alternative in _leaves(message):
        kind = part.get_content_type()
        name = _file_name(part)
        if kind in ("text/plain", "text/html") and not name and part.get_content_disposition() != "attachment":
            target = plain if kind == "text/plain" else rich
            text = _text(_payload(part), _charset(part))
            if not (alternative and target):
                target.append(text)
        elif len(files) < MAX_FILES:
            made = _file(part, name, len(files))
            files += [made] if made is not None else []
        else:
            left_out += 1
    html = html_rules.clean("\n".join(rich)) if rich else ""
    text = "\n\n".join(one.strip() for one in plain if one.strip())
    if not text and rich:
        text = html_rules.as_text("\n".join(rich))
    text = text or ("This message is encrypted. What came is among the files." if _encrypted(message) else "")
    return {
        "text": clip(clean(_newlines(text)), MAX_TEXT),
        "html": html[: 2 * MAX_TEXT],
        "files": tuple(files),
        "left_out": left_out,
    }


def _newlines(text: str) -> str:
    return re.sub(r"\n{4,}", "\n\n\n", text.replace("\r\n", "\n").replace("\r", "\n"))


def _leaves(message: Message, *, alternative: bool = False, depth: int = 0) -> Iterator[tuple[Message, bool]]:
    """Parts that hold something, without going into messages that were forwarded as a file."""
    inside = message.get_payload()
    whole = message.get_content_type() == "message/rfc822"
    if not message.is_multipart() or whole or depth > 20 or not isinstance(inside, list):
        yield message, alternative
        return
    kind = message.get_content_type() == "multipart/alternative"
    for part in inside[:500]:
        if isinstance(part, Message):
            yield from _leaves(part, alternative=kind, depth=depth + 1)


def _payload(part: Message) -> bytes:
    if part.is_multipart():
        inside = part.get_payload()
        return b"\n".join(_bytes(one) for one in inside[:20]) if isinstance(inside, list) else b""
    found = part.get_payload(decode=True)
    return found if isinstance(found, bytes) else str(found or "").encode("utf-8", "replace")


def _bytes(message: object) -> bytes:
    try:
        return message.as_bytes()  # type: ignore[attr-defined, no-any-return]
    except Exception:
        return str(message).encode("utf-8", "replace")


def _charset(part: Message) -> str:
    try:
        return str(part.get_content_charset() or "utf-8")
    except Exception:
        return "utf-8"


def _text(content: bytes, charset: str) -> str:
    """Letters of bytes: as declared, else as UTF-8, else as Windows reads western Europe."""
    for name in (charset, "utf-8", "cp1252"):
        try:
            return content.decode(name)
        except (LookupError, UnicodeError, ValueError):
            continue
    return content.decode("utf-8", "replace")


def _file_name(part: Message) -> str:
    try:
        name = part.get_filename() or ""
    except Exception:
        name = ""
    return clip(_line(_words(str(name))), 200)


def _file(part: Message, name: str, place: int) -> FilePart | None:
    content = _payload(part)
    if not content:
        return None
    kind = part.get_content_type()
    endings = {
        "message/rfc822": "message.eml",
        "text/calendar": "invitation.ics",
        "text/html": "text.html",
        "text/plain": "text.txt",
    }
    fallback = endings.get(kind) or f"file-{place + 1}.{_ending(kind)}"
    return FilePart(name or fallback, kind, content, _header(part, "Content-ID").strip("<> ")[:200])


def _ending(kind: str) -> str:
    last = kind.rsplit("/", 1)[-1]
    return last if last in ("png", "jpeg", "gif", "webp", "pdf", "csv") else "bin"


def _encrypted(message: Message) -> bool:
    return message.get_content_type() in ("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")


def plain_subject(subject: str) -> str:
    """The subject without the marks of answers, forwards and tickets, for comparison."""
    marks = r"^\s*((re|aw|antw|sv|vs|fwd?|wg|tr|rif|res|r|odp|ynt)\s*(\[\d+\])?\s*:|\[#?T-\d+\])\s*"
    before = None
    while before != subject:
        before, subject = subject, re.sub(marks, "", subject, flags=re.IGNORECASE)
    return subject.strip().casefold()


def is_answer(subject: str) -> bool:
    """True for a subject that begins like an answer."""
    return bool(re.match(r"^\s*(re|aw|antw|sv|vs|rif|res|odp|ynt)\s*(\[\d+\])?\s*:", subject, flags=re.IGNORECASE))


def known_addresses(found: Incoming) -> Sequence[str]:
    """Every address that the message went to, as far as its head tells."""
    more = [found.headers.get(name, "") for name in ("delivered-to", "x-original-to", "envelope-to")]
    return list(dict.fromkeys([*found.to, *found.cc, *(address for one in more for _, address in _addresses(one))]))
