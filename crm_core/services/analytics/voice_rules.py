"""What customers said, made fit to be shown on a persona: without what would tell who they are, short, always the same choice. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

SHORTEST, LONGEST, BEST = 30, 220, 110
HIDDEN = "[…]"
_MAIL = re.compile(r"[^\s<>()\"']+@[^\s<>()\"']+")
_WEB = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_NUMBER = re.compile(r"(?<!\w)(?:[A-Z]{2}\d{2}[\d ]{8,30}|[+#]?\(?\d[\d ()/.\-]{4,}\d|#?[A-Z]{1,4}-?\d{3,})(?!\w)")
_GREETING = re.compile(
    r"^\s*(?:hello|hi|dear|hey|good (?:morning|day|afternoon)|hallo|guten tag|bonjour|hola)\b[^\n,.!]{0,60}[,.!]?\s*", re.IGNORECASE
)
_PARTING = re.compile(
    r"^\s*(?:(?:kind|best|warm)? ?regards|best wishes|best|cheers|sincerely|yours\b.*|thanks|thank you|many thanks|mit freundlichen.*|viele gr.*|cordialement|saludos|--)\s*[,.!]?\s*$",
    re.IGNORECASE,
)
_SIGN_OFF = re.compile(
    r"[\s,]*\b(?:kind regards|best regards|regards|best wishes|cheers|sincerely|mit freundlichen gr\w+|viele gr\w+)\b.*$",
    re.IGNORECASE | re.DOTALL,
)
_NAME = re.compile(r"[^\W\d_]{2,}(?:[-'’][^\W\d_]+)*")
_COMMON = frozenset(
    ["and", "the", "of", "for", "und", "der", "die", "das", "von", "van", "inc", "ltd", "gmbh", "llc", "co", "company", "group"]
)


@dataclass(frozen=True)
class Said:
    """Something a customer said. ``who``: a number of the customer, so that nobody speaks twice; ``names``: what they and theirs are called."""

    who: int
    text: str
    source: str
    at: datetime
    key: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Quote:
    """A sentence or two that can be shown. ``source``: where it was said."""

    text: str
    source: str
    at: datetime


def masked(text: str, names: Iterable[str]) -> str:
    """The text without addresses, numbers and names."""
    for pattern in (_MAIL, _WEB, _NUMBER):
        text = pattern.sub(HIDDEN, text)
    words = {part.casefold() for name in names for part in _NAME.findall(name) if part.casefold() not in _COMMON}
    if words:
        text = _NAME.sub(lambda found: HIDDEN if _known(found[0], words) else found[0], text)
    return re.sub(rf"(?:{re.escape(HIDDEN)}[\s,]*)+{re.escape(HIDDEN)}", HIDDEN, text)


def _known(word: str, words: set[str]) -> bool:
    folded = word.casefold().removesuffix("'s").removesuffix("’s")
    return folded in words or any(part in words for part in re.split(r"[-'’]", folded) if len(part) > 2)


def trimmed(text: str) -> str:
    """What was said without greeting, quoted lines and parting, as one line of whole sentences; "" when too little is left."""
    kept: list[str] = []
    for line in text.splitlines():
        if line.lstrip().startswith(">"):
            continue
        if _PARTING.match(line) and kept:
            break
        kept.append(line)
    words = _SIGN_OFF.sub("", _GREETING.sub("", re.sub(r"\s+", " ", "\n".join(kept)).strip())).strip()
    words = words[:1].upper() + words[1:]  # what stood behind the greeting
    return _sentences(words) if len(words) > LONGEST else words if len(words) >= SHORTEST else ""


def _sentences(words: str) -> str:
    """The first whole sentences that fit."""
    found = ""
    for sentence in re.split(r"(?<=[.!?])\s+", words):
        if len(found) + len(sentence) + 1 > LONGEST:
            break
        found = f"{found} {sentence}".strip()
    return found if len(found) >= SHORTEST else words[: LONGEST - 2].rsplit(" ", 1)[0] + " …"


def chosen(said: Sequence[Said], most: int = 3) -> list[Quote]:
    """A few quotes, always the same ones: surveys before letters, those of a readable length first, one of each customer."""
    ready = [(one, masked(text, one.names)) for one in said if (text := trimmed(one.text))]
    fit = [(one, text) for one, text in ready if text.count(HIDDEN) <= 2]
    fit.sort(key=lambda pair: (pair[0].source != "survey", abs(len(pair[1]) - BEST), -pair[0].at.timestamp(), pair[0].key))
    found: list[Quote] = []
    spoke: set[int] = set()
    heard: set[str] = set()
    for one, text in fit:
        if one.who in spoke or text.casefold() in heard:
            continue
        spoke.add(one.who)
        heard.add(text.casefold())
        found.append(Quote(text, one.source, one.at))
        if len(found) == most:
            break
    return found
