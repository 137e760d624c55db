"""How an answer to a ticket is written as a mail, so that the next one finds its way back. Pure."""

import hashlib
import re
from collections.abc import Iterable, Mapping

from crm_core.kit import secret
from crm_core.kit.text import email_key

PURPOSE = "ticket-mail"
_TAG = re.compile(r"\[#?(T-\d{1,9})\]", re.IGNORECASE)
_PLUS = re.compile(r"\+t(\d{1,9})-([0-9a-f]{16})@", re.IGNORECASE)
_FIELD = re.compile(r"\{\{\s*([a-z_]+)\s*(?:\|([^{}]*))?\}\}")
MAX_PEOPLE = 20


def mark(ticket_id: int) -> str:
    """The signature in a ticket's reply address: nobody else can make one."""
    return hashlib.sha256(secret.signature(PURPOSE, str(ticket_id)).encode()).hexdigest()[:16]


def reply_address(address: str, ticket_id: int) -> str:
    """The mailbox's address with the ticket's signed mark behind a plus sign."""
    local, _, domain = address.partition("@")
    return f"{local}+t{ticket_id}-{mark(ticket_id)}@{domain}"


def marked(addresses: Iterable[str]) -> int | None:
    """The ticket of a reply address among these, if its mark is genuine."""
    for address in addresses:
        found = _PLUS.search(address)
        if found and found[2].lower() == mark(int(found[1])):
            return int(found[1])
    return None


def without_mark(address: str) -> str:
    """The address as it was before a mark was put in."""
    return _PLUS.sub("@", address)


def tag(number: str, subject: str) -> str:
    """The subject of an answer: with the ticket's number, once."""
    return f"Re: {untagged(subject)} [#{number}]"


def untagged(subject: str) -> str:
    """The subject of a new ticket: without a number of another one and without the mark of an answer."""
    return re.sub(r"^(\s*(re|aw)\s*:\s*)+", "", _TAG.sub("", subject), flags=re.IGNORECASE).strip()


def tagged(subject: str) -> str | None:
    """The ticket number that a subject names."""
    found = _TAG.search(subject)
    return found[1].upper() if found else None


def fill(template: str, values: Mapping[str, str]) -> str:
    """The text with ``{{field}}`` and ``{{field|words when it is empty}}`` put in; what is in the values is never read as a field again."""

    def one(found: re.Match[str]) -> str:
        return re.sub(r"\s+", " ", values.get(found[1], "")).strip() or (found[2] or "").strip()

    return _FIELD.sub(one, template)


def fill_lines(template: str, values: Mapping[str, str]) -> str:
    """Like ``fill``, for a whole letter: a line that is left with nothing but punctuation closes up."""
    return re.sub(r" +([,.!?])", r"\1", fill(template, values))


def fields_of(template: str) -> list[str]:
    """Names of the fields in a text."""
    return list(dict.fromkeys(found[1] for found in _FIELD.finditer(template)))


def unread(template: str) -> str:
    """Braces in a text that make no field, as they stand there; "" when there are none."""
    left = re.search(r"\{\{.{0,40}|.{0,40}\}\}", _FIELD.sub("", template))
    return left[0].strip() if left else ""


def people(text: str | Iterable[str]) -> list[str]:
    """The addresses in what somebody typed, each once. Raises ValueError with a sentence for what is no address."""
    parts = re.split(r"[\s,;]+", text) if isinstance(text, str) else list(text)
    found: dict[str, str] = {}
    for part in (one.strip().strip("<>") for one in parts):
        if not part:
            continue
        if not re.match(r"^[^\s@<>,;\"]+@[^\s@<>,;\"]+\.[^\s@<>,;\"]+$", part) and not part.endswith("@localhost"):
            raise ValueError(f"“{part[:80]}” is not an e-mail address.")
        found.setdefault(email_key(part), part)
    if len(found) > MAX_PEOPLE:
        raise ValueError(f"A message can go to at most {MAX_PEOPLE} people.")
    return list(found.values())


def quote(text: str, who: str, when: str) -> str:
    """The last message below an answer, as mail programs show it."""
    lines = [f"> {line}".rstrip() for line in text.strip().split("\n")[:150]]
    return "\n".join([f"On {when}, {who} wrote:", *lines]) if text.strip() else ""


def html_of(body: str, quoted: str) -> str:
    """A plain HTML part: the words, and the earlier ones behind a line."""
    from html import escape

    def block(text: str) -> str:
        return "<br>\n".join(escape(line) for line in text.split("\n"))

    earlier = quoted.split("\n", 1)
    below = "\n".join(re.sub(r"^> ?", "", line) for line in earlier[1].split("\n")) if len(earlier) > 1 else ""
    style = 'style="margin:16px 0 0;padding-left:12px;border-left:2px solid #D1D5DB;color:#4B5563"'
    tail = (
        f'<p style="color:#4B5563;margin:20px 0 0">{escape(earlier[0])}</p><blockquote {style}>{block(below)}</blockquote>'
        if below
        else ""
    )
    return f'<div style="font-family:Helvetica,Arial,sans-serif;font-size:15px;line-height:1.5">{block(body)}{tail}</div>'
