"""Help articles, the pure part: addresses, what an article needs before anybody else reads it, and which ones fit some words. Knows no database."""

import math
import re
from bisect import bisect_left
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from crm_core.kit import clock
from crm_core.kit.numerals import written
from crm_core.kit.text import slug, words

MAX_SUMMARY = 800
"""Characters of a short answer: a voice reads them in about a minute."""
MAX_BODY = 60_000
REVIEW_DAYS = 180
SUGGESTED = 4
_ADDRESS = re.compile(r"(?:https?://(?P<host>[^\s/()<>\[\]\"']+)|(?<![\w/.:@-]))/help/(?P<slug>[a-z0-9][a-z0-9-]{0,89})(?![\w-])")
_UNSPACED = re.compile("([\u3005\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+)")
"""Runs of Chinese and Japanese, which put no blanks between words."""
_EMPTY_WORDS = frozenset(
    words(
        "a an and any are as at be been but by can cannot could did do does for from get had has have hello help hi how i if in is it its me my no not of on or"
        " our please re so that the their them then there they this to us was we were what when where which who why will with would you your"
        " auf bei bitte das dem den der des die ein eine einen er es fur hallo haben hat ich im in ist kann mein meine mit nicht oder sie sind und uns von was"
        " wenn wie wir zu avec ce dans de des du est et il je la le les ma mon ne nous pas pour que qui sur un une vous"
    )
)


@dataclass(frozen=True)
class Doc:
    """The words of an article, with the field in which each weighs most: 3 in the title, 2 in the short answer, 1 in the text."""

    id: int
    weights: Mapping[str, int]
    category: str = ""
    products: frozenset[int] = field(default_factory=frozenset)


def slug_of(title: str) -> str:
    """The address that a title gives; never empty."""
    return slug(title, 70) or "article"


def free_slug(title: str, taken: Container[str]) -> str:
    """The address of a title that no other article has."""
    base = slug_of(title)
    return next(made for n in range(1, 100_000) if (made := base if n == 1 else f"{base}-{n}") not in taken)


def addresses_in(text: str, host: str = "") -> list[str]:
    """The addresses of articles that a text links to, each once: at this host or without one. Other sites have a /help too.
    ``host="*"``: wherever they are."""
    found = _ADDRESS.finditer(text)
    ours = (one["slug"] for one in found if one["host"] is None or host == "*" or one["host"].casefold() == host.casefold())
    return list(dict.fromkeys(ours))


def problems(article: Any, *, published: bool) -> dict[str, str]:
    """What is wrong with an article: field → sentence. Nothing may be too long, and a published one has its short answer."""
    found: dict[str, str] = {}
    if len(article.summary or "") > MAX_SUMMARY:
        found["summary"] = (
            f"The short answer has {written(len(article.summary))} characters; at most {MAX_SUMMARY} fit. Put the rest into the text."
        )
    if len(article.body or "") > MAX_BODY:
        found["body"] = f"The text has {written(len(article.body))} characters; at most {written(MAX_BODY)} fit."
    if published and not (article.summary or "").strip():
        found["summary"] = "Write the short answer first: agents insert it, and callers hear it."
    return found


def next_review(today: date) -> date:
    """When an article is read again if nobody says otherwise."""
    return today + timedelta(days=REVIEW_DAYS)


def published(published_at: datetime | None, review_by: date | None, today: date) -> dict[str, Any]:
    """What an article is given at the moment of publishing: the first time stays, it counts as read, and the day to read it again lies ahead."""
    again = review_by if review_by is not None and review_by > today else next_review(today)
    return {"published_at": published_at or clock.utcnow(), "reviewed_on": today, "review_by": again}


def still_says(answer: str, summary: str) -> bool:
    """Whether an answer still holds a sentence of a short answer that was put into it (agents change words around it)."""
    squeezed = _squeezed(answer)
    parts = [_squeezed(part) for part in re.split(r"(?<=[.!?])\s+|\n+", summary)]
    sentences = [part for part in parts if len(part) >= 15] or [part for part in parts if part]
    return any(part in squeezed for part in sentences)


def _squeezed(text: str) -> str:
    return " ".join(words(text))


# --- which articles fit ------------------------------------------------------------------------------------------------------


def weights_of(title: str, summary: str, body: str) -> dict[str, int]:
    """The words of an article, weighed."""
    weights: dict[str, int] = {}
    for text, weight in ((body, 1), (summary, 2), (title, 3)):
        weights.update(dict.fromkeys(terms(text), weight))
    return weights


def terms(text: str) -> list[str]:
    """The words of a text that say what it is about, each once, in their order; of Chinese and Japanese each two characters that follow each other."""
    found = (term for word in words(text) for part in word.split("_") for term in _parts(part))
    return list(dict.fromkeys(found))


def _parts(word: str) -> Iterator[str]:
    if word.isascii():
        if len(word) > 1 and word not in _EMPTY_WORDS:
            yield word
        return
    for n, part in enumerate(_UNSPACED.split(word)):
        if n % 2:
            yield from (part[at : at + 2] for at in range(max(1, len(part) - 1)))
        elif len(part) > 1 and part not in _EMPTY_WORDS:
            yield part


class Index:
    """The words of all articles, turned round: word → the articles that hold it and its weight there. A query costs what it finds, however many
    articles there are."""

    def __init__(self, docs: Iterable[Doc]) -> None:
        self.docs = {doc.id: doc for doc in docs}
        self._entries: dict[str, dict[int, int]] = {}
        for doc in self.docs.values():
            for word, weight in doc.weights.items():
                self._entries.setdefault(word, {})[doc.id] = weight
        self._words = sorted(self._entries)

    def rank(self, query: str, *, category: str = "", product_id: int | None = None, near: float = 0.0) -> list[int]:
        """Ids of the articles that have words of the query, the best first. Rare words count more than frequent ones, a word of the title more than
        one of the text; the same product or category lifts what fits by its words, and never brings in what does not. ``near``: the share of
        the best one's points that is needed."""
        points: dict[int, float] = {}
        for term in terms(query)[:60]:
            hits = self._holding(term)
            rare = math.log(1 + len(self.docs) / len(hits)) if hits else 0.0
            for key, weight in hits.items():
                points[key] = points.get(key, 0.0) + weight * rare
        for key in points:
            doc = self.docs[key]
            points[key] *= 1 + 0.5 * (product_id in doc.products) + 0.25 * bool(category and doc.category == category)
        floor = near * max(points.values(), default=0.0)
        return [key for key, score in sorted(points.items(), key=lambda one: (-one[1], one[0])) if score >= floor]

    def _holding(self, term: str) -> Mapping[int, int]:
        """The articles that hold a word, with its weight: as it is, or else as the beginning of a longer one ("print" finds "printer", "printers"
        finds "printer")."""
        exact = self._entries.get(term, {})
        found = dict(exact)
        for word in self._akin(term):
            for key, weight in self._entries[word].items():
                if key not in exact:
                    found[key] = max(weight, found.get(key, 0))
        return found

    def _akin(self, term: str) -> Iterator[str]:
        """Known words that begin with a term, and its own beginnings without an ending of up to three letters."""
        single = len(term) == 1
        if len(term) < 4 and not single:  # a single character is Chinese or Japanese
            return
        at = bisect_left(self._words, term)
        while at < len(self._words) and self._words[at].startswith(term):
            if self._words[at] != term:
                yield self._words[at]
            at += 1
        yield from (term[:cut] for cut in range(max(4, len(term) - 3), len(term)) if term[:cut] in self._entries)
