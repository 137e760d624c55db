"""The small language of campaign letters, and what is wrong with one. Pure.

``{{first_name}}`` puts a field in, ``{{company|your company}}`` names what stands there when the field is empty,
``{{#if city}}…{{/if}}`` shows a part only to those who have the field. ``{{#only 12 Loyal}}`` … ``{{/only}}`` on lines of their own shows
what stands between to members of the segment 12 alone, ``{{#except 12 Loyal}}`` … ``{{/except}}`` to everybody else; the words behind the
number are for people. ``[words](https://…)`` is a link, ``**bold**`` is bold, a line
starting with ``- `` is a point of a list, ``# `` a heading, an empty line begins a paragraph. Nothing else is code: there is nothing
to escape from.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import urlsplit

FIELDS: dict[str, str] = {
    "first_name": "First name",
    "last_name": "Last name",
    "name": "Full name",
    "salutation": "Salutation",
    "job_title": "Job title",
    "company": "Company",
    "city": "City",
    "country": "Country",
    "owner": "Their contact person here",
    "workspace": "Name of this workspace",
}
"""Fields that every letter may use; custom fields come on top under their keys."""

COUPON = "coupon"
"""The field that shows each reader a code of the campaign's promotion."""

_FIELD = re.compile(r"\{\{\s*([a-z_][a-z0-9_]*)\s*(?:\|([^{}]*))?\}\}")
_IF = re.compile(r"\{\{#if\s+([a-z_][a-z0-9_]*)\s*\}\}(.*?)\{\{/if\}\}", re.DOTALL)
_ANY = re.compile(r"\{\{.*?\}\}|\{\{|\}\}", re.DOTALL)
_PART = re.compile(
    r"^\{\{#(only|except) +(\d{1,9}(?:, ?\d{1,9})*)(?: [^{}\n]*)?\}\}[ \t]*\n(.*?)^\{\{/\1\}\}[ \t]*(?:\n|\Z)",
    re.DOTALL | re.MULTILINE,
)
_LINK = re.compile(r"\[([^\[\]\n]+)\]\(([^()\s]+)\)")
_BARE = re.compile(r"(?<![\w(\"'=/])(https?://[^\s<>()\[\]\"']+[\w/#=&-])")
_SPAM = ("100% free", "act now", "click here", "!!!", "winner", "$$$", "risk-free", "urgent")
_EXAMPLES = ("example.com", "www.example.com")
"""Where the links of the letter lead that a new campaign begins with."""
NO_LINK = "There is no link, so clicks can't tell whether it was read."
MAX_SUBJECT = 150
MAX_BODY = 50_000
MAX_SEGMENTS = 12


@dataclass(frozen=True)
class Flaw:
    """Something about a letter: ``stops`` keeps it from being sent, the others are advice."""

    words: str
    stops: bool = False


@dataclass(frozen=True)
class Part:
    """A stretch of a letter. ``shown``: "all", or "only" / "except" for who is in one of ``segments``."""

    text: str
    shown: str = "all"
    segments: tuple[int, ...] = ()

    def is_for(self, inside: Collection[int]) -> bool:
        """Whether somebody reads it who is in these segments."""
        return self.shown == "all" or (self.shown == "only") == bool(set(self.segments) & set(inside))


def parts(body: str) -> list[Part]:
    """The stretches of a letter in order; one alone for a letter that is the same for everybody."""
    found, last = [], 0
    for match in _PART.finditer(body):
        found += _plain_part(body[last : match.start()])
        segments = tuple(dict.fromkeys(int(one) for one in match[2].split(",")))
        found.append(Part(match[3].strip("\n"), match[1], segments))
        last = match.end()
    return [*found, *_plain_part(body[last:])] if found else [Part(body)]


def _plain_part(text: str) -> list[Part]:
    return [Part(text.strip("\n"))] if text.strip() else []


def joined(given: Sequence[Part], names: Mapping[int, str]) -> str:
    """The letter that consists of these parts. ``names``: what segments are called, for whoever reads the text."""
    if len(given) == 1 and given[0].shown == "all":
        return given[0].text
    return "\n\n".join(_fenced(one, names) for one in given)


def _fenced(one: Part, names: Mapping[int, str]) -> str:
    if one.shown == "all":
        return one.text.strip("\n")
    words = re.sub(r"[{}\s]+", " ", ", ".join(names.get(key, "") for key in one.segments)).strip()
    head = f"{{{{#{one.shown} {','.join(map(str, one.segments)) or '0'} {words}".rstrip()
    return f"{head}}}}}\n{one.text.strip(chr(10))}\n{{{{/{one.shown}}}}}"


def segments_in(*bodies: str) -> list[int]:
    """The segments that letters ask for, in order, each once."""
    return list(dict.fromkeys(key for body in bodies for one in parts(body) for key in one.segments if key))


def shown(body: str, inside: Collection[int]) -> str:
    """The letter as somebody reads it who is in these segments. Before fields are put in: what people are called never opens a part."""
    found = parts(body)
    if len(found) == 1 and found[0].shown == "all":
        return body
    return "\n\n".join(one.text for one in found if one.is_for(inside) and one.text.strip())


def fill(template: str, values: Mapping[str, str]) -> str:
    """The text with this person's fields put in. Values are data: braces and brackets in them stay letters."""
    shown = _IF.sub(lambda match: match[2] if values.get(match[1], "").strip() else "", template)

    def one(match: re.Match[str]) -> str:
        value = values.get(match[1], "").strip()
        return _plain(value) if value else (match[2] or "").strip()

    return _FIELD.sub(one, shown)


def _plain(value: str) -> str:
    """A value that can't be read as markup of ours: brackets would otherwise make a link of what a person typed as their name."""
    return re.sub(r"\s+", " ", value).replace("[", "(").replace("]", ")").replace("**", "")


def used_fields(*templates: str) -> list[str]:
    """Names of the fields that templates use, in order, each once."""
    found = [match[1] for text in templates for pattern in (_FIELD, _IF) for match in pattern.finditer(text)]
    return list(dict.fromkeys(found))


def shows_coupon(subject: str, body: str, inside: Collection[int] | None = None) -> bool:
    """Whether a letter has a place for a discount code: as somebody reads it who is in these segments, or, without them, for anybody at all."""
    read = body if inside is None else shown(body, inside)
    return bool(read.strip()) and COUPON in used_fields(subject, read)


def without_fallback(*templates: str) -> list[str]:
    """Fields that leave a hole when they are empty: used outside an ``if`` of their own and without words to fall back on."""
    found = []
    for text in templates:
        guarded = _IF.sub(lambda match: _without(match[2], match[1]), text)
        found += [match[1] for match in _FIELD.finditer(guarded) if match[2] is None or not match[2].strip()]
    return list(dict.fromkeys(found))


def _without(text: str, key: str) -> str:
    return _FIELD.sub(lambda match: "" if match[1] == key else match[0], text)


def links(body: str) -> list[str]:
    """Web addresses that a body leads to, in order, each once."""
    found = [match[2] for match in _LINK.finditer(body)]
    rest = _LINK.sub(" ", body)
    return list(dict.fromkeys([*found, *(match[1] for match in _BARE.finditer(rest))]))


def is_web_address(url: str) -> bool:
    """True for what a link may lead to: http or https with a host, without a name and password in it."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return (
        parts.scheme in ("http", "https") and ("." in host or host == "localhost") and "@" not in parts.netloc and len(url) <= 1_000
    )


def as_text(body: str, link: Callable[[str], str]) -> str:
    """The plain-text part: links as words followed by their address."""
    done = _LINK.sub(lambda match: f"{match[1]}: {link(match[2])}", _shield_bare(body, link))
    return re.sub(r"\*\*(.+?)\*\*", r"\1", re.sub(r"(?m)^#{1,3} ", "", done))


def _shield_bare(body: str, link: Callable[[str], str]) -> str:
    parts, last = [], 0
    for match in _LINK.finditer(body):
        parts += [_BARE.sub(lambda found: link(found[1]), body[last : match.start()]), match[0]]
        last = match.end()
    return "".join([*parts, _BARE.sub(lambda found: link(found[1]), body[last:])])


def as_html(body: str, link: Callable[[str], str]) -> str:
    """The HTML part: paragraphs, lists, headings, bold, links. Everything else is escaped."""
    blocks = [block for block in re.split(r"\n\s*\n", body.replace("\r\n", "\n").strip()) if block.strip()]
    return "\n".join(_block(block, link) for block in blocks)


def _block(block: str, link: Callable[[str], str]) -> str:
    lines = block.split("\n")
    if all(line.startswith("- ") for line in lines):
        items = "".join(f'<li style="margin:0 0 4px">{_inline(line[2:], link)}</li>' for line in lines)
        return f'<ul style="margin:0 0 16px;padding-left:20px">{items}</ul>'
    heading = re.match(r"(#{1,3}) (.+)$", lines[0]) if len(lines) == 1 else None
    if heading:
        size = {1: 24, 2: 20, 3: 17}[len(heading[1])]
        return f'<h{len(heading[1])} style="margin:0 0 12px;font-size:{size}px;line-height:1.3">{_inline(heading[2], link)}</h{len(heading[1])}>'
    return f'<p style="margin:0 0 16px">{"<br>".join(_inline(line, link) for line in lines)}</p>'


def _inline(text: str, link: Callable[[str], str]) -> str:
    parts, last = [], 0
    for match in _LINK.finditer(text):
        parts.append(_words(text[last : match.start()], link))
        parts.append(_anchor(link(match[2]), match[1]))
        last = match.end()
    return "".join([*parts, _words(text[last:], link)])


def _words(text: str, link: Callable[[str], str]) -> str:
    parts, last = [], 0
    for match in _BARE.finditer(text):
        parts += [_bold(text[last : match.start()]), _anchor(link(match[1]), match[1])]
        last = match.end()
    return "".join([*parts, _bold(text[last:])])


def _bold(text: str) -> str:
    return re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", escape(text))


def _anchor(url: str, words: str) -> str:
    return f'<a href="{escape(url)}" style="color:#4338CA">{_bold(words)}</a>'


def flaws(subject: str, body: str, known: Sequence[str]) -> list[Flaw]:
    """What is wrong with a letter before anybody is asked to read it. What depends on the audience is added by ``letters.lint``."""
    found: list[Flaw] = []
    if not subject.strip():
        found.append(Flaw("The subject is missing.", stops=True))
    if not body.strip():
        found.append(Flaw("The letter is empty.", stops=True))
    if len(subject) > MAX_SUBJECT or len(body) > MAX_BODY:
        found.append(Flaw("The subject or the letter is too long.", stops=True))
    elif len(subject) > 70:
        found.append(Flaw("Long subjects are cut off on phones; about 50 characters are seen everywhere."))
    for text in (subject, body):
        found += _bad_braces(text)
    if len(parts(body)) > 1 and not _bad_braces(body) and any(_bad_braces(one.text) for one in parts(body)):
        found.append(Flaw("What begins with {{#if …}} in a part of the letter has to end in the same part.", stops=True))
    if any(one.shown != "all" and not any(one.segments) for one in parts(body)):
        found.append(Flaw("A part of the letter is for some people alone: choose their segment.", stops=True))
    if len(segments_in(body)) > MAX_SEGMENTS:
        found.append(Flaw(f"The parts of a letter can ask for at most {MAX_SEGMENTS} segments.", stops=True))
    found += [Flaw(f"There is no field “{key}”.", stops=True) for key in used_fields(subject, body) if key not in known]
    found += _bad_links(body)
    low = f"{subject} {body}".lower()
    found += [Flaw(f"“{word}” makes spam filters suspicious.") for word in _SPAM if word in low]
    letters = [c for c in _FIELD.sub("", subject) if c.isalpha()]
    if len(letters) > 8 and sum(c.isupper() for c in letters) / len(letters) > 0.7:
        found.append(Flaw("A subject in capitals makes spam filters suspicious."))
    return found


def _bad_braces(text: str) -> list[Flaw]:
    rest = _FIELD.sub("", _IF.sub(lambda match: match[2], _PART.sub(lambda match: match[3], text)))
    return [Flaw(f"This can't be understood: {match[0][:40]}", stops=True) for match in _ANY.finditer(rest)]


def _bad_links(body: str) -> list[Flaw]:
    found = [
        Flaw(f"This link leads nowhere: {url[:80]}", stops=True)
        for url in links(body)
        if "{{" not in url and not is_web_address(url)
    ]
    if any("{{" in url for url in links(body)):
        found.append(
            Flaw("Fields can't stand inside a link: every reader gets the same address, which is what makes it safe.", stops=True)
        )
    if any(urlsplit(url).hostname in _EXAMPLES for url in links(body) if "{{" not in url and is_web_address(url)):
        found.append(Flaw("A link still goes to example.com, which is only a place holder: put your own address there."))
    if body.strip() and not links(body):
        found.append(Flaw(NO_LINK))
    return found


PAGE = """<!doctype html>
<html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"></head>
<body style="margin:0;background:#F3F4F6">
<div style="max-width:600px;margin:0 auto;padding:24px 16px;font-family:Helvetica,Arial,sans-serif;font-size:16px;line-height:1.5;color:#111827">
<div style="background:#FFFFFF;border-radius:8px;padding:32px 28px">
{body}
</div>
<p style="font-size:12px;line-height:1.5;color:#6B7280;padding:16px 28px;margin:0">{footer}</p>
</div>{pixel}
</body></html>
"""


def page(body_html: str, footer_html: str, pixel_url: str = "") -> str:
    """A whole HTML message."""
    pixel = f'<img src="{escape(pixel_url)}" width="1" height="1" alt="">' if pixel_url else ""
    return PAGE.replace("{body}", body_html).replace("{footer}", footer_html).replace("{pixel}", pixel)


def split_name(name: str) -> tuple[str, str]:
    """First and last name of a full one; titles stay out of the first name."""
    parts = [part for part in name.split() if part.rstrip(".").lower() not in ("dr", "prof", "mr", "mrs", "ms", "herr", "frau")]
    if not parts:
        return "", ""
    return parts[0], " ".join(parts[1:])
