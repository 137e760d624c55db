"""The days of a week and the hours of a week in words."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
"""Monday first, as ``date.weekday`` counts."""
WEEKEND = frozenset({5, 6})
"""The days off where nobody said otherwise."""


def days_off(hours: Mapping[str, Sequence[Sequence[str]]]) -> frozenset[int]:
    """The weekdays without hours, as the settings keep them; the usual two where no day has any."""
    off = frozenset(n for n in range(7) if not hours.get(str(n)))
    return WEEKEND if len(off) == 7 else off


def first_day(off: Collection[int]) -> int:
    """The weekday with which a working week begins: after the longest run of days off, Monday where there is none."""
    runs = {day: next(n for n in range(7) if (day - 1 - n) % 7 not in off) for day in range(7) if day not in off}
    return max(runs, key=lambda day: (runs[day], -day)) if off and runs else 0


def next_week(today: date, off: Collection[int]) -> date:
    """The first working day of the week after this one."""
    return today + timedelta(days=(first_day(off) - today.weekday() - 1) % 7 + 1)


def days_in_words(days: Collection[int], *, first: int = 0) -> str:
    """Weekdays in the order of the week, runs of three and more drawn together: “Sunday to Thursday”, “Friday, Saturday”."""
    runs: list[list[int]] = []
    for day in ((first + n) % 7 for n in range(7)):
        if day not in days:
            continue
        if runs and (runs[-1][-1] + 1) % 7 == day:
            runs[-1].append(day)
        else:
            runs.append([day])
    parts = ([f"{WEEKDAYS[run[0]]} to {WEEKDAYS[run[-1]]}"] if len(run) > 2 else [WEEKDAYS[day] for day in run] for run in runs)
    return ", ".join(word for part in parts for word in part)


def hours_in_words(hours: Mapping[str, Sequence[Sequence[str]]]) -> list[str]:
    """Working hours as the settings keep them (number of the weekday → spans), a day after the other: “Monday 09:00–12:30, 13:30–17:00”. Days without
    any are left out."""
    days = ((name, ", ".join("–".join(map(str, span)) for span in hours.get(str(n), ()))) for n, name in enumerate(WEEKDAYS))
    return [f"{name} {spans}" for name, spans in days if spans]
