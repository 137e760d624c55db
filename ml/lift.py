"""What a campaign really added: the difference between those who were addressed and a random hold-out, with its interval.

Everything is by intention to treat: people count in the group that chance put them in, whether or not the message reached them.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

from ml import kpis
from ml.errors import DataError

ENOUGH_EVENTS = 10
"""Conversions over both groups below which no difference is named: an interval that wide says nothing."""

ENOUGH_PEOPLE = 20
"""People in each group below which no difference is named."""


NAMED = ("addressed", "held out", "conversions")


@dataclass(frozen=True)
class Difference:
    """A difference with its interval. ``enough`` is False where too few people or events were seen to say anything; ``missing`` says what."""

    value: float
    low: float
    high: float
    level: float
    enough: bool = True
    missing: str = ""

    @property
    def clear(self) -> bool:
        """True when the interval leaves zero out."""
        return self.enough and (self.low > 0 or self.high < 0)

    def times(self, factor: float) -> "Difference":
        """The same per ``factor`` people."""
        return Difference(self.value * factor, self.low * factor, self.high * factor, self.level, self.enough, self.missing)


def wilson(events: int, people: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a share, of anything from 0 to 1 without people; ``ml.kpis.wilson`` of one."""
    low, high = kpis.wilson(np.asarray(events), np.asarray(people), level)
    return float(low), float(high)


def difference_of_shares(
    treated: tuple[int, int], control: tuple[int, int], level: float = 0.95, *, named: tuple[str, str, str] = NAMED
) -> Difference:
    """Share of converted people among the addressed minus that of the hold-out; ``(events, people)`` each. ``named``: what both groups and the
    events are called where too few of them were seen.

    Newcombe's hybrid score interval (Newcombe 1998, method 10): it keeps its level for rare events and small groups, where the
    textbook interval is too narrow. Raises DataError for impossible counts.
    """
    for events, people in (treated, control):
        if events < 0 or people < 0 or events > people:
            raise DataError(found=f"{events} of {people}", needed="counts between zero and the number of people")
    missing = _missing(treated, control, named)
    if not treated[1] or not control[1]:
        return Difference(0.0, -1.0, 1.0, level, False, missing)
    p1, p0 = treated[0] / treated[1], control[0] / control[1]
    (l1, u1), (l0, u0) = wilson(*treated, level), wilson(*control, level)
    value = p1 - p0
    low = value - math.sqrt((p1 - l1) ** 2 + (u0 - p0) ** 2)
    high = value + math.sqrt((u1 - p1) ** 2 + (p0 - l0) ** 2)
    return Difference(value, low, high, level, not missing, missing)


def _missing(treated: tuple[int, int], control: tuple[int, int], named: tuple[str, str, str]) -> str:
    if min(treated[1], control[1]) < ENOUGH_PEOPLE:
        return (
            f"{ENOUGH_PEOPLE} people in each group are needed; there are {treated[1]:,} {named[0]} and {control[1]:,} {named[1]}."
        )
    if treated[0] + control[0] < ENOUGH_EVENTS:
        return f"{ENOUGH_EVENTS} {named[2]} are needed over both groups; there are {treated[0] + control[0]:,} so far."
    return ""


def difference_of_means(treated: tuple[int, float, float], control: tuple[int, float, float], level: float = 0.95) -> Difference:
    """Mean amount per person among the addressed minus that of the hold-out; ``(people, sum, sum of squares)`` each, people without any
    amount counting as zero. Welch's interval (unequal variances)."""
    n1, s1, q1 = treated
    n0, s0, q0 = control
    if n1 < 2 or n0 < 2:
        return Difference(0.0, -math.inf, math.inf, level, False, f"{ENOUGH_PEOPLE} people in each group are needed.")
    m1, m0 = s1 / n1, s0 / n0
    v1, v0 = max(0.0, (q1 - n1 * m1 * m1) / (n1 - 1)) / n1, max(0.0, (q0 - n0 * m0 * m0) / (n0 - 1)) / n0
    spread = v1 + v0
    few = min(n1, n0) < ENOUGH_PEOPLE
    if spread == 0:
        return Difference(
            m1 - m0, m1 - m0, m1 - m0, level, False, "Nobody bought anything yet." if m1 == m0 == 0 else "All amounts are equal."
        )
    freedom = spread**2 / (v1**2 / (n1 - 1) + v0**2 / (n0 - 1))
    half = float(t.ppf(0.5 + level / 2, freedom)) * math.sqrt(spread)
    return Difference(
        m1 - m0, m1 - m0 - half, m1 - m0 + half, level, not few, f"{ENOUGH_PEOPLE} people in each group are needed." if few else ""
    )


def difference_by_customer(
    value: float, squares: float, customers: int, treated: int, control: int, level: float = 0.95
) -> Difference:
    """A difference of the average order of two groups, where a customer's orders resemble one another and may lie in both groups.

    ``squares``: over all customers, the sum of the squares of what each of them adds to the difference, which is
    (s1 - m1 n1) / N1 - (s0 - m0 n0) / N0 with their sum and number of orders in a group, the group's mean and number of orders.
    ``customers``: with an order in any group; ``treated``, ``control``: with one in that group. Interval by the cluster-robust variance with the
    correction for few clusters, and t with one degree less than the smaller group has customers (Cameron & Miller 2015, sections II and VI).
    """
    smaller = min(treated, control)
    if smaller < 2:
        return Difference(value, -math.inf, math.inf, level, False, f"{ENOUGH_PEOPLE} customers in each group are needed.")
    half = float(t.ppf(0.5 + level / 2, smaller - 1)) * math.sqrt(squares * customers / (customers - 1))
    few = smaller < ENOUGH_PEOPLE
    missing = f"{ENOUGH_PEOPLE} customers in each group are needed." if few else "All amounts are equal." if not half else ""
    return Difference(value, value - half, value + half, level, not missing, missing)


def needed_people(base: float, lift: float, control_share: float, *, power: float = 0.8, level: float = 0.95) -> int:
    """People in the whole audience so that a lift of this size is found with this power, when ``control_share`` of them are held out.

    Two-sided test of two shares with unequal groups (Fleiss, Levin & Paik 2003, eq. 4.14, without continuity correction).
    ``base``: share that converts anyway; ``lift``: points on top, both 0 to 1. Raises DataError for values that can't be.
    """
    if not (0 < base < 1 and 0 < abs(lift) < 1 and 0 < base + lift < 1 and 0 < control_share < 1):
        raise DataError(found=f"base {base:.3g}, lift {lift:.3g}, hold-out {control_share:.3g}", needed="shares between 0 and 1")
    a, b = float(norm.ppf(0.5 + level / 2)), float(norm.ppf(power))
    p1, p0, r = base + lift, base, (1 - control_share) / control_share
    mean = (r * p1 + p0) / (r + 1)
    root = a * math.sqrt((r + 1) * mean * (1 - mean)) + b * math.sqrt(p1 * (1 - p1) + r * p0 * (1 - p0))
    control = root * root / (r * lift * lift)
    return math.ceil(math.ceil(control) / control_share)


def detectable_lift(base: float, people: int, control_share: float, *, power: float = 0.8, level: float = 0.95) -> float:
    """The smallest lift in points (0 to 1) that an audience of this size can show; 1 when it can show none, as when a group has fewer than
    ``ENOUGH_PEOPLE``, of which no difference is named."""
    if not 0 < base < 1 or not 0 < control_share < 1:
        return 1.0
    if round(people * min(control_share, 1 - control_share)) < ENOUGH_PEOPLE:
        return 1.0
    low, high = 0.0, 1 - base - 1e-9
    if needed_people(base, high, control_share, power=power, level=level) > people:
        return 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if middle <= 0 or needed_people(base, middle, control_share, power=power, level=level) > people:
            low = middle
        else:
            high = middle
    return high
