"""What customers said, made fit to be shown on a persona: without what would tell who they are, short, always the same choice. Pure."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from crm_core.kit.text import fold

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
_LONGEST_NAME = 5
_BEGINS = re.compile(r"(?:^|[.!?:…\n]|[\"“„(»]|\[…\])\s*$")
_BEFORE_NAMES = re.compile(
    r"\b(?:mr|mrs|ms|miss|dr|prof|herrn?|frau|madame|monsieur|mme|señora?|signora?)\.?\s+$"
    r"|\b(?:spoke|speak|talked|talk|spoken) (?:to|with)\s+$|\b(?:colleague|name is|named|called|contact person|ask for|asked for)\s+$",
    re.IGNORECASE,
)
"""What stands before a name, whoever it is."""
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
class Known:
    """The names that a workspace knows, folded: ``whole`` ones, the ``words`` of people's, and those of companies'."""

    whole: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    companies: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Quote:
    """A sentence or two that can be shown. ``source``: where it was said."""

    text: str
    source: str
    at: datetime


def known(people: Iterable[str], companies: Iterable[str]) -> Known:
    """What tells a name of people and of companies in a text."""
    whole: set[str] = set()
    words: tuple[set[str], set[str]] = (set(), set())
    folded: dict[str, str] = {}  # the words of names are few beside the names
    for place, names in enumerate((people, companies)):
        found: set[str] = set()
        for name in set(names):
            parts = []
            for one in _NAME.findall(name):
                part = folded.get(one)
                if part is None:
                    part = folded[one] = fold(one)
                if part not in _COMMON:
                    parts.append(part)
            found.update(parts)
            whole.add(" ".join(parts))
        words[place].update(piece for part in found for piece in (part, *part.split("-")) if len(piece) > 2)
    return Known(frozenset(whole - {""}), frozenset(words[0]), frozenset(words[1]))


def masked(text: str, names: Iterable[str], others: Known | None = None, ordinary: Collection[str] = ()) -> str:
    """The text without addresses, numbers and names: those of whoever said it, and those of ``others``. ``ordinary``: words that also stand in small
    letters somewhere, so that at the beginning of a sentence they tell no name."""
    for pattern in (_MAIL, _WEB, _NUMBER):
        text = pattern.sub(HIDDEN, text)
    text = _without(text, others or Known(), ordinary)
    words = {part.casefold() for name in names for part in _NAME.findall(name) if part.casefold() not in _COMMON}
    if words:
        text = _NAME.sub(lambda found: HIDDEN if _known(found[0], words) else found[0], text)
    return re.sub(rf"(?:{re.escape(HIDDEN)}[\s,]*)+{re.escape(HIDDEN)}", HIDDEN, text)


def _without(text: str, others: Known, ordinary: Collection[str]) -> str:
    """The text without the names that others have, and without what follows a title or stands where a name stands."""
    tokens = list(_NAME.finditer(text))
    folded = [fold(_bare(one[0])) for one in tokens]
    hidden = {n for n, one in enumerate(tokens) if one[0][0].isupper() and _BEFORE_NAMES.search(text[: one.start()])}
    hidden |= {
        n + 1
        for n in hidden
        if n + 1 < len(tokens) and tokens[n + 1][0][0].isupper() and text[tokens[n].end() : tokens[n + 1].start()] == " "
    }
    for n, token in enumerate(tokens):
        for length in range(_LONGEST_NAME, 1, -1):
            said = [part for part in folded[n : n + length] if part not in _COMMON]
            if (
                n + length <= len(tokens)
                and " ".join(said) in others.whole
                and said[0] == folded[n]
                and said[-1] == folded[n + length - 1]
            ):
                hidden |= set(range(n, n + length))
        if not token[0][0].isupper():
            continue
        begins = _BEGINS.search(text[: token.start()]) is not None
        person = {folded[n], *folded[n].split("-")} & others.words
        company = folded[n] in others.whole or (folded[n] in others.companies and not begins)
        if (person and not (begins and folded[n] in ordinary)) or (company and folded[n] not in ordinary):
            hidden.add(n)
    for n in sorted(hidden, reverse=True):
        text = text[: tokens[n].start()] + HIDDEN + text[tokens[n].end() :]
    return text


def _bare(word: str) -> str:
    return re.sub(r"['’]s$", "", word)


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


def chosen(said: Sequence[Said], most: int = 3, others: Known | None = None) -> list[Quote]:
    """A few quotes, always the same ones: surveys before letters, those of a readable length first, one of each customer. ``others``: names that are
    not shown either."""
    ordinary = {fold(word) for one in said for word in _NAME.findall(one.text) if word[0].islower()}
    ready = [(one, masked(text, one.names, others, ordinary)) for one in said if (text := trimmed(one.text))]
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
