"""Launch, pause, resume, stop: from here on people are fixed, and chance has decided who is held out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, case, func, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from crm_core import access, db, events, records
from crm_core.access import Actor
from crm_core.errors import Conflict, CrmError, Invalid
from crm_core.jobs import Job, enqueue, job
from crm_core.kit.clock import utcnow
from crm_core.models import Campaign, CampaignPlan
from crm_core.services.collaboration import outbox
from crm_core.services.customers import consent
from crm_core.services.marketing import all_ways, audience, letter_rules, letters, plans, signing, ways
from crm_core.services.marketing.audience import MEMBERS
from crm_core.services.marketing.ways import Way
from crm_core.vocabulary import Action, CampaignStatus, Gate, MailState, MemberStatus, Outlet, PlanState, RecipientStep

PLANS: Any = CampaignPlan.__table__  # type: ignore[attr-defined]


def batch_of(campaign_id: int) -> str:
    """Name of a campaign's messages in the outbox."""
    return f"campaign:{campaign_id}"


@dataclass(frozen=True)
class Readiness:
    """What keeps a campaign from being launched (``stops``), and what its owner should know (``advice``)."""

    stops: list[str]
    advice: list[str]
    funnel: audience.Funnel | None = None


def readiness(session: Session, actor: Actor, campaign_id: int) -> Readiness:
    """Whether a campaign can be launched now, and if not, why."""
    plan = plans.get(session, actor, campaign_id)
    found = ways.find(session, actor, plan)
    if problem := audience.problem(session, actor, *(way.aim for way in found)):
        return Readiness([problem], [])
    funnel = all_ways.whole(session, actor, [way.aim for way in found])
    stops, advice = _wording(session, actor, plan)
    closed = ["It was launched already."] if plan.state not in plans.OPEN else []
    advice += _unreached(session, actor, found)
    return Readiness([*closed, *_nobody(funnel), *_unmanned(found), *stops], advice, funnel)


def _unreached(session: Session, actor: Actor, found: Sequence[Way]) -> list[str]:
    """Channels of several that would reach nobody."""
    empty = [way for way in found if len(found) > 1 and not audience.funnel(session, actor, way.aim).eligible]
    return [f"{way.outlet.label} would reach nobody: look under Audience at which gate its people stop." for way in empty]


def _unmanned(found: Sequence[Way]) -> list[str]:
    """Ways that were to have people of their own, and got none yet."""
    words = "has no people of its own yet. Choose segments for it under Audience, or let it reach the campaign's people."
    return [f"{way.outlet.label} {words}" for way in found if way.own and not way.aim.segment_ids]


def _nobody(funnel: audience.Funnel) -> list[str]:
    if not funnel.total:
        return ["Nobody is in the audience yet. Choose a segment."]
    return [] if funnel.receive else ["Everybody in the audience is excluded by one of the gates."]


def _wording(session: Session, actor: Actor, plan: CampaignPlan) -> tuple[list[str], list[str]]:
    """What is wrong with the letter: reasons to stop, and advice."""
    if plan.outlet is not Outlet.EMAIL:
        return [], []
    wordings = plans.variants(session, actor, plan.campaign_id)
    stops, advice = [] if wordings else ["The letter is not written yet."], []
    for one in wordings:
        flaws = letters.lint(session, actor, plan, one)
        named = f"Wording {one.key}: " if len(wordings) > 1 else ""
        stops += [named + flaw.words for flaw in flaws if flaw.stops]
        advice += [named + flaw.words for flaw in flaws if not flaw.stops]
    if len(letter_rules.segments_in(*(one.body for one in wordings))) > plans.MAX_SEGMENTS:
        stops.append(f"The parts of all wordings together can ask for at most {plans.MAX_SEGMENTS} segments.")
    return stops, advice


def schedule(session: Session, actor: Actor, campaign_id: int, at: datetime, *, base_url: str = "") -> CampaignPlan:
    """Launch later: the audience is frozen at that instant, as it is then. Events: campaign.scheduled."""
    plan = plans.stored(session, actor, campaign_id)
    if at <= utcnow():
        raise Invalid(fields={"send_at": "Choose an instant in the future."})
    _refuse(readiness(session, actor, campaign_id).stops)
    plan.state, plan.send_at, plan.launched_by_id, plan.base_url = PlanState.SCHEDULED, at, actor.user_id, base_url[:300]
    session.add(plan)
    session.flush()
    _follow(session, actor, campaign_id, CampaignStatus.SCHEDULED)
    wait = (at - utcnow()).total_seconds()
    instant = at.isoformat()
    enqueue(session, "campaign.launch", campaign_id, instant, job_id=f"campaign.launch:{campaign_id}:{instant}", delay_seconds=wait)
    events.record(session, actor, "campaign.scheduled", session.get(Campaign, campaign_id), data={"at": at})
    return plan


def unschedule(session: Session, actor: Actor, campaign_id: int) -> CampaignPlan:
    """Back to planning. Events: campaign.unscheduled."""
    plan = plans.stored(session, actor, campaign_id)
    if plan.state is not PlanState.SCHEDULED:
        raise Conflict("This campaign is not scheduled.")
    plan.state, plan.send_at = PlanState.DRAFT, None
    session.add(plan)
    session.flush()
    _follow(session, actor, campaign_id, CampaignStatus.DRAFT)
    events.record(session, actor, "campaign.unscheduled", session.get(Campaign, campaign_id))
    return plan


@job("campaign.launch", title="Launch a campaign")
def launch_when_due(job: Job, campaign_id: int, instant: str) -> None:
    """The scheduled instant has come. Whoever scheduled it is the one whose eyes choose the audience; a later schedule replaces this one."""
    with job.transaction() as session:
        plan = session.get(CampaignPlan, session.execute(select(PLANS.c.id).where(PLANS.c.campaign_id == campaign_id)).scalar())
        if plan is None or plan.state is not PlanState.SCHEDULED or plan.launched_by_id is None:
            return
        if plan.send_at is None or plan.send_at.isoformat() != instant:
            return
        try:
            actor = access.load(session, plan.launched_by_id, via=access.system().via)
            with session.begin_nested():
                launch(session, actor, campaign_id, base_url=plan.base_url)
        except CrmError as error:
            session.refresh(plan)
            plan.state, plan.message = PlanState.DRAFT, f"The scheduled launch did not happen: {error.message}"[:500]
            session.add(plan)


def _refuse(stops: list[str]) -> None:
    if stops:
        raise Conflict(f"This campaign can't be launched yet. {' '.join(stops)}")


def _refuse_unready(session: Session, actor: Actor, plan: CampaignPlan) -> None:
    """What can be known before anybody is frozen; whether somebody is left shows itself then, without asking every gate twice."""
    found = ways.find(session, actor, plan)
    if problem := audience.problem(session, actor, *(way.aim for way in found)):
        _refuse([problem])
    closed = ["It was launched already."] if plan.state not in plans.OPEN else []
    _refuse([*closed, *_unmanned(found), *_wording(session, actor, plan)[0]])


def launch(session: Session, actor: Actor, campaign_id: int, *, base_url: str = "") -> audience.Funnel:
    """Freeze the recipients and let them go out. Who is held out is drawn now, by a seed that stays on record. Events: campaign.launched."""
    plan = plans.stored(session, actor, campaign_id)
    _refuse_unready(session, actor, plan)
    _take(session, plan)
    now = utcnow()
    found = ways.find(session, actor, plan)
    gates = _gates(session, actor, found, now)
    if base_url and not plan.base_url:
        plan.base_url = base_url[:300]
    if plan.outlet is Outlet.EMAIL and not letters.base_url(plan):
        raise Conflict("Nobody knows the address of this site, so links could not work. Set RAPPORT_PUBLIC_URL.")
    for key in consent.PEOPLE:
        _freeze(session, actor, plan, found, key, now)
    funnel = _counted(session, actor, plan, found, gates)
    _refuse(_nobody(funnel))
    email = plan.outlet is Outlet.EMAIL
    if email:
        signing.ensure(session)
        letters.register_links(session, actor, campaign_id)
    plan.state = PlanState.SENDING if email else PlanState.DONE
    plan.launched_at, plan.launched_by_id, plan.message = now, actor.user_id, ""
    plan.finished_at = None if email else now
    plan.funnel = funnel.kept()
    session.add(plan)
    session.flush()
    _follow(session, actor, campaign_id, CampaignStatus.RUNNING)
    if email:
        _start(session, actor, plan)
    events.record(
        session,
        actor,
        "campaign.launched",
        session.get(Campaign, campaign_id),
        data={"count": funnel.receive, "held_out": funnel.held_out},
    )
    return funnel


def _take(session: Session, plan: CampaignPlan) -> None:
    """Only one of two clicks gets past here."""
    mine = and_(PLANS.c.id == plan.id, PLANS.c.state.in_(plans.OPEN))
    if session.execute(update(PLANS).where(mine).values(state=PlanState.SENDING)).rowcount != 1:  # type: ignore[attr-defined]
        raise Conflict("This campaign was launched already.")


def _gates(session: Session, actor: Actor, found: Sequence[Way], now: datetime) -> dict[Outlet, tuple[int, dict[Gate, int]]]:
    """Everybody whom each way means, and how many stop at each gate, asked before anybody is a member."""
    return {way.outlet: audience.closed(session, actor, way.aim, at=now) for way in found}


def _counted(
    session: Session, actor: Actor, plan: CampaignPlan, found: Sequence[Way], gates: Mapping[Outlet, tuple[int, dict[Gate, int]]]
) -> audience.Funnel:
    """The funnel of the launch from those who became members; of several ways each keeps its own."""
    if len(found) == 1:
        return audience.Funnel.of_members(*gates[plan.outlet], *_count(session, plan.campaign_id))
    for way in found:
        of_way = audience.Funnel.of_members(*gates[way.outlet], *_count(session, plan.campaign_id, way.outlet))
        ways.note_funnel(session, actor, plan.campaign_id, way.outlet, of_way.kept())
    frozen, held = _count(session, plan.campaign_id)
    total = max(frozen, all_ways.meant(session, actor, [way.aim for way in found], at=utcnow()))
    return audience.Funnel(total, {Gate.UNREACHED: total - frozen} if total > frozen else {}, frozen, held)


def _freeze(session: Session, actor: Actor, plan: CampaignPlan, found: Sequence[Way], key: str, now: datetime) -> None:
    """Everybody who passes the gates of a way becomes a member, in one statement: hold-out and wording follow from the order of chance, which asks
    for the person alone and not for the way."""
    aims, several = [way.aim for way in found], len(found) > 1
    those = all_ways.united(session, actor, aims, key, now) if several else audience.recipients(session, actor, plan, key, now)
    rows = those.cte() if several else those.subquery()
    place = func.row_number().over(order_by=(rows.c.chance, rows.c.id)).label("place")
    total = func.count().over().label("total")
    ranked = select(*rows.c, place, total).subquery()
    control = ranked.c.place <= _held(ranked.c.total, plan.holdout_pct)
    fixed = {
        "campaign_id": plan.campaign_id,
        "status": MemberStatus.PLANNED,
        "due_at": ways.begins_at(session, actor, found[0], now),
        "created_at": now,
        "updated_at": now,
        "version": 1,
    }
    columns = {
        f"{key}_id": ranked.c.id,
        "address": func.substr(ranked.c.address, 1, 254),
        "is_control": control,
        "step": case((control, literal(RecipientStep.HOLDOUT, MEMBERS.c.step.type)), else_=_step(ranked, plan, several=several)),
        "variant": _written(ranked, plan, _variant(session, actor, plan, ranked.c.place), several=several),
        "inside": _inside(session, actor, plan, key, ranked.c.id),
        "ways": _ways(ranked, aims) if several else literal(None, MEMBERS.c.ways.type),
        **{name: literal(value, MEMBERS.c[name].type) for name, value in fixed.items()},
    }
    insert = sqlite.insert if db.is_sqlite(session) else postgresql.insert
    # By id, not by chance: the indexes grow at their end, which takes a third of the time.
    chosen = select(*columns.values()).where(ranked.c.id > 0).order_by(ranked.c.id)
    statement = insert(MEMBERS).from_select(list(columns), chosen)
    taken: dict[str, Any] = {
        name: statement.excluded[name]
        for name in ("address", "is_control", "step", "variant", "inside", "ways", "due_at", "updated_at")
    }
    taken |= {"mail_id": None, "skip_reason": None}  # what an automation wrote to them earlier is no message of this launch
    session.execute(
        statement.on_conflict_do_update(index_elements=["campaign_id", f"{key}_id"], set_=taken, where=MEMBERS.c.step.is_(None))
    )
    db.bump(session, MEMBERS.name)


def _step(ranked: Any, plan: CampaignPlan, *, several: bool) -> Any:
    """Whoever is written to waits for it; who is reached by lists alone is on them at once."""
    waiting, listed = (literal(step, MEMBERS.c.step.type) for step in (RecipientStep.WAITING, RecipientStep.LISTED))
    if plan.outlet is not Outlet.EMAIL:
        return listed
    return case((ranked.c[Outlet.EMAIL.value] == 1, waiting), else_=listed) if several else waiting


def _written(ranked: Any, plan: CampaignPlan, variant: Any, *, several: bool) -> Any:
    """The wording, for those who are written to."""
    if not several or plan.outlet is not Outlet.EMAIL:
        return variant
    return case((ranked.c[Outlet.EMAIL.value] == 1, variant), else_=literal(None, MEMBERS.c.variant.type))


def _ways(ranked: Any, aims: Sequence[audience.Aim]) -> Any:
    found: Any = literal(",")
    for aim in aims:
        found = found.concat(case((ranked.c[aim.outlet.value] == 1, literal(f"{aim.outlet.value},")), else_=literal("")))
    return found


def _held(total: Any, pct: int) -> Any:
    """``audience.held_out_of`` in SQL."""
    if not pct:
        return literal(0)
    rounded = (total * pct + 50) // 100
    return case((total < 2, 0), (rounded < 1, 1), (rounded >= total, total - 1), else_=rounded)


def _variant(session: Session, actor: Actor, plan: CampaignPlan, place: Any) -> Any:
    """A, B, … in turn by weight: the order is random, so the split is random too and as even as can be."""
    wordings = plans.variants(session, actor, plan.campaign_id) if plan.outlet is Outlet.EMAIL else []
    if not wordings:
        return literal(None, MEMBERS.c.variant.type)
    whole, passed, cases = sum(one.weight for one in wordings), 0, []
    for one in wordings:
        passed += one.weight
        cases.append((place % whole < passed, one.key))
    return case(*cases, else_=wordings[0].key)


def _inside(session: Session, actor: Actor, plan: CampaignPlan, key: str, column: Any) -> Any:
    """Who sees which parts of the letter is written down with them: what goes out later, or once more, is the same."""
    wordings = plans.variants(session, actor, plan.campaign_id) if plan.outlet is Outlet.EMAIL else []
    asked = letter_rules.segments_in(*(one.body for one in wordings))
    return audience.inside_column(session, actor, key, column, asked) if asked else literal(None, MEMBERS.c.inside.type)


def _count(session: Session, campaign_id: int, outlet: Outlet | None = None) -> tuple[int, int]:
    """How many were frozen (for one of several ways), and how many of them are held out."""
    held = func.sum(case((MEMBERS.c.step == RecipientStep.HOLDOUT, 1), else_=0))
    clause = and_(MEMBERS.c.campaign_id == campaign_id, MEMBERS.c.step.is_not(None), *([audience.by_way(outlet)] if outlet else []))
    frozen, out = session.execute(select(func.count(), func.coalesce(held, 0)).select_from(MEMBERS).where(clause)).one()
    return int(frozen), int(out)


def _start(session: Session, actor: Actor, plan: CampaignPlan) -> None:
    title = f"Send “{session.get(Campaign, plan.campaign_id).name}”"  # type: ignore[union-attr]
    enqueue(session, "campaign.send", plan.campaign_id, title=title[:200], user_id=actor.user_id)


def _follow(session: Session, actor: Actor, campaign_id: int, status: CampaignStatus) -> None:
    """The campaign's own status says the same as its plan."""
    campaign = session.get(Campaign, campaign_id)
    if campaign is not None and campaign.status is not status:
        before, campaign.status = campaign.status, status
        session.add(campaign)
        session.flush()
        events.record(session, actor, "campaign.updated", campaign, changes={"status": (before, status)})


# --- while it goes out ------------------------------------------------------------------------------------------------------


def pause(session: Session, actor: Actor, campaign_id: int) -> CampaignPlan:
    """Let nothing more go out until it is resumed. What a mail server has already stays sent. Events: campaign.paused."""
    plan = _change(session, actor, campaign_id, (PlanState.SENDING,), PlanState.PAUSED, "This campaign is not going out.")
    outbox.shift(session, actor, batch_of(campaign_id), MailState.PENDING, MailState.HELD)
    _follow(session, actor, campaign_id, CampaignStatus.PAUSED)
    events.record(session, actor, "campaign.paused", session.get(Campaign, campaign_id))
    return plan


def resume(session: Session, actor: Actor, campaign_id: int) -> CampaignPlan:
    """Go on where it was paused. Events: campaign.resumed."""
    plan = _change(session, actor, campaign_id, (PlanState.PAUSED,), PlanState.SENDING, "This campaign is not paused.")
    outbox.shift(session, actor, batch_of(campaign_id), MailState.HELD, MailState.PENDING)
    _follow(session, actor, campaign_id, CampaignStatus.RUNNING)
    _start(session, actor, plan)
    events.record(session, actor, "campaign.resumed", session.get(Campaign, campaign_id))
    return plan


def stop(session: Session, actor: Actor, campaign_id: int) -> CampaignPlan:
    """End the sending for good; whoever got nothing yet gets nothing. They stay in the comparison. Events: campaign.stopped."""
    plan = _change(
        session, actor, campaign_id, (PlanState.SENDING, PlanState.PAUSED), PlanState.STOPPED, "This campaign is not going out."
    )
    outbox.recall(session, actor, "The campaign was stopped.", batch=batch_of(campaign_id))
    waiting = and_(MEMBERS.c.campaign_id == campaign_id, MEMBERS.c.step == RecipientStep.WAITING)
    gone = {"step": RecipientStep.SKIPPED, "skip_reason": "stopped", "updated_at": utcnow()}
    session.execute(update(MEMBERS).where(waiting).values(**gone))
    db.bump(session, MEMBERS.name)
    plan.finished_at = utcnow()
    session.add(plan)
    _follow(session, actor, campaign_id, CampaignStatus.COMPLETED)
    events.record(session, actor, "campaign.stopped", session.get(Campaign, campaign_id))
    return plan


def _change(
    session: Session, actor: Actor, campaign_id: int, before: tuple[PlanState, ...], after: PlanState, refusal: str
) -> CampaignPlan:
    records.get(session, actor, "campaign", campaign_id, action=Action.EDIT)
    plan = plans.stored(session, actor, campaign_id)
    if plan.state not in before:
        raise Conflict(refusal)
    plan.state = after
    session.add(plan)
    session.flush()
    return plan
