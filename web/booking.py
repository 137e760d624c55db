"""``/book/<page>`` lets a stranger choose a free time, ``/b/<token>`` shows, moves and calls off what they booked. No account, no script needed."""

import re
from calendar import Calendar
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, Invalid, TooMany
from crm_core.services.admin import founding
from crm_core.services.booking import taking
from crm_core.services.booking.taking import JustTaken, Meeting, Month, Offer, Visit
from web import pages
from web.cookies import address_of
from web.forms import Form
from web.tracking import VISITOR_COOKIE

_VISITOR = re.compile(r"[0-9a-f]{32}")
_WEEK = Calendar()


# --- choose and book --------------------------------------------------------------------------------------------------------


def show(request: Request) -> Response:
    """The free times of a month and of a day; the form once a time is chosen."""
    slug = _name(request, "slug")
    with read_session() as session:
        offer = taking.offer(session, slug)
        zone = _zone(request.query_params.get("tz", ""), offer)
        at = _instant(request.query_params.get("at", ""))
        month = None if at else taking.month(session, slug, zone, _day(request))
    if at is not None:
        return _form(request, offer, zone, {"at": at.isoformat()})
    return _picker(request, offer, zone, month, f"/book/{slug}", {})


def submit(request: Request, values: Form) -> Response:
    """Book: on to the meeting's own page, or the same form with what must be corrected; nothing typed is lost."""
    slug, at = _name(request, "slug"), _instant(values.get("at", ""))
    with read_session() as session:
        offer = taking.offer(session, slug)
    zone = _zone(values.get("tz", ""), offer)
    try:
        if at is None:
            raise Invalid("Choose a time first.")
        with write_session() as session:
            token = taking.book(session, slug, at, values, _visit(request, values))
    except JustTaken as error:
        return _form(request, offer, zone, values, error=error.message, status=409, instead=error.instead)
    except Invalid as error:
        return _form(request, offer, zone, values, wrong=error.fields, error="" if error.fields else error.message, status=422)
    except TooMany as error:
        return _form(request, offer, zone, values, error=error.message, status=429)
    return RedirectResponse(f"/b/{token}?new=1", 303, headers={"cache-control": "no-store"})


def _picker(
    request: Request, offer: Offer, zone: ZoneInfo, month: Month | None, base: str, more: Mapping[str, str], **values: Any
) -> Response:
    """A month with its free days, and the times of one of them."""
    assert month is not None
    keep = _kept(request, zone) | dict(more)
    chosen = _day(request)
    chosen = chosen if chosen in month.days else next(iter(month.days), None)

    def link(**changes: str) -> str:
        return f"{base}?{urlencode(keep | changes)}"

    weeks = [
        [
            {"day": day, "link": link(day=day.isoformat()) if day in month.days else "", "out": day.month != month.first.month, "chosen": day == chosen}
            for day in week
        ]
        for week in _WEEK.monthdatescalendar(month.first.year, month.first.month)
    ]  # fmt: skip
    times = [(f"{at.astimezone(zone):%H:%M}", link(at=_written(at))) for at in month.days.get(chosen, [])] if chosen else []
    return _page(
        "pick", offer=offer, zone=zone.key, zones=_zones(), weeks=weeks, month=month, chosen=chosen, times=times, keep=keep, base=base,
        earlier=link(day=_beside(month.first, -1)) if month.earlier else "", later=link(day=_beside(month.first, 1)) if month.later else "", **values,
    )  # fmt: skip


def _form(
    request: Request,
    offer: Offer,
    zone: ZoneInfo,
    values: Mapping[str, str],
    *,
    wrong: Mapping[str, str] | None = None,
    error: str = "",
    status: int = 200,
    instead: list[datetime] | None = None,
) -> Response:
    """Name, address and questions for a chosen time. Without one that is still free: other times to choose from."""
    with write_session() as session:  # the first visit makes the key that signs the hour
        stamp = values.get("stamp") or taking.stamp(session, offer.id)
        stamp = taking.stamp(session, offer.id) if status == 422 and not wrong else stamp
    at = _instant(values.get("at", ""))
    keep = _kept(request, zone) | {key: values[key] for key in taking.UTM if values.get(key)}
    back = f"/book/{offer.slug}?{urlencode(keep | ({'day': at.astimezone(zone).date().isoformat()} if at else {}))}"
    return _page(
        "form", status=status, offer=offer, zone=zone.key, at=_written(at) if at and instead is None else "", when=_words(at, offer.minutes, zone) if at else "",
        instead=[(_written(one), _words(one, offer.minutes, zone)) for one in instead or []], taken=instead is not None, values=values, wrong=wrong or {},
        error=error, stamp=stamp, trap=taking.TRAP, keep=keep, back=back,
    )  # fmt: skip


# --- afterwards -------------------------------------------------------------------------------------------------------------


def meeting(request: Request) -> Response:
    """The booked meeting, its calendar file, or the free times to which it can be moved. Looking changes nothing."""
    token = _name(request, "token")
    if token.endswith(".ics"):
        return _file(token.removesuffix(".ics"))
    with read_session() as session:
        found = taking.show(session, token)
    if request.query_params.get("move") and not found.why_not:
        return _moving(request, found)
    asked = "cancel" if request.query_params.get("cancel") and not found.why_not else "shown"
    return _booked(found, asked, new=bool(request.query_params.get("new")))


def change(request: Request, values: Form) -> Response:
    """Move the meeting or call it off."""
    token, at = _name(request, "token"), _instant(values.get("at", ""))
    try:
        with write_session() as session:
            if values.get("do") == "cancel":
                taking.cancel(session, token, values.get("reason", ""))
            elif values.get("do") == "move" and at is not None:
                taking.move(session, token, at)
            else:
                raise Invalid("Choose what is to happen with the meeting.")
    except (Conflict, Invalid) as error:
        with read_session() as session:
            found = taking.show(session, token)
        instead = error.instead if isinstance(error, JustTaken) else []
        return _booked(found, "shown", error=error.message, status=error.status, instead=instead)
    return RedirectResponse(
        f"/b/{token}?{'moved' if values['do'] == 'move' else 'off'}=1", 303, headers={"cache-control": "no-store"}
    )


def _moving(request: Request, found: Meeting) -> Response:
    at = _instant(request.query_params.get("at", ""))
    if not found.slug:
        return _booked(
            found, "shown", error="This meeting can no longer be moved here. Please answer to the message about it.", status=409
        )
    with read_session() as session:
        offer = taking.offer(session, found.slug)
        zone = _zone(request.query_params.get("tz", "") or found.timezone, offer)
        month = None if at else taking.month(session, found.slug, zone, _day(request), token=found.token)
    if at is not None:
        return _booked(found, "move", at=_written(at), to=_words(at, found.minutes, zone))
    now = _words(found.start, found.minutes, zone)
    return _picker(request, offer, zone, month, f"/b/{found.token}", {"move": "1"}, moving=found, now=now)


def _booked(found: Meeting, state: str, *, status: int = 200, instead: list[datetime] | None = None, **values: Any) -> Response:
    zone = ZoneInfo(found.timezone)
    when = _words(found.start, found.minutes, zone)
    others = [(_written(one), _words(one, found.minutes, zone)) for one in instead or []]
    return pages.public(
        "booked.html",
        status=status,
        meeting=found,
        state=state,
        when=when,
        instead=others,
        **{"new": False, "at": "", "to": "", **values},
    )


def _file(token: str) -> Response:
    with read_session() as session:
        body = taking.calendar_file(session, token)
    kept = {
        "x-robots-tag": "noindex, nofollow",
        "cache-control": "no-store",
        "content-disposition": 'attachment; filename="meeting.ics"',
    }
    return Response(body, media_type="text/calendar; charset=utf-8", headers=kept)


# --- small things -----------------------------------------------------------------------------------------------------------


def _page(state: str, *, status: int = 200, **values: Any) -> Response:
    return pages.public("booking.html", status=status, referrer="same-origin", state=state, **{"moving": None, "now": "", **values})


def _visit(request: Request, values: Form) -> Visit:
    visitor = request.cookies.get(VISITOR_COOKIE, "")
    utm = {key: values.get(key, "")[:200] for key in (*taking.UTM, "tz")}
    referrer = values.get("from", "")[:1000]
    return Visit(address_of(request), values.get("stamp", ""), visitor if _VISITOR.fullmatch(visitor) else "", referrer, utm)


def _kept(request: Request, zone: ZoneInfo) -> dict[str, str]:
    """What every link of the page takes along: the zone, once chosen, and where the visitor came from."""
    given = {key: request.query_params.get(key, "")[:200] for key in taking.UTM}
    chosen = {"tz": zone.key} if request.query_params.get("tz") else {}
    came = request.query_params.get("from") or _foreign(request)
    return {key: value for key, value in given.items() if value} | chosen | ({"from": came[:300]} if came else {})


def _foreign(request: Request) -> str:
    """The site that led here; nothing when it was this one."""
    came = request.headers.get("referer", "")
    host = came.partition("://")[2].partition("/")[0]
    return f"https://{host}/" if host and host != request.headers.get("host") else ""


def _zone(text: str, offer: Offer) -> ZoneInfo:
    return ZoneInfo(text if text in founding.timezones() else offer.timezone)


def _zones() -> list[tuple[str, str]]:
    return [(name, name.replace("_", " ")) for name in founding.timezones()]


def _day(request: Request) -> date | None:
    try:
        found = date.fromisoformat(request.query_params.get("day", "")[:10])
    except ValueError:
        return None
    return found if 2000 < found.year < 2200 else None


def _instant(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text[:40])
        return found.astimezone(UTC) if found.tzinfo and 2000 < found.year < 2200 else None
    except (ValueError, OverflowError):
        return None


def _written(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%MZ}"


def _beside(first: date, step: int) -> str:
    month = first.year * 12 + first.month - 1 + step
    return date(month // 12, month % 12 + 1, 1).isoformat()


def _words(at: datetime, minutes: int, zone: ZoneInfo) -> str:
    return taking.invitation_rules.when(at, minutes, zone.key)


def _name(request: Request, part: str) -> str:
    return str(request.path_params[part])[:100]
