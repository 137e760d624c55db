"""The days of a week and the hours of a week in words."""

from collections.abc import Mapping, Sequence

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
"""Monday first, as ``date.weekday`` counts."""


def hours_in_words(hours: Mapping[str, Sequence[Sequence[str]]]) -> list[str]:
    """Working hours as the settings keep them (number of the weekday → spans), a day after the other: “Monday 09:00–12:30, 13:30–17:00”. Days without
    any are left out."""
    days = ((name, ", ".join("–".join(map(str, span)) for span in hours.get(str(n), ()))) for n, name in enumerate(WEEKDAYS))
    return [f"{name} {spans}" for name, spans in days if spans]
