"""Points of a lead, computed on plain values: what fades, what is capped, which grade that makes. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from crm_core.vocabulary import ActivityKind

DAY = 86_400.0
LETTERS, DIGITS = "ABCD", "1234"
START = {"fit": [60, 40, 20], "behaviour": [60, 40, 20], "threshold": 80}
"""Where the grades begin (A, B, C and 1, 2, 3; below is D and 4), and from how many points on a lead is ready for sales."""
SIGNALS = {
    "touch.any": "Any marketing touch",
    "touch.visit": "Visits the website",
    "touch.form": "Sends a form",
    "touch.open": "Opens a letter",
    "touch.click": "Clicks in a letter",
    **{f"activity.{kind.value}": f"{kind.label} logged" for kind in ActivityKind},
}
"""What behaviour can be: key → words."""

Signal = tuple[str, datetime]


def faded(points: int, instants: Iterable[datetime], at: datetime, half_life_days: int | None, cap: int | None) -> float:
    """The sum of ``points`` of each instant not after ``at``, halved every ``half_life_days``, up to ``cap`` in size."""
    total = 0.0
    for instant in instants:
        age = (at - instant).total_seconds() / DAY
        if age >= 0:
            total += points * (0.5 ** (age / half_life_days) if half_life_days else 1.0)
    return total if cap is None else max(-float(cap), min(float(cap), total))


def matches(signal: str, happened: str) -> bool:
    """Whether something that happened is what a rule counts."""
    return signal == happened or (signal == "touch.any" and happened.startswith("touch."))


def grade(fit: float, behaviour: float, bands: Mapping[str, Any]) -> str:
    """``A1`` to ``D4``: the letter for fit, the digit for behaviour."""
    return LETTERS[_band(fit, bands["fit"])] + DIGITS[_band(behaviour, bands["behaviour"])]


def _band(value: float, begins: Sequence[float]) -> int:
    return next((at for at, begin in enumerate(begins) if value >= begin), len(begins))
