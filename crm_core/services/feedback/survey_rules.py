"""Surveys, the pure part: scales, words, who is unhappy, who is in the sample. Knows no database."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from crm_core.kit.numerals import written
from crm_core.vocabulary import SurveyKind, SurveyTrigger

LEAST_ANSWERS = 5
"""Fewer answers than this show no score: one person's word would be readable from it."""

CHANGE_HOURS = 24
"""How long an answer can be changed."""


@dataclass(frozen=True)
class Scale:
    """The scores of a kind: from ``low`` to ``high``, what the ends mean, up to where somebody is unhappy and from where content."""

    low: int
    high: int
    low_words: str
    high_words: str
    unhappy_to: int
    content_from: int
    question: str
    bands: tuple[tuple[str, int, int], ...]
    unit: str
    limits: tuple[float, float]

    @property
    def scores(self) -> range:
        return range(self.low, self.high + 1)


SCALES: Mapping[SurveyKind, Scale] = {
    SurveyKind.CSAT: Scale(
        1, 5, "Very unhappy", "Very happy", 2, 4, "How happy are you with the help that you got?",
        (("Happy", 4, 5), ("Neutral", 3, 3), ("Unhappy", 1, 2)), "Happy answers in %", (0, 100),
    ),
    SurveyKind.NPS: Scale(
        0, 10, "Not at all likely", "Extremely likely", 6, 9, "How likely are you to recommend us to a friend or colleague?",
        (("Promoters", 9, 10), ("Passives", 7, 8), ("Detractors", 0, 6)), "Net Promoter Score", (-100, 100),
    ),
    SurveyKind.CES: Scale(
        1, 7, "Strongly disagree", "Strongly agree", 3, 5, "It was easy to get my matter settled.",
        (("Easy", 5, 7), ("Neutral", 4, 4), ("Hard", 1, 3)), "Mean of 1 to 7", (1, 7),
    ),
}  # fmt: skip

ENTITY_OF: Mapping[SurveyTrigger, str] = {
    SurveyTrigger.TICKET_SOLVED: "ticket",
    SurveyTrigger.DEAL_WON: "deal",
    SurveyTrigger.ORDER_FULFILLED: "order",
    SurveyTrigger.QUARTERLY: "contact",
    SurveyTrigger.MANUAL: "contact",
}


def score_words(kind: SurveyKind, value: float) -> str:
    """A score as people write it."""
    if kind is SurveyKind.NPS:
        return f"{value:+.0f}".replace("-", "−") if round(value) else "0"
    return f"{value:.0f}%" if kind is SurveyKind.CSAT else written(value, ".1f")


def is_unhappy(kind: SurveyKind, score: int) -> bool:
    """Whether somebody should get in touch."""
    return score <= SCALES[kind].unhappy_to


def in_sample(survey_id: int, key: str, pct: int) -> bool:
    """Whether a record is in the sample: always the same answer for the same record."""
    drawn = int.from_bytes(hashlib.sha256(f"{survey_id}:{key}".encode()).digest()[:8], "big")
    return drawn % 10_000 < pct * 100


def quarter(at: datetime) -> str:
    """The quarter of an instant: ``2026Q4``."""
    return f"{at.year}Q{(at.month - 1) // 3 + 1}"


def parse_score(kind: SurveyKind, text: str) -> int | None:
    """A score of the scale, or None."""
    if not text.isascii() or not text.isdecimal() or len(text) > 2:
        return None
    return int(text) if int(text) in SCALES[kind].scores else None


def bias_sentence(asked: int, answered: int) -> str:
    """What a response rate says about the score."""
    if not asked:
        return "Nobody was asked yet."
    share = answered / asked
    words = f"{share:.0%} of those asked answered ({written(answered)} of {written(asked)})."
    if share < 0.4:
        return (
            words
            + " Those who did not may think differently: take the score as that of the people who answer, and watch its course."
        )
    return words
