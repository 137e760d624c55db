"""Mail that another server sends to a mailbox's web address: the raw message, or the form of a mail provider."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP

from sqlmodel import Session, select

from crm_core.errors import Invalid, NotFound, NotPermitted
from crm_core.kit import sealed
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clean
from crm_core.models import Mailbox
from crm_core.services.inbox import intake, mailboxes
from crm_core.services.inbox.intake import Taken

OLDEST_SECONDS = 900
_RAW_FIELDS = ("body-mime", "email", "message", "raw", "RawEmail", "mime")
"""Form fields in which providers put the whole message (Mailgun, SendGrid and others)."""


@dataclass(frozen=True)
class Post:
    """What came over the wire. ``body`` is it as it came, for the signature; ``fields`` and ``files`` when it was a form."""

    body: bytes = b""
    signature: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[tuple[str, str, str, bytes]] = ()


def take(session: Session, key: str, post: Post) -> Taken:
    """Take a message in. Raises NotFound for a wrong key, NotPermitted for a wrong signature, Invalid when there is no message in it."""
    digest = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
    box = session.exec(select(Mailbox).where(Mailbox.key_sha256 == digest)).first()
    if box is None or not box.is_active:
        raise NotFound("This key opens no mailbox.")
    _check_signature(box, post)
    raw = _message(post)
    if len(raw) > intake.MAX_BYTES:
        raise Invalid(f"A message can have at most {intake.MAX_BYTES >> 20} MB.")
    taken = intake.take(session, box, raw)
    box.last_pull_at = box.last_good_at = utcnow()
    session.add(box)
    return taken


def _check_signature(box: Mailbox, post: Post) -> None:
    """Where a signing key is set, the body must be signed with it: in the header, or in the three fields that Mailgun sends."""
    if not box.signing_sealed:
        return
    key = sealed.unseal(mailboxes.SIGN, box.signing_sealed)
    if key is None:
        raise NotPermitted("The signing key of this mailbox can't be read. Set it again.")
    stamp, token, theirs = (post.fields.get(name, "") for name in ("timestamp", "token", "signature"))
    if theirs and stamp.isdigit():
        fresh = abs(utcnow().timestamp() - int(stamp)) <= OLDEST_SECONDS
        good = fresh and hmac.compare_digest(_hmac(key, f"{stamp}{token}".encode()), theirs.lower())
    else:
        given = post.signature.strip().removeprefix("sha256=").lower()
        good = hmac.compare_digest(_hmac(key, post.body), given) if given.isascii() else False
    if not good:
        raise NotPermitted("The signature is missing or wrong.")


def _hmac(key: str, content: bytes) -> str:
    return hmac.new(key.encode(), content, hashlib.sha256).hexdigest()


def _message(post: Post) -> bytes:
    if not post.fields and not post.files:
        if not post.body.strip():
            raise Invalid("There is no message in this request.")
        return post.body
    for name in _RAW_FIELDS:
        if post.fields.get(name, "").strip():
            return post.fields[name].encode("utf-8", "surrogateescape")
    for name, file_name, kind, content in post.files:
        if name in _RAW_FIELDS or kind == "message/rfc822" or file_name.lower().endswith(".eml"):
            return content
    return _assembled(post)


def _assembled(post: Post) -> bytes:
    """A message put together from the fields of providers that take it apart themselves."""
    given = {name.lower(): value for name, value in post.fields.items()}

    def first(*names: str) -> str:
        return next((clean(given[name]).replace("\n", " ") for name in names if given.get(name, "").strip()), "")

    sender = first("from", "sender")
    text = next((given[name] for name in ("body-plain", "text", "plain", "textbody") if given.get(name)), "")
    html = next((given[name] for name in ("body-html", "html", "htmlbody") if given.get(name)), "")
    if not sender or not (text or html or first("subject")):
        raise Invalid("There is no message in this form. Send it raw, or as multipart with the fields of a mail provider.")
    head = {
        "From": sender, "To": first("to", "recipient"), "Cc": first("cc"), "Subject": first("subject"), "Date": first("date"),
        "Message-ID": first("message-id"), "In-Reply-To": first("in-reply-to"), "References": first("references"),
        "Auto-Submitted": first("auto-submitted"), "Precedence": first("precedence"),
    }  # fmt: skip
    lines = [f"{name}: {value}" for name, value in [*_told(given.get("headers", "")), *head.items()] if value]
    made = EmailMessage(policy=SMTP)
    made.set_content(text or " ")
    if html:
        made.add_alternative(html, subtype="html")
    for _, name, kind, content in post.files:
        main, _, sub = kind.partition("/")
        made.add_attachment(
            content,
            maintype=main if sub and main not in ("multipart", "message") else "application",
            subtype=sub if main not in ("multipart", "message") and sub else "octet-stream",
            filename=name or "file",
        )
    seen: set[str] = set()
    kept = [line for line in reversed(lines) if not (line.split(":")[0].lower() in seen or seen.add(line.split(":")[0].lower()))]  # type: ignore[func-returns-value]
    return "\r\n".join(reversed(kept)).encode("utf-8", "surrogateescape") + b"\r\n" + made.as_bytes()


def _told(headers: str) -> list[tuple[str, str]]:
    """The few headers that matter, out of the block that SendGrid sends along."""
    wanted = (
        "message-id",
        "in-reply-to",
        "references",
        "date",
        "auto-submitted",
        "precedence",
        "return-path",
        "x-auto-response-suppress",
        "list-id",
    )
    found = []
    for line in headers.replace("\r\n", "\n").replace("\n ", " ").replace("\n\t", " ").split("\n"):
        name, colon, value = line.partition(":")
        if colon and name.strip().lower() in wanted:
            found.append((name.strip(), clean(value)))
    return found
