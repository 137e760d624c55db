"""A launched campaign going out: a handful of people at a time, asked once more at the last moment, each at most once.

Choosing people, writing their letters and queueing them is one transaction, so a kill leaves either none of it or all of it; what was
queued is then sent by the outbox, which knows how to survive a kill in the middle of a message.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, case, func, or_, select, update
from sqlmodel import Session

from crm_core import db, events
from crm_core.access import Actor, require, system
from crm_core.entities import entity
from crm_core.errors import CrmError
from crm_core.jobs import Job, enqueue, job
from crm_core.kit.clock import utcnow
from crm_core.models import Campaign, CampaignPlan, CampaignVariant, MailDelivery
from crm_core.services.collaboration import halts, mail_run, outbox, quiet_hours
from crm_core.services.collaboration.quiet_hours import QuietHours
from crm_core.services.customers import consent
from crm_core.services.marketing import audience, letter_rules, letters, plans, signing
from crm_core.services.marketing.audience import MEMBERS
from crm_core.services.marketing.launching import PLANS, batch_of
from crm_core.services.marketing.letter_rules import COUPON
from crm_core.services.sales import promotion_codes
from crm_core.vocabulary import Action, HaltKind, MailState, MemberStatus, PlanState, RecipientStep

BATCH = 50
MAIL: Any = MailDelivery.__table__  # type: ignore[attr-defined]
OUT = (MailState.SENT, MailState.HANDED)
MAILED = (RecipientStep.WAITING, RecipientStep.QUEUED, RecipientStep.SKIPPED)
"""Members who are written to: neither held out nor on lists alone."""
NO_COUPON = "no_coupon"
"""Why somebody got no letter whose discount code would not have worked any more."""
CALLED_BACK = "called_back"
"""Why somebody was left out whose letter was taken out of the outbox before its turn: they left meanwhile, or somebody stopped it."""

PLACE: Any = case(
    (MEMBERS.c.step == RecipientStep.SKIPPED, "skipped"), (MEMBERS.c.step == RecipientStep.WAITING, "waiting"), (MAIL.c.state.in_(OUT), "out"),
    (MAIL.c.state == MailState.BOUNCED, "bounced"), (MAIL.c.state == MailState.CANCELLED, "skipped"), (MAIL.c.state == MailState.FAILED, "failed"),
    else_="outbox",
)  # fmt: skip
"""Where the letter to a member is, joined with their message."""
WHY: Any = func.coalesce(func.nullif(MEMBERS.c.skip_reason, ""), case((MAIL.c.state == MailState.CANCELLED, CALLED_BACK), else_=""))
"""Why there is none, where ``PLACE`` is "skipped"."""


@dataclass
class _Desk:
    """What writing a batch needs, read once per batch."""

    plan: CampaignPlan
    quiet: QuietHours
    variants: Mapping[str, CampaignVariant]
    links: Mapping[str, int]
    key: str
    base_url: str
    coupon_problem: str
    paused: bool


def anything_waits(session: Session) -> bool:
    """True when a campaign goes out and somebody's time has come: whatever became of its job, the clock picks it up."""
    due = and_(PLANS.c.state == PlanState.SENDING, PLANS.c.launched_at < utcnow() - timedelta(minutes=2))
    waits = select(MEMBERS.c.id).where(
        MEMBERS.c.campaign_id == PLANS.c.campaign_id, MEMBERS.c.step == RecipientStep.WAITING, MEMBERS.c.due_at <= utcnow()
    )
    return session.execute(select(PLANS.c.id).where(due, waits.exists()).limit(1)).first() is not None


@job("campaign.wake", title="Go on with campaigns", cron="*/5 * * * *", when=anything_waits, keep_days=2)
def wake(job: Job) -> None:
    """Every five minutes, if somebody waits: quiet hours ended, or a job was lost."""
    with job.transaction() as session:
        ids = list(session.execute(select(PLANS.c.campaign_id).where(PLANS.c.state == PlanState.SENDING)).scalars())
    for campaign_id in ids:
        send(job, campaign_id)


@job("campaign.send", title="Send a campaign")
def send(job: Job, campaign_id: int) -> None:
    """Send until nobody is left whose time has come, or somebody pauses."""
    while True:
        with job.transaction() as session:
            taken = _take(session, campaign_id)
            done, total = _progress(session, campaign_id)
            job.report(done, total)
        gone = _drain(job, campaign_id)
        with job.transaction() as session:
            _note_status(session, campaign_id)
            if not taken or gone:
                _settle(session, campaign_id, server_gone=gone)
                return


def _drain(job: Job, campaign_id: int) -> bool:
    while rows := mail_run.claim(job, batch_of(campaign_id)):
        if mail_run.deliver(job, rows).server_gone:
            return True
    return False


def _progress(session: Session, campaign_id: int) -> tuple[int, int]:
    frozen = and_(MEMBERS.c.campaign_id == campaign_id, MEMBERS.c.step.in_(MAILED))
    counts = dict(session.execute(select(MEMBERS.c.step, func.count()).where(frozen).group_by(MEMBERS.c.step)).tuples().all())
    return sum(counts.values()) - counts.get(RecipientStep.WAITING, 0), sum(counts.values())


# --- a handful of people ----------------------------------------------------------------------------------------------------


def _take(session: Session, campaign_id: int) -> int:
    """Queue the letters of the next people whose time has come; gives how many people were decided about."""
    plan = session.execute(select(CampaignPlan).where(PLANS.c.campaign_id == campaign_id)).scalars().first()
    if plan is None or plan.state is not PlanState.SENDING or halts.halted(session, HaltKind.MAIL):
        return 0
    actor, now = system(), utcnow()
    until = consent.from_when(session, actor, now, None)
    if until > now:
        _put_off(session, campaign_id, until)
        return 0
    waiting = _waiting_wordings(session, plan)
    due = and_(_in_turn(campaign_id, waiting), MEMBERS.c.due_at <= now)
    wanted = select(MEMBERS).where(due).order_by(MEMBERS.c.due_at, MEMBERS.c.id).limit(BATCH).with_for_update(skip_locked=True)
    rows = list(session.execute(wanted))
    if not rows:
        return 0
    desk = _desk(session, actor, plan)
    for key in consent.PEOPLE:
        mine = {getattr(row, f"{key}_id"): row for row in rows if getattr(row, f"{key}_id") is not None}
        if mine:
            _decide(session, actor, desk, key, mine)
    db.bump(session, MEMBERS.name)
    return len(rows)


def _put_off(session: Session, campaign_id: int, until: Any) -> None:
    waiting = and_(MEMBERS.c.campaign_id == campaign_id, MEMBERS.c.step == RecipientStep.WAITING, MEMBERS.c.due_at < until)
    session.execute(update(MEMBERS).where(waiting).values(due_at=until))
    db.bump(session, MEMBERS.name)


def _waiting_wordings(session: Session, plan: CampaignPlan) -> list[str]:
    """The wordings that wait as a whole: they show a code, and its promotion is paused."""
    if promotion_codes.paused(session, plan.promotion_id) is None:
        return []
    return [
        one.key for one in plans.variants(session, system(), plan.campaign_id) if letter_rules.shows_coupon(one.subject, one.body)
    ]


def _in_turn(campaign_id: int, waiting: Collection[str]) -> Any:
    """Members who wait for nothing but their time."""
    still = _still_waiting(campaign_id)
    return and_(still, _wording().not_in(waiting)) if waiting else still


def _held_back(session: Session, campaign_id: int, waiting: Collection[str]) -> int:
    """How many members wait for a paused promotion."""
    if not waiting:
        return 0
    held = and_(_still_waiting(campaign_id), _wording().in_(waiting))
    return session.execute(select(func.count()).select_from(MEMBERS).where(held)).scalar_one()


def _still_waiting(campaign_id: int) -> Any:
    return and_(MEMBERS.c.campaign_id == campaign_id, MEMBERS.c.step == RecipientStep.WAITING)


def _wording() -> Any:
    return func.coalesce(MEMBERS.c.variant, "A")


def _desk(session: Session, actor: Actor, plan: CampaignPlan) -> _Desk:
    wordings = {one.key: one for one in plans.variants(session, actor, plan.campaign_id)}
    coupons = any(letter_rules.shows_coupon(one.subject, one.body) for one in wordings.values())
    return _Desk(
        plan, quiet_hours.of_workspace(session), wordings, letters.link_ids(session, actor, plan.campaign_id), signing.key(session),
        letters.base_url(plan), promotion_codes.usable(session, plan.promotion_id) if coupons else "",
        promotion_codes.paused(session, plan.promotion_id) is not None,
    )  # fmt: skip


def _decide(session: Session, actor: Actor, desk: _Desk, key: str, members: Mapping[int, Any]) -> None:
    """Ask every gate once more, and the hours a person prefers; write to whoever passes."""
    table, now = entity(key).table, utcnow()
    gates = audience.gates(desk.plan, key, table, now, desk.quiet.rules)
    hours = [table.c.preferred_hours, table.c.timezone] if key == "contact" else []
    alive = and_(table.c.id.in_(list(members)), table.c.deleted_at.is_(None))
    columns = (table.c.id, consent.first_closed(gates).label("closed"), *hours)
    found = {row.id: row for row in session.execute(select(*columns).where(alive))}
    values = letters.values_of(session, actor, key, found)
    passed: list[int] = []
    for record_id, member in members.items():
        row = found.get(record_id)
        if row is None or row.closed:
            _skip(session, member, row.closed if row is not None else "gone")
            continue
        special = key == "contact" and (row.preferred_hours or row.timezone)
        later = desk.quiet.from_when(now, row.preferred_hours, row.timezone) if special else now
        if later > now:
            session.execute(update(MEMBERS).where(MEMBERS.c.id == member.id).values(due_at=later))
            continue
        passed.append(record_id)
    readers = [one for one in passed if _shows_coupon(desk, members[one])]
    coupons = _coupons(session, desk, key, readers)
    for record_id in passed:
        if record_id in readers and desk.paused:
            continue  # since a moment ago: their wording waits from now on
        if desk.coupon_problem and record_id in readers:
            _skip(session, members[record_id], NO_COUPON)
        else:
            _write(session, actor, desk, key, members[record_id], {**values[record_id], COUPON: coupons.get(record_id, "")})


def _shows_coupon(desk: _Desk, member: Any) -> bool:
    """Whether their letter, of all wordings and parts, has a place for a code."""
    variant = desk.variants.get(member.variant or "A")
    return variant is not None and letter_rules.shows_coupon(variant.subject, variant.body, audience.inside_from(member.inside))


def _coupons(session: Session, desk: _Desk, key: str, ids: list[int]) -> dict[int, str]:
    """The code of each, drawn in the transaction that queues their letters: whatever is tried again, nobody draws twice."""
    if not ids or desk.coupon_problem or not desk.plan.promotion_id:
        return {}
    return promotion_codes.draw(session, desk.plan.promotion_id, key, ids, campaign_id=desk.plan.campaign_id)


def _skip(session: Session, member: Any, reason: str) -> None:
    values = {"step": RecipientStep.SKIPPED, "skip_reason": reason, "updated_at": utcnow()}
    session.execute(update(MEMBERS).where(MEMBERS.c.id == member.id).values(**values))


def _write(session: Session, actor: Actor, desk: _Desk, key: str, member: Any, values: Mapping[str, str]) -> None:
    variant = desk.variants.get(member.variant or "A")
    if variant is None:
        _skip(session, member, "no_letter")
        return
    inside = audience.inside_from(member.inside)
    if not letter_rules.shown(variant.body, inside).strip():
        _skip(session, member, "no_letter")
        return
    mark = letters.Postmark(desk.base_url, desk.key, member.id, desk.links, letters.today())
    letter = letters.compose(variant, values, mark, desk.quiet.rules.postal_address, inside)
    try:
        mail_id = outbox.queue(
            session, actor, to=letter.to, name=letter.name, subject=letter.subject, text=letter.text, html=letter.html,
            headers=letter.headers, kind="campaign", batch=batch_of(desk.plan.campaign_id), keep=False, start=False,
            purpose=desk.plan.purpose,
            dedupe_key=f"campaign:{desk.plan.campaign_id}:{member.id}", **{f"{key}_id": getattr(member, f"{key}_id")},
        )  # fmt: skip
    except CrmError:
        _skip(session, member, "no_address")
        return
    taken = {"step": RecipientStep.QUEUED, "mail_id": mail_id, "address": letter.to, "updated_at": utcnow()}
    session.execute(update(MEMBERS).where(MEMBERS.c.id == member.id).values(**taken))


# --- what became of it ------------------------------------------------------------------------------------------------------


def _note_status(session: Session, campaign_id: int) -> None:
    out = select(MAIL.c.id).where(MAIL.c.batch == batch_of(campaign_id), MAIL.c.state.in_(OUT))
    planned = and_(MEMBERS.c.campaign_id == campaign_id, MEMBERS.c.status == MemberStatus.PLANNED, MEMBERS.c.mail_id.in_(out))
    if session.execute(update(MEMBERS).where(planned).values(status=MemberStatus.SENT, updated_at=utcnow())).rowcount:  # type: ignore[attr-defined]
        db.bump(session, MEMBERS.name)


def _settle(session: Session, campaign_id: int, *, server_gone: bool) -> None:
    """Nobody is left for now: come back when the next person's time has come, or be done."""
    plan = session.execute(select(CampaignPlan).where(PLANS.c.campaign_id == campaign_id)).scalars().first()
    if plan is None or plan.state is not PlanState.SENDING:
        return
    waiting = _waiting_wordings(session, plan)
    due = [at for at in (_next_member(session, campaign_id, waiting), _next_mail(session, campaign_id)) if at is not None]
    if due or server_gone:
        wanted = max(min(due), utcnow()) if due else utcnow() + timedelta(seconds=60)
        slot = int(wanted.timestamp() // 60) + 1  # the next full minute: its job can't have run yet
        wait = slot * 60 - utcnow().timestamp()
        title = f"Send “{session.get(Campaign, campaign_id).name}”"  # type: ignore[union-attr]
        enqueue(
            session,
            "campaign.send",
            campaign_id,
            job_id=f"campaign.send:{campaign_id}:{slot}",
            delay_seconds=wait,
            title=title[:200],
        )
        return
    if _held_back(session, campaign_id, waiting):  # the clock looks every few minutes whether the promotion goes on
        return
    plan.state, plan.finished_at = PlanState.DONE, utcnow()
    session.add(plan)
    session.flush()
    done, _ = _progress(session, campaign_id)
    events.record(session, system(), "campaign.sent", session.get(Campaign, campaign_id), data={"count": done})


def _next_member(session: Session, campaign_id: int, waiting: Collection[str]) -> Any:
    return session.execute(select(func.min(MEMBERS.c.due_at)).where(_in_turn(campaign_id, waiting))).scalar()


def _next_mail(session: Session, campaign_id: int) -> Any:
    waiting = and_(MAIL.c.batch == batch_of(campaign_id), or_(MAIL.c.state == MailState.PENDING, MAIL.c.state == MailState.SENDING))
    return session.execute(select(func.min(MAIL.c.next_at)).where(waiting)).scalar()


@dataclass(frozen=True)
class Progress:
    """How far a launched campaign is. ``skipped``: reason → people who were left out at the last moment; ``next_at``: when the next of those
    who wait for their hours gets theirs, None when nobody waits for that; ``held``: those of the waiting who wait for a promotion that is paused,
    ``promotion``: its name, "" where it is hidden."""

    total: int
    waiting: int
    in_outbox: int
    out: int
    bounced: int
    failed: int
    skipped: dict[str, int]
    next_at: datetime | None = None
    held: int = 0
    promotion: str = ""


def progress(session: Session, actor: Actor, campaign_id: int) -> Progress:
    """How far the sending is, counted from the rows themselves."""
    require(actor, "campaign", Action.READ)
    plan = plans.get(session, actor, campaign_id)
    frozen = and_(MEMBERS.c.campaign_id == campaign_id, MEMBERS.c.step.in_(MAILED))
    joined = MEMBERS.outerjoin(MAIL, MAIL.c.id == MEMBERS.c.mail_id)
    found = select(PLACE.label("place"), WHY.label("why"), func.count()).select_from(joined).where(frozen)
    rows = session.execute(found.group_by("place", "why")).all()
    counts: dict[str, int] = {}
    for place, _why, count in rows:
        counts[place] = counts.get(place, 0) + count
    skipped = {why: count for place, why, count in rows if place == "skipped"}
    total = sum(counts.values())
    waiting = _waiting_wordings(session, plan) if counts.get("waiting") else []
    held = _held_back(session, campaign_id, waiting)
    promotion = promotion_codes.paused(session, plan.promotion_id) if held and actor.can("promotion", Action.READ) else None
    return Progress(
        total,
        counts.get("waiting", 0),
        counts.get("outbox", 0),
        counts.get("out", 0),
        counts.get("bounced", 0),
        counts.get("failed", 0),
        skipped,
        due if counts.get("waiting") and (due := _next_member(session, campaign_id, waiting)) and due > utcnow() else None,
        held,
        promotion.name if promotion is not None else "",
    )
