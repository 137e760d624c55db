"""What readers of campaign messages do: open, click, unsubscribe, choose. They are nobody here; the signed token in the link is the permission."""

import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from sqlalchemy import and_, func, select, update
from sqlmodel import Session

from crm_core import db, events
from crm_core.access import Actor, system
from crm_core.errors import NotFound
from crm_core.kit.clock import today, utcnow
from crm_core.kit.text import email_key
from crm_core.models import (
    Campaign,
    CampaignMember,
    Contact,
    Lead,
    MailDelivery,
    Organisation,
    Suppression,
    Touchpoint,
    TrackedLink,
)
from crm_core.services.customers import consent, unsubscribing
from crm_core.services.marketing import signing, token_rules
from crm_core.vocabulary import Channel, ConsentStatus, ContactWay, MemberStatus, Purpose, SuppressionReason, Via

SITE = "site_visits"
"""Purpose of the key of the own web site."""
_PAGE = "The person's own page"
_LETTERS = 200
"""Letters of automations to one person in which a link is looked for."""
GONE = "It is not complete, or it is too old. Open it once more from the message; if that does not help, answer to whoever wrote to you."
MEMBERS: Any = CampaignMember.__table__  # type: ignore[attr-defined]
_MAIL: Any = MailDelivery.__table__  # type: ignore[attr-defined]
_TOUCHES: Any = Touchpoint.__table__  # type: ignore[attr-defined]
_LINKS: Any = TrackedLink.__table__  # type: ignore[attr-defined]
_BLOCKS: Any = Suppression.__table__  # type: ignore[attr-defined]
_MACHINES = re.compile(
    r"bot\b|crawl|spider|preview|scanner|barracuda|mimecast|proofpoint|safelinks|googleimageproxy|yahoomailproxy|python-|curl/|wget|headless|go-http|java/",
    re.IGNORECASE,
)
_TOO_QUICK = timedelta(seconds=3)
_VISITOR = re.compile(r"[0-9a-f]{32}")
_BEFORE = {
    MemberStatus.OPENED: (MemberStatus.PLANNED, MemberStatus.SENT),
    MemberStatus.CLICKED: (MemberStatus.PLANNED, MemberStatus.SENT, MemberStatus.OPENED),
    MemberStatus.RESPONDED: (MemberStatus.PLANNED, MemberStatus.SENT, MemberStatus.OPENED, MemberStatus.CLICKED),
}
_LEAVING = re.compile(
    r"^\W*(please\W+)?(unsubscribe( me)?|stop|remove me|opt[- ]?out|abmelden|abbestellen|désabonner|cancelar|annulla iscrizione|uitschrijven)\W*$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Landing:
    """Where a click leads, and the name of the browser for later visits."""

    url: str
    visitor: str


def is_machine(user_agent: str, purpose: str = "") -> bool:
    """True for what fetches links without a person: crawlers, mail scanners, image proxies, a browser that loads ahead."""
    return not user_agent or bool(_MACHINES.search(user_agent)) or "prefetch" in purpose.lower() or "preview" in purpose.lower()


def click(session: Session, text: str, *, visitor: str = "", machine: bool = False) -> Landing:
    """Note a click and give the place it leads to: an address that the campaign itself wrote down, never one from the link."""
    token = _token(session, text, token_rules.CLICK)
    member = _member(session, token.member)
    url = session.execute(
        select(_LINKS.c.url).where(_LINKS.c.id == token.link, _LINKS.c.campaign_id == member.campaign_id)
    ).scalar()
    if url is None:
        raise NotFound(GONE)
    visitor = visitor if _VISITOR.fullmatch(visitor) else secrets.token_hex(16)
    if not machine and not _too_quick(session, member):
        _note_click(session, member, url, visitor)
    landing = with_source(url, session.get(Campaign, member.campaign_id), member.variant)
    return Landing(_named(landing, visitor) if signing.key(session, SITE) else landing, visitor)


def _named(url: str, visitor: str) -> str:
    """The address with the browser's name, for a site that tells of its visits: what it keeps of it is up to the visitor's consent there."""
    parts = urlsplit(url)
    query = "&".join(part for part in (parts.query, f"rapport_v={visitor}") if part)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, parts.fragment))


def _note_click(session: Session, member: Any, url: str, visitor: str) -> None:
    now = utcnow()
    _reach(
        session,
        member,
        MemberStatus.CLICKED,
        {"clicked_at": func.coalesce(MEMBERS.c.clicked_at, now), "opened_at": func.coalesce(MEMBERS.c.opened_at, now)},
    )
    who = _who(session, member)
    join(session, visitor, **who)
    again = and_(
        _TOUCHES.c.anonymous_id == visitor, _TOUCHES.c.campaign_id == member.campaign_id, _TOUCHES.c.url == url,
        _TOUCHES.c.kind == "click", _TOUCHES.c.at > now - timedelta(minutes=30),
    )  # fmt: skip
    if session.execute(select(_TOUCHES.c.id).where(again).limit(1)).first() is None:
        session.add(
            Touchpoint(
                **who, anonymous_id=visitor, channel=Channel.EMAIL, campaign_id=member.campaign_id, at=now, kind="click", url=url
            )
        )
        session.flush()


def _who(session: Session, member: Any) -> dict[str, Any]:
    """The reader: a lead that was converted meanwhile is also the contact it became."""
    contact_id = member.contact_id
    if contact_id is None and member.lead_id is not None:
        contact_id = session.execute(select(Lead.converted_contact_id).where(Lead.id == member.lead_id)).scalar()  # type: ignore[call-overload]
    return {"contact_id": contact_id, "lead_id": member.lead_id}


def join(session: Session, visitor: str, *, contact_id: int | None = None, lead_id: int | None = None) -> None:
    """The browser has a name now: what it did before, unknown to us, was done by this person."""
    if not _VISITOR.fullmatch(visitor):
        return
    who = {"contact_id": contact_id, "lead_id": lead_id}
    unknown = and_(_TOUCHES.c.anonymous_id == visitor, _TOUCHES.c.contact_id.is_(None), _TOUCHES.c.lead_id.is_(None))
    if session.execute(update(_TOUCHES).where(unknown).values(**who)).rowcount:  # type: ignore[attr-defined]
        db.bump(session, _TOUCHES.name)


def opened(session: Session, text: str, *, machine: bool = False) -> None:
    """Note that the picture in a message was fetched. A hint, not proof: some programs fetch it unread, others never do."""
    token = _token(session, text, token_rules.OPEN)
    member = _member(session, token.member)
    if not machine and not _too_quick(session, member):
        _reach(session, member, MemberStatus.OPENED, {"opened_at": func.coalesce(MEMBERS.c.opened_at, utcnow())})


@dataclass(frozen=True)
class Answer:
    """Who answered which campaign."""

    campaign_id: int
    campaign: str
    contact_id: int | None
    lead_id: int | None


def member_of(session: Session, mail_id: int | None, text: str) -> int | None:
    """Whose letter was answered: by its row in the outbox, else by the signed link to unsubscribe that it has in its head and that mail programs
    quote along. Of an automation's letters the row alone doesn't tell: one member may get several."""
    if mail_id is not None:
        found = session.execute(select(MEMBERS.c.id).where(MEMBERS.c.mail_id == mail_id)).scalar()
        if found is not None:
            return int(found)
        head = session.execute(select(_MAIL.c.headers).where(_MAIL.c.id == mail_id)).scalar() or {}
        text = f"{head.get('List-Unsubscribe', '')} {text}"
    return next((one for one in named(session, text) if _is_member(session, one)), None)


def _is_member(session: Session, member_id: int) -> bool:
    return session.execute(select(MEMBERS.c.id).where(MEMBERS.c.id == member_id)).first() is not None


def named(session: Session, text: str) -> list[int]:
    """The members whom the links to unsubscribe in a text name."""
    key = signing.key(session)
    marks = re.findall(r"/u/([A-Za-z0-9_-]{20,60})", text)[:5] if key else ()
    tokens = (token_rules.read(key, mark, token_rules.LEAVE) for mark in marks)
    return [token.member for token in tokens if token is not None]


def replied(session: Session, member_id: int, fresh: str = "") -> Answer:
    """Note that somebody answered a letter by mail: once, with a touch of the campaign. Who writes only “unsubscribe” is, which is no response. Events:
    campaign.replied."""
    member = _member(session, member_id)
    now = utcnow()
    campaign = session.get(Campaign, member.campaign_id)
    leaving = _LEAVING.match(fresh.strip())
    if leaving:
        _reach(session, member, MemberStatus.OPENED, {"opened_at": func.coalesce(MEMBERS.c.opened_at, now)})
        _leave(session, system(Via.MAIL), member, f"Wrote “{fresh.strip()[:40]}” in answer to {_called(session, member)}")
    elif member.replied_at is None:
        values = {
            "replied_at": now,
            "responded_at": func.coalesce(MEMBERS.c.responded_at, now),
            "opened_at": func.coalesce(MEMBERS.c.opened_at, now),
        }
        _reach(session, member, MemberStatus.RESPONDED, values)
        session.add(
            Touchpoint(
                **_who(session, member),
                channel=Channel.EMAIL,
                campaign_id=member.campaign_id,
                at=now,
                kind="reply",
            )
        )
        session.flush()
        events.record(session, system(Via.MAIL), "campaign.replied", campaign)
    return Answer(member.campaign_id, campaign.name if campaign else "", member.contact_id, member.lead_id)


def _too_quick(session: Session, member: Any) -> bool:
    """Within seconds of the sending it was a scanner at the door of the reader's mail server."""
    sent = session.execute(select(_MAIL.c.sent_at).where(_MAIL.c.id == member.mail_id)).scalar()
    return sent is not None and utcnow() - sent < _TOO_QUICK


def _reach(session: Session, member: Any, status: MemberStatus, values: dict[str, Any]) -> None:
    session.execute(update(MEMBERS).where(MEMBERS.c.id == member.id).values(**values, updated_at=utcnow()))
    session.execute(update(MEMBERS).where(MEMBERS.c.id == member.id, MEMBERS.c.status.in_(_BEFORE[status])).values(status=status))
    db.bump(session, MEMBERS.name)


def slug(name: str, campaign_id: int) -> str:
    """A campaign's name as links carry it."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or f"campaign-{campaign_id}"


def with_source(url: str, campaign: Campaign | None, variant: str | None) -> str:
    """The address with UTM parameters, unless it has its own: the site's own statistics then name the campaign too."""
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    if any(key.lower().startswith("utm_") for key, _ in pairs) or campaign is None:
        return url
    pairs += [("utm_source", "rapport"), ("utm_medium", "email"), ("utm_campaign", slug(campaign.name, campaign.id or 0))]
    pairs += [("utm_content", variant.lower())] if variant else []
    return urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(pairs), parts.fragment))


# --- unsubscribe and choose -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reader:
    """What the page shows to whoever holds the link: a shortened address, the workspace, and what they get now. ``left``: they unsubscribed;
    ``stopped``: nothing reaches the address for another reason (it bounced, they complained, or a colleague blocked it)."""

    address: str
    workspace: str
    agreed: frozenset[Purpose]
    left: bool
    stopped: bool


def reader(session: Session, text: str) -> Reader:
    """The person behind a link, as far as their own page shows them."""
    member, person, key = _person(session, text)
    workspace = session.execute(select(Organisation.name)).scalar() or "Rapport"  # type: ignore[call-overload]
    agreed = frozenset(one for one in Purpose if unsubscribing.agrees(session, system(), key, person.id, one))
    address = _address(session, text, member, person)
    why = set(session.execute(_open_blocks(address, _BLOCKS.c.reason)).scalars())
    left = SuppressionReason.UNSUBSCRIBED in why
    return Reader(_short(address), workspace, frozenset() if left else agreed, left, bool(why) and not left)


def _address(session: Session, text: str, member: Any, person: Any) -> str:
    """The address to which the letter with this link went, or the last one that was noted, or the person's own. One member may get several letters of
    automations, and their address may change between two: the link in the old one speaks for the old one."""
    return _went_to(session, text, member) or str(member.address or (person.email if person is not None else "") or "")


def _went_to(session: Session, text: str, member: Any) -> str:
    if not text:
        return ""
    mine = and_(_MAIL.c.contact_id == member.contact_id, _MAIL.c.lead_id == member.lead_id, _MAIL.c.kind == "automation")
    rows = session.execute(select(_MAIL.c.address, _MAIL.c.headers).where(mine).order_by(_MAIL.c.id.desc()).limit(_LETTERS))
    return next((row.address for row in rows if f"/u/{text}>" in str((row.headers or {}).get("List-Unsubscribe", ""))), "")


def leave(session: Session, text: str) -> None:
    """Unsubscribe: nothing for marketing goes to this address any more. Twice is as good as once. Events: <entity>.consent_changed."""
    member, _, _ = _person(session, text)
    _leave(session, system(Via.FORM), member, f"Unsubscribed from {_called(session, member)}", text)


def _called(session: Session, member: Any) -> str:
    campaign = session.get(Campaign, member.campaign_id)
    return f"“{campaign.name}”" if campaign is not None else "a campaign"


def _leave(session: Session, actor: Actor, member: Any, source: str, text: str = "") -> None:
    key = "contact" if member.contact_id is not None else "lead"
    person = session.get(Contact if key == "contact" else Lead, getattr(member, f"{key}_id"))
    also = [(key, person.id)] if person is not None else []
    if address := _address(session, text, member, person):
        unsubscribing.leave(session, actor, address, reason=SuppressionReason.UNSUBSCRIBED, source=source, also=also)
    session.execute(
        update(MEMBERS).where(MEMBERS.c.id == member.id, MEMBERS.c.unsubscribed_at.is_(None)).values(unsubscribed_at=utcnow())
    )
    db.bump(session, MEMBERS.name)


def choose(session: Session, text: str, wanted: frozenset[Purpose]) -> None:
    """What a person chose on their page. What they leave out ends on every record with their address; what they want holds for the one that was
    written to. Wanting something again lifts their own unsubscribing, no block of another kind. Events: <entity>.consent_changed."""
    member, person, key = _person(session, text)
    if not wanted:
        leave(session, text)
        return
    actor, address = system(Via.FORM), _address(session, text, member, person)
    others = [purpose for purpose in Purpose if purpose not in wanted]
    unsubscribing.no(session, actor, address, also=[(key, person.id)], purposes=others, source=_PAGE)
    for purpose in sorted(wanted):
        if not unsubscribing.agrees(session, actor, key, person.id, purpose):
            consent.record(
                session, actor, key, person.id, purpose=purpose, way=ContactWay.EMAIL, status=ConsentStatus.GRANTED, source=_PAGE
            )
    own = _open_blocks(address, _BLOCKS.c.id).where(_BLOCKS.c.reason == SuppressionReason.UNSUBSCRIBED)
    session.execute(update(_BLOCKS).where(_BLOCKS.c.id.in_(own)).values(lifted_at=utcnow(), updated_at=utcnow()))
    db.bump(session, _BLOCKS.name)


def _open_blocks(address: str, column: Any) -> Any:
    return select(column).where(
        _BLOCKS.c.address_key == email_key(address),
        _BLOCKS.c.way == ContactWay.EMAIL,
        _BLOCKS.c.lifted_at.is_(None),
    )


def _short(address: str) -> str:
    local, _, domain = address.partition("@")
    return f"{local[:1]}…@{domain}" if domain else ""


def _token(session: Session, text: str, kind: bytes) -> token_rules.Token:
    key = signing.key(session)
    found = token_rules.read(key, text, kind) if key else None
    if found is None or found.expired(today()):
        raise NotFound(GONE)
    return found


def _member(session: Session, member_id: int) -> Any:
    row = session.execute(select(MEMBERS).where(MEMBERS.c.id == member_id)).first()
    if row is None:
        raise NotFound(GONE)
    return row


def _person(session: Session, text: str) -> tuple[Any, Any, str]:
    member = _member(session, _token(session, text, token_rules.LEAVE).member)
    key = "contact" if member.contact_id is not None else "lead"
    person = session.get(Contact if key == "contact" else Lead, getattr(member, f"{key}_id"))
    if person is None:
        raise NotFound(GONE)
    return member, person, key
