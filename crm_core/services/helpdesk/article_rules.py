"""Help articles, the pure part: addresses, what an article needs before anybody else reads it, and which ones fit some words. Knows no database."""

import math
import re
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from crm_core.kit.text import fold, words

MAX_SUMMARY = 800
"""Characters of a short answer: a voice reads them in about a minute."""
MAX_BODY = 60_000
REVIEW_DAYS = 180
SUGGESTED = 4
_ADDRESS = re.compile(r"/help/([a-z0-9][a-z0-9-]{0,89})(?![\w-])")
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
    made = re.sub(r"[^a-z0-9]+", "-", fold(title)).strip("-")[:70].strip("-")
    return made or "article"


def free_slug(title: str, taken: Container[str]) -> str:
    """The address of a title that no other article has."""
    base = slug_of(title)
    return next(made for n in range(1, 100_000) if (made := base if n == 1 else f"{base}-{n}") not in taken)


def addresses_in(text: str) -> list[str]:
    """The addresses of articles that a text links to, each once."""
    return list(dict.fromkeys(_ADDRESS.findall(text)))


def problems(article: Any) -> dict[str, str]:
    """What is wrong with an article: field → sentence. A draft may be incomplete, nothing may be too long."""
    found: dict[str, str] = {}
    if len(article.summary or "") > MAX_SUMMARY:
        found["summary"] = (
            f"The short answer has {len(article.summary):,} characters; at most {MAX_SUMMARY} fit. Put the rest into the text."
        )
    if len(article.body or "") > MAX_BODY:
        found["body"] = f"The text has {len(article.body):,} characters; at most {MAX_BODY:,} fit."
    return found


def missing(article: Any) -> dict[str, str]:
    """What an article needs before it is published: field → sentence."""
    return (
        {}
        if (article.summary or "").strip()
        else {"summary": "Write the short answer first: agents insert it, and callers hear it."}
    )


def next_review(today: date) -> date:
    """When an article is read again if nobody says otherwise."""
    return today + timedelta(days=REVIEW_DAYS)


def still_says(answer: str, summary: str) -> bool:
    """Whether an answer still holds a sentence of a short answer that was put into it (agents change words around it)."""
    squeezed = _squeezed(answer)
    parts = [_squeezed(part) for part in re.split(r"(?<=[.!?])\s+|\n+", summary)]
    sentences = [part for part in parts if len(part) >= 15] or [part for part in parts if part]
    return any(part in squeezed for part in sentences)


def _squeezed(text: str) -> str:
    return " ".join(words(text))


# --- which articles fit ------------------------------------------------------------------------------------------------------


def doc_of(article_id: int, title: str, summary: str, body: str, category: str = "", products: Iterable[int] = ()) -> Doc:
    """The words of an article, weighed."""
    weights: dict[str, int] = {}
    for text, weight in ((body, 1), (summary, 2), (title, 3)):
        weights.update(dict.fromkeys(terms(text), weight))
    return Doc(article_id, weights, category, frozenset(products))


def terms(text: str) -> list[str]:
    """The words of a text that say what it is about, each once, in their order."""
    found = (part for word in words(text) for part in word.split("_"))
    return list(dict.fromkeys(word for word in found if len(word) > 1 and word not in _EMPTY_WORDS))


def rank(docs: Sequence[Doc], query: str, *, category: str = "", product_id: int | None = None, near: float = 0.0) -> list[int]:
    """Ids of the articles that have words of the query, the best first. Rare words count more than frequent ones, a word of the title more than one of
    the text; the same product or category lifts what fits by its words, and never brings in what does not. ``near``: the share of the best
    one's points that is needed."""
    wanted = terms(query)[:60]
    hits = {doc.id: {term: weight for term in wanted if (weight := _weight(doc, term))} for doc in docs}
    seen = Counter(term for found in hits.values() for term in found)
    points = {}
    for doc in docs:
        score = sum(weight * math.log(1 + len(docs) / seen[term]) for term, weight in hits[doc.id].items())
        if score:
            lift = 1 + 0.5 * (product_id in doc.products) + 0.25 * bool(category and doc.category == category)
            points[doc.id] = score * lift
    floor = near * max(points.values(), default=0.0)
    return [key for key, score in sorted(points.items(), key=lambda one: (-one[1], one[0])) if score >= floor]


def _weight(doc: Doc, term: str) -> int:
    """How much a word weighs in an article: as it is, or as the beginning of a longer one ("print" finds "printer", "printers" finds "printer")."""
    exact = doc.weights.get(term, 0)
    if exact or len(term) < 4:
        return exact
    return max((weight for word, weight in doc.weights.items() if _same_stem(word, term)), default=0)


def _same_stem(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return len(short) >= 4 and long.startswith(short) and (len(long) - len(short) <= 3 or long == one)
