"""May this person be called or written to now? Decided from their own wishes; pure."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from crm_core.kit.best_time import days_of, hours_of, inside
from crm_core.kit.numerals import clock_time
from crm_core.kit.text import phone_zones
from crm_core.kit.week import WEEKEND
from crm_core.vocabulary import PreferredChannel, Verdict, Way

MAX_ZONES = 3
"""A number without an area belongs to more zones than this: then nothing is known of the local time."""


@dataclass(frozen=True)
class Wishes:
    """What a person asked for. ``hours`` is their own text; ``zones`` the time zones they may be in, the likeliest first."""

    name: str
    channel: PreferredChannel = PreferredChannel.ANY
    hours: str = ""
    zones: tuple[str, ...] = ()
    language: str = ""
    goals: str = ""
    do_not: str = ""
    no_call: bool = False
    no_email: bool = False


@dataclass(frozen=True)
class Reach:
    """The answer: ``verdict``, the sentences that say why, and the person's local time where it is known."""

    verdict: Verdict
    reasons: tuple[str, ...] = ()
    local: datetime | None = None


def zones_of(timezone: str | None, phone: str | None, region: str) -> tuple[str, ...]:
    """The time zones that somebody may be in: the one that is written down, else those of their number. ``region``: of numbers without a country."""
    if timezone:
        return (timezone,)
    return phone_zones(phone, region) if phone else ()


def may_reach(wishes: Wishes, way: Way, now: datetime, *, fallback_zone: str = "UTC") -> Reach:
    """Whether to call or write now: no (they asked us not to), think first (another channel or hour is preferred), or yes."""
    zone = wishes.zones[0] if wishes.zones and len(wishes.zones) <= MAX_ZONES else ""
    local = now.astimezone(ZoneInfo(zone)) if zone else None
    if wishes.channel is PreferredChannel.NONE:
        return Reach(Verdict.NO, (f"{wishes.name} asked not to be contacted.",), local)
    if way is Way.CALL and wishes.no_call:
        return Reach(Verdict.NO, (f"{wishes.name} asked not to be called.",), local)
    if way is Way.EMAIL and wishes.no_email:
        return Reach(Verdict.NO, (f"{wishes.name} asked not to get e-mail.",), local)
    reasons = [*_other_channel(wishes, way), *(_wrong_hour(wishes, now, local, fallback_zone) if way is Way.CALL else ())]
    return Reach(Verdict.THINK if reasons else Verdict.YES, tuple(reasons), local)


def _other_channel(wishes: Wishes, way: Way) -> list[str]:
    fits = {Way.CALL: PreferredChannel.PHONE, Way.EMAIL: PreferredChannel.EMAIL}[way]
    if wishes.channel in (PreferredChannel.ANY, fits):
        return []
    words = {
        PreferredChannel.EMAIL: "e-mail", PreferredChannel.PHONE: "the phone", PreferredChannel.MEETING: "meeting in person",
    }[wishes.channel]  # fmt: skip
    return [f"{wishes.name} prefers {words}."]


def _wrong_hour(wishes: Wishes, now: datetime, local: datetime | None, fallback_zone: str) -> list[str]:
    spans, days = hours_of(wishes.hours), days_of(wishes.hours)
    here = local or now.astimezone(ZoneInfo(fallback_zone))
    clock = clock_time(here)
    where = f"It is {clock} where they are" if local else f"It is {clock} by your clock (their time zone is not known)"
    if spans or days:
        fits = (not spans or inside(here.time(), spans)) and (not days or here.weekday() in days)
        day = f" on {here:%A}" if days and here.weekday() not in days else ""
        return [] if fits else [f"{where}{day}; the best time is {wishes.hours}."]
    if local is not None and not time(7, 0) <= here.time() < time(21, 0):
        return [f"{where}: that is night."]
    return []


def next_time(wishes: Wishes, now: datetime, *, fallback_zone: str = "UTC", days_off: frozenset[int] = WEEKEND) -> datetime | None:
    """The next moment at which a preferred span begins, on none of our days off unless they name it; None when no hours are known."""
    spans = hours_of(wishes.hours)
    if not spans:
        return None
    zone = ZoneInfo(wishes.zones[0] if wishes.zones and len(wishes.zones) <= MAX_ZONES else fallback_zone)
    here = now.astimezone(zone)
    days, wanted = (here.date() + timedelta(days=n) for n in range(8)), days_of(wishes.hours) or frozenset(range(7)) - days_off
    moments = sorted(datetime.combine(day, begin, zone) for day in days if day.weekday() in wanted for begin, _ in spans)
    return next((moment for moment in moments if moment > here), None)
