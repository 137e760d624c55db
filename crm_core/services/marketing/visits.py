"""Visits of the workspace's own web site, told by a snippet that stands there: anonymous until the person becomes known by a form or a click.

Whoever calls is nobody here. The key in the address says which workspace is meant; it lies open in the site's source, so it opens nothing and what it
brings in is only counted. Nothing is kept of a browser whose owner has not agreed: the snippet then sends nothing at all.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from sqlalchemy import and_, delete, func, or_, select
from sqlmodel import Session

from crm_core import db
from crm_core.access import Actor, require
from crm_core.errors import NotFound
from crm_core.jobs import Job, job
from crm_core.kit.clock import utcnow
from crm_core.models import Campaign, Touchpoint
from crm_core.services.marketing import signing, tracking
from crm_core.vocabulary import Action, Channel

PURPOSE = tracking.SITE
SAME_VISIT = timedelta(minutes=30)
MOST_A_DAY = 50
"""Visits of one browser that are believed."""
KEEP_DAYS = 180
_TOUCHES: Any = Touchpoint.__table__  # type: ignore[attr-defined]
_CAMPAIGNS: Any = Campaign.__table__  # type: ignore[attr-defined]
_VISITOR = re.compile(r"[0-9a-f]{32}")
_SEARCH = re.compile(r"(^|\.)(google|bing|duckduckgo|yahoo|ecosia|qwant|startpage|baidu|yandex)\.")
_SOCIAL = re.compile(
    r"(^|\.)(facebook|instagram|linkedin|lnkd|twitter|t|x|youtube|tiktok|reddit|pinterest|xing|mastodon|threads)\.(com|co|in|net|social)$"
)
_MEDIUMS = {
    "email": Channel.EMAIL, "e-mail": Channel.EMAIL, "newsletter": Channel.EMAIL, "cpc": Channel.PAID_SEARCH, "ppc": Channel.PAID_SEARCH,
    "paid": Channel.PAID_SEARCH, "paidsearch": Channel.PAID_SEARCH, "paid_search": Channel.PAID_SEARCH, "sem": Channel.PAID_SEARCH, "organic": Channel.ORGANIC,
    "social": Channel.SOCIAL, "paid_social": Channel.SOCIAL, "display": Channel.DISPLAY, "banner": Channel.DISPLAY, "cpm": Channel.DISPLAY,
    "referral": Channel.REFERRAL, "affiliate": Channel.PARTNER, "partner": Channel.PARTNER, "sms": Channel.SMS, "event": Channel.EVENT,
    "direct_mail": Channel.DIRECT_MAIL, "print": Channel.DIRECT_MAIL, "phone": Channel.PHONE,
}  # fmt: skip


def key(session: Session) -> str:
    """The workspace's key for its sites; empty while nobody has fetched the snippet."""
    secret = signing.key(session, PURPOSE)
    return _public(secret) if secret else ""


def open_key(session: Session, actor: Actor) -> str:
    """The key, made at the first time. From then on links in letters name the browser to the site, so that a click and a visit are one person."""
    require(actor, "lead_form", Action.MANAGE)
    return _public(signing.ensure(session, PURPOSE))


def _public(secret: str) -> str:
    return hmac.new(secret.encode(), b"site", hashlib.sha256).hexdigest()[:32]


@dataclass(frozen=True)
class Count:
    """What came in lately: visits, and those of people who are known by now."""

    visits: int
    known: int


def lately(session: Session, actor: Actor, days: int = 30) -> Count:
    """How many visits the snippet told of."""
    require(actor, "lead_form", Action.READ)
    seen = and_(_TOUCHES.c.kind == "visit", _TOUCHES.c.anonymous_id.is_not(None), _TOUCHES.c.at > utcnow() - timedelta(days=days))
    person = or_(_TOUCHES.c.contact_id.is_not(None), _TOUCHES.c.lead_id.is_not(None))
    every = session.execute(select(func.count()).where(seen)).scalar_one()
    return Count(every, session.execute(select(func.count()).where(seen, person)).scalar_one())


def check(session: Session, given: str) -> None:
    """NotFound for any key but the workspace's own."""
    mine = key(session)
    if not mine or not hmac.compare_digest(mine.encode(), given.encode()):
        raise NotFound(tracking.GONE)


def note(session: Session, given: str, visitor: str, *, url: str = "", referrer: str = "", machine: bool = False) -> bool:
    """Keep one visit of a browser whose owner agreed. False when there was nothing to keep: a machine, the same visit, too many."""
    check(session, given)
    if machine or not _VISITOR.fullmatch(visitor) or urlsplit(url).scheme not in ("http", "https"):
        return False
    asked = dict(parse_qsl(urlsplit(url).query)[:40])
    channel = channel_of(asked, url, referrer)
    now = utcnow()
    mine = and_(_TOUCHES.c.anonymous_id == visitor, _TOUCHES.c.at > now - timedelta(days=1))
    recent = session.execute(select(_TOUCHES.c.at, _TOUCHES.c.channel, _TOUCHES.c.kind).where(mine)).all()
    again = any(row.at > now - SAME_VISIT and (row.channel == channel or channel is Channel.DIRECT) for row in recent)
    if again or len(recent) >= MOST_A_DAY:
        return False
    contact_id, lead_id = _person(session, visitor)
    session.add(
        Touchpoint(
            contact_id=contact_id, lead_id=lead_id, anonymous_id=visitor, channel=channel, campaign_id=campaign_of(session, asked), at=now, kind="visit",
            url=_bare(url),
        )
    )  # fmt: skip
    session.flush()
    return True


def _bare(url: str) -> str:
    """The address without what stands behind the question mark: that may name people."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"[:1000]


def channel_of(asked: dict[str, str], url: str, referrer: str) -> Channel:
    """By what the link says of itself, else by where the visitor came from."""
    medium = asked.get("utm_medium", "").strip().lower().replace(" ", "_")
    if medium in _MEDIUMS:
        return _MEDIUMS[medium]
    if asked.get("gclid") or asked.get("msclkid"):
        return Channel.PAID_SEARCH
    host = urlsplit(referrer).hostname or ""
    if not host or host == urlsplit(url).hostname:
        return Channel.WEB if medium or asked.get("utm_source") else Channel.DIRECT
    if _SEARCH.search(host):
        return Channel.ORGANIC
    return Channel.SOCIAL if _SOCIAL.search(host) else Channel.REFERRAL


def campaign_of(session: Session, asked: dict[str, str]) -> int | None:
    """The campaign whose name the link carries, as ``tracking.with_source`` writes it; the newest of that name."""
    wanted = asked.get("utm_campaign", "").strip().lower()
    if not wanted:
        return None
    rows = session.execute(
        select(_CAMPAIGNS.c.id, _CAMPAIGNS.c.name)
        .where(_CAMPAIGNS.c.deleted_at.is_(None))
        .order_by(_CAMPAIGNS.c.id.desc())
        .limit(2_000)
    )
    return next((row.id for row in rows if tracking.slug(row.name, row.id) == wanted or row.name.lower() == wanted), None)


def _person(session: Session, visitor: str) -> tuple[int | None, int | None]:
    """Who this browser belongs to, as its latest named touch says."""
    named = and_(_TOUCHES.c.anonymous_id == visitor, or_(_TOUCHES.c.contact_id.is_not(None), _TOUCHES.c.lead_id.is_not(None)))
    row = session.execute(
        select(_TOUCHES.c.contact_id, _TOUCHES.c.lead_id).where(named).order_by(_TOUCHES.c.id.desc()).limit(1)
    ).first()
    return (row.contact_id, row.lead_id) if row else (None, None)


@job("visits.forget", title="Forget visits of unknown browsers", cron="40 3 * * *")
def forget(task: Job) -> None:
    """Nightly: what nobody was found for within half a year."""
    with task.transaction() as session:
        old = and_(
            _TOUCHES.c.kind == "visit", _TOUCHES.c.anonymous_id.is_not(None), _TOUCHES.c.contact_id.is_(None), _TOUCHES.c.lead_id.is_(None),
            _TOUCHES.c.at < utcnow() - timedelta(days=KEEP_DAYS),
        )  # fmt: skip
        if session.execute(delete(_TOUCHES).where(old)).rowcount:  # type: ignore[attr-defined]
            db.bump(session, _TOUCHES.name)
