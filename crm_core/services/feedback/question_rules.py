"""The further questions of a survey, the pure part: what a form may hold, and what somebody's answers mean.

A question is {id, kind, label, required, options, low, high}: ``options`` for a choice, ``low`` and ``high`` for the words at the ends of a scale. A form is
{question, follow_up, questions}: the lead question gives the score, the others follow it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crm_core.kit.text import clean, one_line
from crm_core.vocabulary import QuestionKind

MOST = 4
"""Further questions: with the lead question five, more than which few people answer."""
MOST_OPTIONS = 12
MAX_TEXT = 4_000
SCALES = {QuestionKind.SCALE_5: range(1, 6), QuestionKind.SCALE_10: range(11)}
CHOICES = (QuestionKind.ONE, QuestionKind.MANY)
Question = Mapping[str, Any]


@dataclass(frozen=True)
class Reply:
    """One row of an answer, see ``models.SurveyReply``."""

    question: str
    number: int | None = None
    text: str = ""


def kind_of(question: Question) -> QuestionKind:
    """How a question is answered."""
    given = question.get("kind")
    return QuestionKind(given) if given in QuestionKind.options() else QuestionKind.TEXT


def checked(
    given: Sequence[Question], before: Sequence[Question], *, asked: bool, used: Collection[str] = ()
) -> tuple[list[dict[str, Any]], list[str]]:
    """Questions as they are kept, and what is wrong with them in words. A question keeps its key while it is answered in the same way; another
    kind, or options taken away once somebody was asked, makes a new one of it. ``used``: keys of questions that were
    asked once and are gone."""
    old = {str(one.get("id")): one for one in before}
    taken, made, wrong = set[str](), list[dict[str, Any]](), list[str]()
    if len(given) > MOST:
        return [], [f"A survey has at most {MOST + 1} questions, the one for the score among them."]
    for n, one in enumerate(given, 2):
        question = _kept(one)
        wrong += [f"Question {n}: {words}" for words in _problems(question)]
        key = str(one.get("id") or "")
        if key in taken or key not in old or (asked and not _same(question, old[key])):
            key = _fresh({*old, *taken, *used})
        taken.add(key)
        made.append({"id": key, **question})
    return made, wrong


def _kept(one: Question) -> dict[str, Any]:
    kind = kind_of(one)
    options = [one_line(str(option))[:120] for option in one.get("options") or ()] if kind in CHOICES else []
    ends = [one_line(str(one.get(end) or ""))[:60] if kind in SCALES else "" for end in ("low", "high")]
    return {
        "kind": kind.value, "label": one_line(str(one.get("label") or ""))[:300], "required": bool(one.get("required")),
        "options": [option for option in options if option], "low": ends[0], "high": ends[1],
    }  # fmt: skip


def _problems(question: Question) -> list[str]:
    found = []
    if not question["label"]:
        found.append("Write what is asked.")
    if kind_of(question) in CHOICES:
        options = question["options"]
        if len(options) < 2:
            found.append("Give at least two answers to choose from.")
        if len(options) > MOST_OPTIONS:
            found.append(f"More than {MOST_OPTIONS} answers are read by nobody.")
        if len({option.casefold() for option in options}) < len(options):
            found.append("Two answers are the same.")
    return found


def _same(new: Question, old: Question) -> bool:
    return new["kind"] == old.get("kind") and set(old.get("options") or ()) <= set(new["options"])


def _fresh(taken: set[str]) -> str:
    return next(f"q{n}" for n in range(2, 1_000) if f"q{n}" not in taken)


def parse(questions: Sequence[Question], values: Mapping[str, str]) -> tuple[list[Reply], dict[str, str]]:
    """(what was answered, key → what is wrong in words). A choice of several comes as one field per option: ``q3.0``, ``q3.1``.

    What is not of the scale or no option is no answer; an empty answer to a question that must be answered is named.
    """
    found: list[Reply] = []
    wrong: dict[str, str] = {}
    for one in questions:
        replies = _replies(one, str(one["id"]), values)
        found += replies
        if not replies and one.get("required"):
            wrong[str(one["id"])] = "Please answer this question."
    return found, wrong


def _replies(one: Question, key: str, values: Mapping[str, str]) -> list[Reply]:
    kind, text = kind_of(one), values.get(key, "")
    if kind in SCALES:
        number = int(text) if text.isascii() and text.isdecimal() and len(text) <= 2 else None
        return [Reply(key, number)] if number in SCALES[kind] else []
    if kind is QuestionKind.YES_NO:
        return [Reply(key, {"yes": 1, "no": 0}[text])] if text in ("yes", "no") else []
    if kind is QuestionKind.TEXT:
        words = clean(text)[:MAX_TEXT]
        return [Reply(key, None, words)] if words else []
    options = [str(option) for option in one.get("options") or ()]
    if kind is QuestionKind.ONE:
        return [Reply(key, None, text)] if text in options else []
    return [Reply(key, None, option) for n, option in enumerate(options) if values.get(f"{key}.{n}")]
