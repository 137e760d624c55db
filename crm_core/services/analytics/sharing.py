"""Links that people without an account may open: signed, expiring, revocable, perhaps with a password; what they show is what their owner may see.

The address holds a random name and its signature. Whatever is wrong with a link (unknown, altered, expired, revoked, its owner gone or no
longer allowed to share, the dashboard removed), the answer is one and the same.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, text
from sqlalchemy import select as core_select
from sqlmodel import Session, col, select

from crm_core import db, lists
from crm_core.access import Actor, load, require
from crm_core.errors import CrmError, Invalid, NotFound, TooMany
from crm_core.kit import hashing
from crm_core.kit.clock import utcnow
from crm_core.kit.secret import is_signed, signature
from crm_core.kit.text import clean
from crm_core.models import ShareLink, ShareView, SigninAttempt, SubmitKey
from crm_core.services.analytics import dashboards, metrics, runs, tiles
from crm_core.services.analytics.tiles import Look
from crm_core.vocabulary import Action, Against, PeriodPreset, RunState, ShareKind, Via

GONE = "It may have expired or been withdrawn. Ask whoever gave it to you for a new one."
WRONG = "This password does not open the page."
DAYS = {1: "1 day", 7: "1 week", 30: "1 month", 90: "3 months", 365: "1 year"}
MIN_PASSWORD = 8
WINDOW = timedelta(minutes=15)
TRIES = {"pair": 8, "link": 40}
"""Tries at the password of a link per window: of one address, and of all together."""
KEPT_VIEWS = 1_000
_PURPOSE = "share"
_VIEWS = ShareView.__table__  # type: ignore[attr-defined]
_ATTEMPTS = SigninAttempt.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class LinkRow:
    """A link as its owner sees it. ``token``: the end of its address, empty for links of others; ``works``: whether it opens today."""

    id: int
    label: str
    kind: ShareKind
    target: str
    owner: str
    token: str
    mine: bool
    protected: bool
    embeddable: bool
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    works: bool
    views: int
    last_view_at: datetime | None


@dataclass(frozen=True)
class Opened:
    """A link that works: as whom it is drawn, and of what."""

    id: int
    version: int
    public_id: str
    kind: ShareKind
    target_id: int
    label: str
    filters: Mapping[str, Any]
    expires_at: datetime
    embeddable: bool
    password_hash: str | None
    actor: Actor


# --- for owners ----------------------------------------------------------------------------------------------------------


def create(
    session: Session,
    actor: Actor,
    *,
    kind: ShareKind,
    target_id: int,
    label: str = "",
    filters: Mapping[str, Any] | None = None,
    days: int = 30,
    password: str = "",
    embeddable: bool = False,
    submit_key: str | None = None,
) -> int:
    """Make a link to a dashboard or an analysis that one may see; needs the right to manage analytics. The filters stay as they are now."""
    require(actor, "analytics", Action.MANAGE)
    if actor.user_id is None or days not in DAYS:
        raise Invalid(fields={"days": "Choose for how long the link works."})
    if password and embeddable:
        raise Invalid(fields={"embeddable": "A page with a password can't stand inside another site: choose one of both."})
    if password and len(password) < MIN_PASSWORD:
        raise Invalid(fields={"password": f"Use at least {MIN_PASSWORD} characters."})
    if len(password) > hashing.MAX_LENGTH:
        raise Invalid(fields={"password": f"Use at most {hashing.MAX_LENGTH} characters."})
    earlier = _earlier(session, submit_key)
    if earlier:
        return earlier
    name = _title(session, actor, kind, target_id)
    row = ShareLink(
        public_id=secrets.token_urlsafe(12), kind=kind, target_id=target_id, owner_id=actor.user_id, label=clean(label)[:120] or name[:120],
        filters=_kept_filters(filters), expires_at=utcnow() + timedelta(days=days), embeddable=embeddable,
        password_hash=hashing.hash_password(password) if password else None,
    )  # fmt: skip
    session.add(row)
    session.flush()
    _remember(session, submit_key, row.id)
    return row.id


def _earlier(session: Session, submit_key: str | None) -> int:
    found = session.get(SubmitKey, submit_key) if submit_key else None
    return int(found.result.get("id", 0)) if found else 0


def _remember(session: Session, submit_key: str | None, link_id: int) -> None:
    if submit_key:
        session.add(SubmitKey(key=submit_key, at=utcnow(), result={"id": link_id}))
        session.flush()


def _title(session: Session, actor: Actor, kind: ShareKind, target_id: int) -> str:
    """The name of what is shared; NotFound for what the actor may not see."""
    if kind is ShareKind.DASHBOARD:
        return dashboards.get(session, actor, target_id).name
    run = runs.get(session, actor, target_id)
    if run.state is not RunState.DONE:
        raise NotFound("Only a finished analysis can be shared.")
    return run.title


def _kept_filters(raw: Mapping[str, Any] | None) -> dict[str, Any]:
    """Period, comparison, owner, pipeline, past day: plain values only."""
    raw = raw or {}
    keys = ("period", "against", "start", "end", "owner_id", "pipeline_id", "as_of")
    return {key: raw[key] for key in keys if isinstance(raw.get(key), (str, int)) and raw[key] != ""}


def find(session: Session, actor: Actor, *, kind: ShareKind | None = None, target_id: int | None = None) -> list[LinkRow]:
    """One's own links; who manages people sees everybody's (without their addresses), the latest first."""
    require(actor, "analytics", Action.MANAGE)
    statement = select(ShareLink).order_by(col(ShareLink.id).desc())
    if not actor.can("user", Action.MANAGE):
        statement = statement.where(ShareLink.owner_id == actor.user_id)
    if kind is not None:
        statement = statement.where(ShareLink.kind == kind, ShareLink.target_id == target_id)
    rows = session.exec(statement.limit(500)).all()
    people = lists.titles(session, actor, "user", (row.owner_id for row in rows))
    counted = {row.link_id: (row.n, row.at) for row in _counted(session, [row.id for row in rows])}
    return [_row(session, actor, row, people, counted.get(row.id, (0, None))) for row in rows]


def _counted(session: Session, ids: list[int]) -> Any:
    return session.execute(
        core_select(_VIEWS.c.link_id, func.count().label("n"), func.max(_VIEWS.c.at).label("at"))
        .where(_VIEWS.c.link_id.in_(ids), _VIEWS.c.refused.is_(False))
        .group_by(_VIEWS.c.link_id)
    )


def _row(
    session: Session, actor: Actor, row: ShareLink, people: Mapping[int, str], counted: tuple[int, datetime | None]
) -> LinkRow:
    mine = row.owner_id == actor.user_id
    works = _living(session, row) is not None
    return LinkRow(
        row.id, row.label, row.kind, row.kind.label, people.get(row.owner_id, ""), token_of(row.public_id) if mine else "", mine,
        row.password_hash is not None, row.embeddable, row.created_at, row.expires_at, row.revoked_at, works, *counted,
    )  # fmt: skip


def token_of(public_id: str) -> str:
    """The end of a link's address: its name and the signature of it."""
    return f"{public_id}.{signature(_PURPOSE, public_id)}"


def _own(session: Session, actor: Actor, link_id: int) -> ShareLink:
    require(actor, "analytics", Action.MANAGE)
    row = session.get(ShareLink, link_id)
    if row is None or (row.owner_id != actor.user_id and not actor.can("user", Action.MANAGE)):
        raise NotFound("This link does not exist, or belongs to somebody else.")
    return row


def revoke(session: Session, actor: Actor, link_id: int) -> None:
    """Withdraw a link at once and for ever."""
    row = _own(session, actor, link_id)
    row.revoked_at = row.revoked_at or utcnow()
    session.add(row)
    session.flush()


def extend(session: Session, actor: Actor, link_id: int, *, days: int) -> None:
    """Let an own link work so long from now on. A withdrawn one stays withdrawn."""
    row = _own(session, actor, link_id)
    if days not in DAYS or row.revoked_at is not None:
        raise Invalid("This link was withdrawn. Make a new one.")
    row.expires_at = utcnow() + timedelta(days=days)
    session.add(row)
    session.flush()


def views(session: Session, actor: Actor, link_id: int, *, limit: int = 200) -> list[dict[str, Any]]:
    """Who opened a link, the latest first: when, from which network, with which browser, and tries at its password that failed."""
    _own(session, actor, link_id)
    require(actor, "analytics", Action.MANAGE)
    found = session.execute(core_select(_VIEWS).where(_VIEWS.c.link_id == link_id).order_by(_VIEWS.c.id.desc()).limit(limit))
    return [dict(row._mapping) for row in found]


# --- for strangers ---------------------------------------------------------------------------------------------------------


def open_link(session: Session, token: str) -> Opened:
    """The link behind an address. Raises NotFound with one sentence for whatever is wrong with it."""
    public_id, _, given = token.partition(".")
    if len(token) > 80 or not token.isascii() or not is_signed(_PURPOSE, public_id, given):
        raise NotFound(GONE)
    row = session.exec(select(ShareLink).where(ShareLink.public_id == public_id)).first()
    owner = _living(session, row) if row is not None else None
    if row is None or owner is None:
        raise NotFound(GONE)
    return Opened(
        row.id, row.version, row.public_id, row.kind, row.target_id, row.label, dict(row.filters), row.expires_at, row.embeddable,
        row.password_hash, owner,
    )  # fmt: skip


def _living(session: Session, row: ShareLink) -> Actor | None:
    """As whom a link is drawn; None when it must not open: withdrawn, expired, the owner gone or narrowed, the thing itself gone."""
    if row.revoked_at is not None or row.expires_at <= utcnow():
        return None
    try:
        owner = load(session, row.owner_id, via=Via.FORM)
        require(owner, "analytics", Action.MANAGE)
        _title(session, owner, row.kind, row.target_id)
    except CrmError:
        return None
    return owner


def begin_try(session: Session, opened: Opened, *, address: str = "") -> None:
    """Count a try at the password. Raises TooMany when the window's tries are used up; nothing is hashed then."""
    keys = {"pair": f"s:{opened.public_id}:{address}"[:300], "link": f"s:{opened.public_id}"}
    if not db.is_sqlite(session):  # a hundred tries at once must line up, or all of them pass the count
        session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:key))"), {"key": keys["link"]})
    since = utcnow() - WINDOW
    session.connection().execute(delete(_ATTEMPTS).where(_ATTEMPTS.c.at < since))
    for kind, key in keys.items():
        tries = session.execute(core_select(func.count()).where(_ATTEMPTS.c.key == key, _ATTEMPTS.c.at > since)).scalar_one()
        if tries >= TRIES[kind]:
            raise TooMany("Too many tries. Wait a quarter of an hour, or ask whoever gave you the link.")
    session.add_all(SigninAttempt(key=key, at=utcnow()) for key in keys.values())


def pass_sign(opened: Opened) -> str:
    """What a browser keeps after the right password: worth nothing for another link, after another password, or on another day but one."""
    return signature("share-pass", _pass_text(opened, utcnow().date()))


def has_pass(opened: Opened, given: str) -> bool:
    """True when the browser gave the right password today or yesterday."""
    today = utcnow().date()
    return any(is_signed("share-pass", _pass_text(opened, day), given) for day in (today, today - timedelta(days=1)))


def _pass_text(opened: Opened, day: date) -> str:
    return f"{opened.public_id}|{opened.password_hash}|{day.isoformat()}"


def note_view(session: Session, opened: Opened, *, address: str = "", browser: str = "", refused: bool = False) -> None:
    """Write down that a link was opened. Of the address only the network is kept."""
    session.add(ShareView(link_id=opened.id, at=utcnow(), refused=refused, address=_network(address), browser=clean(browser)[:120]))
    session.flush()
    last = core_select(_VIEWS.c.id).where(_VIEWS.c.link_id == opened.id).order_by(_VIEWS.c.id.desc()).offset(KEPT_VIEWS).limit(1)
    old = session.execute(last).scalar()
    if old is not None:
        session.connection().execute(delete(_VIEWS).where(_VIEWS.c.link_id == opened.id, _VIEWS.c.id <= old))


def _network(address: str) -> str:
    if ":" in address:
        return ":".join(address.split(":")[:3])[:60] + "::"
    return ".".join([*address.split(".")[:3], "x"])[:60] if address.count(".") == 3 else address[:60]


# --- what a link shows -----------------------------------------------------------------------------------------------------


def look_of(session: Session, actor: Actor, filters: Mapping[str, Any], settings: Mapping[str, Any] | None = None) -> Look:
    """The choices that were fixed when a link or a report was made."""
    kept = {**(settings or {}), **filters}
    preset = PeriodPreset(kept.get("period") or PeriodPreset.MONTHS_12.value)
    start, end = (date.fromisoformat(str(kept[key])) if kept.get(key) else None for key in ("start", "end"))
    if preset is PeriodPreset.CUSTOM and (start is None or end is None):
        preset = PeriodPreset.MONTHS_12
    chosen = metrics.select(
        session, actor, preset, Against(kept.get("against") or Against.PREVIOUS.value), start=start, end=end,
        owner_id=kept.get("owner_id"), pipeline_id=kept.get("pipeline_id"),
    )  # fmt: skip
    day = date.fromisoformat(str(kept["as_of"])) if kept.get("as_of") else None
    return tiles.look(chosen, day, preset)


def filters_of(look: Look, period: str) -> dict[str, Any]:
    """The choices of a look as they are kept; ``period``: the preset that it was made with."""
    chosen = look.selection
    found: dict[str, Any] = {
        "period": period,
        "against": chosen.against.value,
        "owner_id": chosen.owner_id,
        "pipeline_id": chosen.pipeline_id,
    }
    if period == PeriodPreset.CUSTOM.value:
        found |= {"start": str(chosen.period.start), "end": str(chosen.period.end)}
    if look.as_of is not None:
        found["as_of"] = look.as_of.isoformat()
    return {key: value for key, value in found.items() if value is not None}
