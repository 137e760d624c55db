"""Periods of key figures: presets, the period to compare with, and the buckets of a trend. Pure calendar arithmetic; days are inclusive."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta

from crm_core.errors import Invalid
from crm_core.vocabulary import Against, PeriodPreset

DAILY_UP_TO = 31
WEEKLY_UP_TO = 185
MONTHLY_UP_TO = 3 * 366
QUARTERLY_UP_TO = 12 * 366


@dataclass(frozen=True)
class Period:
    """From the first to the last day, both counted. Without days it means all time."""

    start: date | None = None
    end: date | None = None

    @property
    def bounded(self) -> bool:
        return self.start is not None and self.end is not None

    @property
    def days(self) -> int:
        """Number of days; 0 for all time."""
        return (self.end - self.start).days + 1 if self.start and self.end else 0

    def holds(self, day: date) -> bool:
        """True when the day lies in the period."""
        return (self.start is None or day >= self.start) and (self.end is None or day <= self.end)


@dataclass(frozen=True)
class Bucket:
    """One step of a trend. ``complete`` is False where the period cuts the calendar unit short."""

    start: date
    end: date
    grain: str
    complete: bool = True


def period(
    preset: PeriodPreset, today: date, *, fiscal_start_month: int = 1, start: date | None = None, end: date | None = None
) -> Period:
    """The days that a preset means today. The running quarter and year end today; they follow the fiscal year.

    Raises Invalid for a custom period without both days, or one that ends before it starts.
    """
    match preset:
        case PeriodPreset.DAYS_30:
            return Period(today - timedelta(days=29), today)
        case PeriodPreset.DAYS_90:
            return Period(today - timedelta(days=89), today)
        case PeriodPreset.MONTHS_12:
            return Period(add_months(today, -12) + timedelta(days=1), today)
        case PeriodPreset.QUARTER:
            return Period(unit_start(today, 3, fiscal_start_month), today)
        case PeriodPreset.YEAR:
            return Period(unit_start(today, 12, fiscal_start_month), today)
        case PeriodPreset.ALL:
            return Period()
    return _custom(start, end)


def _custom(start: date | None, end: date | None) -> Period:
    if start is None or end is None:
        raise Invalid("Choose the first and the last day of the period.")
    if end < start:
        raise Invalid("The period ends before it starts. Swap the two days.")
    if start.year < 1900 or end.year > 2999:
        raise Invalid("The period must lie between the years 1900 and 2999.")
    return Period(start, end)


def comparison(preset: PeriodPreset, chosen: Period, against: Against, *, fiscal_start_month: int = 1) -> Period | None:
    """The period to compare with; None without one, and for all time, which has nothing before it.

    The running quarter or year is compared with as many days of the one before it, so that equal stretches stand side by side.
    """
    if against is Against.NONE or chosen.start is None or chosen.end is None:
        return None
    if against is Against.LAST_YEAR:
        return Period(add_months(chosen.start, -12), add_months(chosen.end, -12))
    if preset is PeriodPreset.MONTHS_12:
        return Period(add_months(chosen.start, -12), chosen.start - timedelta(days=1))
    if preset in (PeriodPreset.QUARTER, PeriodPreset.YEAR):
        first = add_months(chosen.start, -3 if preset is PeriodPreset.QUARTER else -12)
        last = min(first + timedelta(days=chosen.days - 1), chosen.start - timedelta(days=1))
        return Period(first, last)
    return Period(chosen.start - timedelta(days=chosen.days), chosen.start - timedelta(days=1))


def buckets(first: date, last: date, *, fiscal_start_month: int = 1) -> tuple[Bucket, ...]:
    """The steps of a trend from the first to the last day: days, weeks, months, quarters or years, at most about 40.

    Weeks are counted back from the last day, so that the latest step is a full one; the others are calendar units.
    """
    span = (last - first).days + 1
    if span <= 0:
        return ()
    if span <= DAILY_UP_TO:
        return tuple(Bucket(day, day, "day") for day in (first + timedelta(days=n) for n in range(span)))
    if span <= WEEKLY_UP_TO:
        return _weeks(first, last)
    if span <= MONTHLY_UP_TO:
        return _units(first, last, 1, "month", fiscal_start_month)
    if span <= QUARTERLY_UP_TO:
        return _units(first, last, 3, "quarter", fiscal_start_month)
    return _units(first, last, 12, "year", fiscal_start_month)


def _weeks(first: date, last: date) -> tuple[Bucket, ...]:
    found: list[Bucket] = []
    end = last
    while end >= first:
        start = max(first, end - timedelta(days=6))
        found.append(Bucket(start, end, "week", (end - start).days == 6))
        end = start - timedelta(days=1)
    return tuple(reversed(found))


def _units(first: date, last: date, months: int, grain: str, fiscal_start_month: int) -> tuple[Bucket, ...]:
    found: list[Bucket] = []
    unit = unit_start(first, months, fiscal_start_month)
    while unit <= last:
        following = add_months(unit, months)
        start, end = max(unit, first), min(following - timedelta(days=1), last)
        found.append(Bucket(start, end, grain, start == unit and end == following - timedelta(days=1)))
        unit = following
    return tuple(found)


def unit_start(day: date, months: int, fiscal_start_month: int = 1) -> date:
    """First day of the month (1), quarter (3) or year (12) that holds the day, in a fiscal year that starts in the given month."""
    since = (day.month - fiscal_start_month) % 12
    return add_months(day.replace(day=1), -(since % months))


def parsed(text: str) -> date | None:
    """The day that an address names; None for anything else."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def add_months(day: date, months: int) -> date:
    """The day that many months later (or earlier); the 31st becomes the last day of a shorter month."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
