"""Hours of a day as people type them: ``09:00–12:30, 13:30–17:00``, also ``9-17``."""

from collections.abc import Iterable

from crm_core.kit.business_calendar import Minutes


class UnreadableError(ValueError):
    """Something typed can't be read; the message says what."""


def pieces(text: str) -> list[tuple[str, ...]]:
    """The spans as they were typed, each cut at its dash."""
    return [tuple(end.strip() for end in part.split("–")) for part in text.replace("-", "–").split(",") if part.strip()]


def spans_of(text: str) -> list[Minutes]:
    """The spans in minutes after midnight, in order."""
    found = []
    for ends in pieces(text):
        minutes = [_minute(end) for end in ends]
        if len(minutes) != 2 or None in minutes:
            raise UnreadableError(f"“{'–'.join(ends)}” is not a span of hours. Write 09:00–17:00.")
        found.append((minutes[0] or 0, minutes[1] or 0))
    return sorted(found)


def clock_times(text: str) -> list[list[str]]:
    """The spans as ``["09:00", "17:00"]``; what can't be read stays as it was typed, for whoever checks it."""
    return [[_time(end) for end in ends] if len(ends) == 2 else ["–".join(ends)] for ends in pieces(text)]


def words_of(hours: Iterable[Minutes]) -> str:
    """The hours of a day as they are typed."""
    return ", ".join(f"{_words(start)}–{_words(end)}" for start, end in hours)


def _minute(text: str) -> int | None:
    hour, _, minute = text.partition(":")
    if not hour.isdecimal() or not (minute or "0").isdecimal() or len(hour) > 2 or len(minute) > 2:
        return None
    return int(hour) * 60 + int(minute or 0)


def _time(text: str) -> str:
    minute = _minute(text)
    return text if minute is None else _words(minute)


def _words(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
