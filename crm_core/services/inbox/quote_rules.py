"""What somebody newly wrote, apart from the earlier words below it and from their signature. Pure."""

import re

_WROTE = re.compile(
    r"^\s*>?\s*("
    r"on\b.{4,200}\bwrote\s*:|am\b.{4,200}\bschrieb\b.{0,120}:|le\b.{4,200}\ba écrit\s*:|el\b.{4,200}\bescribió\s*:|il\b.{4,200}\bha scritto\s*:|"
    r"op\b.{4,200}\bschreef\b.{0,120}:|em\b.{4,200}\bescreveu\s*:|den\b.{4,200}\bskrev\b.{0,120}:|w dniu\b.{4,200}\bnapisał.{0,20}:|.{4,120}<[^<>\s]+@[^<>\s]+>\s*(wrote|schrieb|a écrit)?\s*:"
    r")\s*$",
    re.IGNORECASE | re.DOTALL,
)
_ORIGINAL = re.compile(
    r"^\s*[-_]{2,}\s*(original message|forwarded message|ursprüngliche nachricht|weitergeleitete nachricht|message d'origine|message original|"
    r"mensaje original|messaggio originale|oorspronkelijk bericht|mensagem original)\s*[-_]{2,}\s*$",
    re.IGNORECASE,
)
_HEAD = re.compile(r"^\s*\*?(from|von|de|da|van|från)\s*:\*?\s*\S", re.IGNORECASE)
_HEAD_MORE = re.compile(
    r"^\s*\*?(sent|gesendet|envoyé|enviado|inviato|verzonden|date|datum|to|an|à|para|a|aan|subject|betreff|objet|asunto|oggetto|onderwerp|skickat|till|ämne|cc)\s*:\*?",
    re.IGNORECASE,
)
_RULE = re.compile(r"^\s*_{10,}\s*$")
_SIGNATURE = re.compile(r"^-- ?$")
_DEVICE = re.compile(
    r"^\s*(sent from my |sent from outlook|get outlook for|von meinem .{2,30} gesendet|gesendet mit |envoyé de mon |enviado desde mi |inviato da )",
    re.IGNORECASE,
)
MOST_LINES = 2_000
"""Lines in which the beginning of earlier words is looked for."""


def split(text: str) -> tuple[str, str]:
    """The new words, and everything below them that can be folded away. When nothing new would remain, all of it is new."""
    lines = text.replace("\r\n", "\n").split("\n")
    cut = _cut(lines)
    fresh, rest = lines[:cut], lines[cut:]
    mark = _signature(fresh)
    fresh, rest = fresh[:mark], [*fresh[mark:], *rest]
    new = "\n".join(fresh).strip()
    return (new, "\n".join(rest).strip()) if new else (text.strip(), "")


def _cut(lines: list[str]) -> int:
    for place in range(min(len(lines), MOST_LINES)):
        marker = _marker(lines, place)
        if marker and not _interleaved(lines[place + marker :]):
            return place
    return _trailing(lines)


def _marker(lines: list[str], place: int) -> int:
    """How many lines the announcement of earlier words takes here; 0 when there is none."""
    line = lines[place]
    if _ORIGINAL.match(line):
        return 1
    if (_HEAD.match(line) and sum(bool(_HEAD_MORE.match(one)) for one in lines[place + 1 : place + 6]) >= 2) or (
        _RULE.match(line) and any(_HEAD.match(one) for one in lines[place + 1 : place + 4])
    ):
        return 1
    for count in (1, 2, 3):
        part = lines[place : place + count]
        if len(part) == count and all(one.strip() for one in part) and _WROTE.match(" ".join(part)):
            return count
    return 0


def _interleaved(below: list[str]) -> bool:
    """True when quoted lines are followed by words of one's own: an answer point by point, which must stay whole."""
    seen = False
    for line in below:
        if line.lstrip().startswith(">"):
            seen = True
        elif seen and line.strip() and not _SIGNATURE.match(line) and not _DEVICE.match(line):
            return True
        elif seen and _SIGNATURE.match(line):
            return False
    return False


def _trailing(lines: list[str]) -> int:
    place = len(lines)
    while place and (not lines[place - 1].strip() or lines[place - 1].lstrip().startswith(">")):
        place -= 1
    return place if any(line.lstrip().startswith(">") for line in lines[place:]) else len(lines)


def _signature(lines: list[str]) -> int:
    for place, line in enumerate(lines):
        if (_SIGNATURE.match(line) or _DEVICE.match(line)) and place and len(lines) - place <= 15:
            return place
    return len(lines)
