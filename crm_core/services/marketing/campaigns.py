"""Campaigns: channels with their cost, members with their responses, what came of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sqlalchemy import and_, case, exists, func, insert, literal, or_, select
from sqlmodel import Session, col
from sqlmodel import select as pick

from crm_core import events, lists, records
from crm_core.access import Actor, visible
from crm_core.db import bump
from crm_core.entities import entity
from crm_core.errors import Conflict, Invalid, NotFound
from crm_core.kit import clock
from crm_core.kit.numerals import written
from crm_core.models import Campaign, CampaignChannel, CampaignMember, CampaignPlan, MailDelivery
from crm_core.services.collaboration import outbox
from crm_core.services.marketing import tracking
from crm_core.vocabulary import (
    SOLD,
    Action,
    CampaignStatus,
    Channel,
    MemberStatus,
    PlanState,
    RecipientStep,
    Scope,
    StageKind,
)

RESPONDED = (MemberStatus.RESPONDED, MemberStatus.CONVERTED)
OUT = "removed"
"""Why a member is skipped whom somebody took out."""
MAX_ADD = 50_000
_BATCH = 10_000
_NEXT = {
    CampaignStatus.DRAFT: (CampaignStatus.RUNNING, CampaignStatus.SCHEDULED),
    CampaignStatus.SCHEDULED: (CampaignStatus.RUNNING, CampaignStatus.DRAFT),
    CampaignStatus.RUNNING: (CampaignStatus.COMPLETED, CampaignStatus.PAUSED),
    CampaignStatus.PAUSED: (CampaignStatus.RUNNING, CampaignStatus.COMPLETED),
    CampaignStatus.COMPLETED: (CampaignStatus.RUNNING,),
}


def get(session: Session, actor: Actor, campaign_id: int | None, *, action: Action = Action.READ) -> Campaign:
    """The campaign, or NotFound."""
    return records.get(session, actor, "campaign", campaign_id, action=action)


def _prepare(session: Session, actor: Actor, campaign: Campaign, old: Mapping[str, Any]) -> None:
    if campaign.starts_on and campaign.ends_on and campaign.ends_on < campaign.starts_on:
        raise Invalid(fields={"ends_on": "The campaign can't end before it starts."})
    before = old.get("status")
    if before is not None and campaign.status != before and _is_going_out(session, campaign.id):
        raise Invalid(fields={"status": "This campaign is going out: pause or stop the sending on its page instead."})
    back = before is CampaignStatus.RUNNING and campaign.status is CampaignStatus.DRAFT and not _touched(session, campaign.id)
    if before is not None and campaign.status not in _NEXT[before] and not back:
        raise Invalid(fields={"status": f"A campaign that is {before.label.lower()} can't become {campaign.status.label.lower()}."})


def _touched(session: Session, campaign_id: int) -> bool:
    """Whether anybody is in the campaign, or it was prepared to go out from here."""
    return any(
        session.execute(select(table.c.campaign_id).where(table.c.campaign_id == campaign_id).limit(1)).first() is not None
        for table in (CampaignMember.__table__, CampaignPlan.__table__)  # type: ignore[attr-defined]
    )


def _is_going_out(session: Session, campaign_id: int) -> bool:
    plan = CampaignPlan.__table__  # type: ignore[attr-defined]
    state = session.execute(select(plan.c.state).where(plan.c.campaign_id == campaign_id)).scalar()
    return state in (PlanState.SCHEDULED, PlanState.SENDING, PlanState.PAUSED)


def create(session: Session, actor: Actor, values: Mapping[str, Any], *, submit_key: str | None = None) -> Campaign:
    """Create a campaign."""
    return records.create(session, actor, "campaign", values, prepare=_prepare, submit_key=submit_key)


def update(
    session: Session, actor: Actor, campaign_id: int, changes: Mapping[str, Any], *, base_version: int | None = None
) -> records.Saved:
    """Change a campaign."""
    return records.update(session, actor, "campaign", campaign_id, changes, base_version=base_version, prepare=_prepare)


def archive(session: Session, actor: Actor, campaign_id: int, *, base_version: int | None = None) -> Campaign:
    """Move a campaign to the bin. Refused while it is going out: its messages would go on without a page to stop them on."""
    get(session, actor, campaign_id, action=Action.DELETE)
    if _is_going_out(session, campaign_id):
        raise Conflict("This campaign is going out, or will at a set time. Stop it or take it back on its page, then delete it.")
    return records.archive(session, actor, "campaign", campaign_id, base_version=base_version)


def may_go_back(session: Session, actor: Actor, campaign_id: int) -> bool:
    """Whether a campaign that was marked as running may become a draft again: as long as nobody is in it."""
    running = get(session, actor, campaign_id, action=Action.EDIT).status is CampaignStatus.RUNNING
    return running and not _touched(session, campaign_id)


def next_states(status: CampaignStatus) -> tuple[CampaignStatus, ...]:
    """The states into which a campaign may go from here, the usual one first."""
    return _NEXT[status]


def move(session: Session, actor: Actor, campaign_id: int, status: CampaignStatus, *, base_version: int | None = None) -> Campaign:
    """Start, pause, resume or complete a campaign. The same as choosing the status in the form."""
    return update(session, actor, campaign_id, {"status": status.value}, base_version=base_version).record


@dataclass(frozen=True)
class ChannelView:
    """A channel as screens show it. Costs in minor units; None where the budget is hidden from the viewer."""

    id: int
    channel: Channel
    planned_cost_minor: int | None
    actual_cost_minor: int | None
    starts_on: date | None
    ends_on: date | None


def channels(session: Session, actor: Actor, campaign_id: int) -> list[ChannelView]:
    """The channels of a campaign."""
    get(session, actor, campaign_id)
    hidden = actor.masked("campaign", "budget_minor")
    rows = session.exec(pick(CampaignChannel).where(CampaignChannel.campaign_id == campaign_id).order_by(col(CampaignChannel.id)))
    return [
        ChannelView(
            row.id or 0,
            row.channel,
            None if hidden else row.planned_cost_minor,
            None if hidden else row.actual_cost_minor,
            row.starts_on,
            row.ends_on,
        )
        for row in rows
    ]


def set_channels(
    session: Session,
    actor: Actor,
    campaign_id: int,
    rows: Sequence[Mapping[str, Any]],
    *,
    base_version: int | None = None,
    base_channels: Sequence[ChannelView] | None = None,
) -> Campaign:
    """Replace the channels. Each row: ``channel``, ``planned_cost_minor``, ``actual_cost_minor``, ``starts_on``, ``ends_on``.
    ``base_channels``: those that the caller saw."""
    campaign = get(session, actor, campaign_id, action=Action.EDIT)
    now = _without_ids(channels(session, actor, campaign_id))  # saved again as they were, they have other ids and nothing else
    base = None if base_channels is None else _without_ids(base_channels)
    records.refuse_stale_rows("these channels", now, stale=base_version not in (None, campaign.version), base=base)
    if actor.masked("campaign", "budget_minor"):
        raise Invalid("The budget is hidden from your role, so you can't change the costs of the channels.")
    made = [_channel(campaign_id, row) for row in rows]
    _replace(session, campaign_id, made)
    campaign.updated_at = clock.utcnow()
    session.add(campaign)
    session.flush()
    events.record(session, actor, "campaign.channels_changed", campaign, data={"channels": len(made)})
    return campaign


def _replace(session: Session, campaign_id: int, made: Sequence[CampaignChannel]) -> None:
    """Put these channels in place of those there were. A way that the campaign goes out by keeps its people, and can't go with its costs."""
    present = list(
        session.exec(pick(CampaignChannel).where(CampaignChannel.campaign_id == campaign_id).order_by(col(CampaignChannel.id)))
    )
    ways = [old for old in present if old.outlet is not None]
    for one in made:
        way = next((old for old in ways if old.channel is one.channel), None)
        if way is None:
            session.add(one)
            continue
        ways.remove(way)
        present.remove(way)
        for key in ("planned_cost_minor", "actual_cost_minor", "starts_on", "ends_on"):
            setattr(way, key, getattr(one, key))
        session.add(way)
    if ways:
        named = ways[0].channel.label.lower()
        raise Invalid(f"The campaign goes out by {named}, so this channel stays. Take it out under Audience first.")
    for old in present:
        session.delete(old)


def _without_ids(found: Sequence[ChannelView]) -> list[ChannelView]:
    return [replace(one, id=0) for one in found]


def _channel(campaign_id: int, row: Mapping[str, Any]) -> CampaignChannel:
    try:
        channel = Channel(str(row.get("channel")))
        planned, actual = int(row.get("planned_cost_minor") or 0), int(row.get("actual_cost_minor") or 0)
    except (ValueError, TypeError) as error:
        raise Invalid("Each channel needs a kind, and costs that are numbers.") from error
    if planned < 0 or actual < 0:
        raise Invalid("A cost can't be negative.")
    return CampaignChannel(
        campaign_id=campaign_id,
        channel=channel,
        planned_cost_minor=planned,
        actual_cost_minor=actual,
        starts_on=row.get("starts_on"),
        ends_on=row.get("ends_on"),
    )


@dataclass(frozen=True)
class MemberRow:
    """A member of a campaign as its page shows it. ``entity``: contact or lead. ``held_out``: chance keeps them out, to compare with."""

    id: int
    entity: str
    record_id: int
    name: str
    status: MemberStatus
    held_out: bool


def members(
    session: Session,
    actor: Actor,
    campaign_id: int,
    *,
    status: MemberStatus | None = None,
    held_out: bool | None = None,
    page: int = 1,
    size: int = 50,
) -> tuple[list[MemberRow], int]:
    """One page of the members whose person the actor may see, and their number; of those held out only, or of the others."""
    table = CampaignMember.__table__  # type: ignore[attr-defined]
    clause = and_(
        inside(table), *([table.c.status == status] if status else []), *([] if held_out is None else [table.c.is_control.is_(held_out)])
    )  # fmt: skip
    return listed(session, actor, campaign_id, clause, page=page, size=size)[:2]


def listed(
    session: Session, actor: Actor, campaign_id: int, clause: Any, *, page: int = 1, size: int = 50
) -> tuple[list[MemberRow], int, int]:
    """One page of the members for whom a clause holds and whose person the actor may see, their number, and that of everybody for whom it holds."""
    get(session, actor, campaign_id)
    table = CampaignMember.__table__  # type: ignore[attr-defined]
    clause, seen = and_(table.c.campaign_id == campaign_id, clause), _people(actor, table)
    counts = select(func.coalesce(func.sum(case((seen, 1), else_=0)), 0), func.count()).select_from(table).where(clause)
    total, everybody = session.execute(counts).one()
    rows = session.execute(
        select(table).where(clause, seen).order_by(table.c.id).limit(size).offset((max(page, 1) - 1) * size)
    ).all()
    names = {
        "contact": lists.titles(session, actor, "contact", (row.contact_id for row in rows)),
        "lead": lists.titles(session, actor, "lead", (row.lead_id for row in rows)),
    }
    found = []
    for row in rows:
        kind = "contact" if row.contact_id else "lead"
        record_id = row.contact_id or row.lead_id
        found.append(
            MemberRow(
                row.id, kind, record_id, names[kind].get(record_id, "Hidden person"), MemberStatus(row.status), bool(row.is_control)
            )
        )
    return found, int(total), everybody


def _people(actor: Actor, table: Any) -> Any:
    return or_(_seen(actor, "contact", table, table.c.contact_id), _seen(actor, "lead", table, table.c.lead_id))


def _seen(actor: Actor, entity_key: str, table: Any, link: Any) -> Any:
    """Members whose person the actor may see. Who sees all of them misses only the bin, a short list; otherwise each is looked up."""
    people = entity(entity_key).table
    if Scope.ALL in actor.scopes(entity_key, Action.READ):
        return and_(link.is_not(None), link.not_in(select(people.c.id).where(people.c.deleted_at.is_not(None))))
    return exists().where(people.c.id == link, visible(actor, entity_key, people)).correlate(table)


def add_members(session: Session, actor: Actor, campaign_id: int, entity_key: str, ids: Iterable[int]) -> tuple[int, int]:
    """Add contacts or leads; gives how many were new and how many were in already. People that the actor may not see are refused."""
    campaign = get(session, actor, campaign_id, action=Action.EDIT)
    if entity_key not in ("contact", "lead"):
        raise Invalid("Only contacts and leads can be members of a campaign.")
    wanted = sorted(set(ids))
    if len(wanted) > MAX_ADD:
        raise Invalid(f"At most {written(MAX_ADD)} people can be added at once.")
    table = entity(entity_key).table
    column = f"{entity_key}_id"
    members_table = CampaignMember.__table__  # type: ignore[attr-defined]
    seen: set[int] = set()
    present: set[int] = set()
    for at in range(0, len(wanted), _BATCH):  # databases bind a limited number of values per statement
        part = wanted[at : at + _BATCH]
        seen |= set(session.execute(select(table.c.id).where(table.c.id.in_(part), visible(actor, entity_key, table))).scalars())
        known = select(members_table.c[column]).where(members_table.c.campaign_id == campaign_id, members_table.c[column].in_(part))
        present |= set(session.execute(known).scalars())
    if seen != set(wanted):
        raise NotFound("Some of these people do not exist, or are not shared with you. Nobody was added.")
    parts = (list(present)[at : at + _BATCH] for at in range(0, len(present), _BATCH))
    back = sum(_take_back_in(session, campaign_id, members_table.c[column].in_(part)) for part in parts)
    new = [record_id for record_id in wanted if record_id not in present]
    session.add_all(_member(campaign_id, entity_key, record_id) for record_id in new)
    session.flush()
    if new or back:
        events.record(session, actor, "campaign.members_changed", campaign, data={"added": len(new) + back})
    return len(new) + back, len(present) - back


def _take_back_in(session: Session, campaign_id: int, mine: Any) -> int:
    """Members who were taken out before a launch, and stayed on record because of letters, are in again; gives how many."""
    table = CampaignMember.__table__  # type: ignore[attr-defined]
    out = and_(table.c.campaign_id == campaign_id, ~inside(table), mine)
    back: int = session.execute(table.update().where(out).values(skip_reason=None)).rowcount  # type: ignore[attr-defined]
    if back:
        bump(session, table.name)
    return back


def add_matching(session: Session, actor: Actor, campaign_id: int, entity_key: str, query: lists.ListQuery) -> tuple[int, int]:
    """Add all contacts or leads that a list shows (a saved view, a filter), in one statement; gives how many were new and how many were in."""
    campaign = get(session, actor, campaign_id, action=Action.EDIT)
    if entity_key not in ("contact", "lead"):
        raise Invalid("Only contacts and leads can be members of a campaign.")
    table, column = entity(entity_key).table, f"{entity_key}_id"
    clause = lists.condition(session, actor, entity_key, query)
    total = session.execute(select(func.count()).select_from(table).where(clause)).scalar_one()
    members_table = CampaignMember.__table__  # type: ignore[attr-defined]
    known = select(members_table.c[column]).where(members_table.c.campaign_id == campaign_id, members_table.c[column].is_not(None))
    now = clock.utcnow()
    fixed = {"created_at": now, "updated_at": now, "version": 1, "campaign_id": campaign_id, "is_control": False}
    values = [literal(value, members_table.c[name].type) for name, value in (*fixed.items(), ("status", MemberStatus.PLANNED))]
    fresh = and_(clause, table.c.id.not_in(known))
    back = _take_back_in(session, campaign_id, members_table.c[column].in_(select(table.c.id).where(clause)))
    added = int(session.execute(select(func.count()).select_from(table).where(fresh)).scalar_one()) + back
    rows = select(table.c.id, *values).where(fresh)
    session.execute(insert(members_table).from_select([column, *fixed, "status"], rows))
    bump(session, members_table.name)
    if added:
        events.record(session, actor, "campaign.members_changed", campaign, data={"added": added})
    return added, total - added


def _member(campaign_id: int, entity_key: str, record_id: int) -> CampaignMember:
    if entity_key == "contact":
        return CampaignMember(campaign_id=campaign_id, contact_id=record_id)
    return CampaignMember(campaign_id=campaign_id, lead_id=record_id)


def set_member_status(session: Session, actor: Actor, campaign_id: int, member_ids: Iterable[int], status: MemberStatus) -> int:
    """Say how far members have come; gives how many changed. Responding keeps its instant."""
    campaign = get(session, actor, campaign_id, action=Action.EDIT)
    changed = 0
    for member in _of_campaign(session, actor, campaign_id, member_ids):
        if member.status is not status:
            member.status = status
            if status in RESPONDED and member.responded_at is None:
                member.responded_at = clock.utcnow()
            session.add(member)
            changed += 1
    session.flush()
    if changed:
        events.record(session, actor, "campaign.members_changed", campaign, data={"status": status.label, "changed": changed})
    return changed


def _of_campaign(session: Session, actor: Actor, campaign_id: int, member_ids: Iterable[int]) -> list[CampaignMember]:
    """The chosen members whose person the actor may see."""
    table = CampaignMember.__table__  # type: ignore[attr-defined]
    chosen = pick(CampaignMember).where(table.c.campaign_id == campaign_id, table.c.id.in_(list(member_ids)), _people(actor, table))
    return list(session.exec(chosen))


def remove_members(session: Session, actor: Actor, campaign_id: int, member_ids: Iterable[int]) -> int:
    """Take members out; gives how many. Refused for those who were addressed or held out: the result compares them as chance put them. Whom an
    automation wrote to stays on record, since the links in their letters are promised to work for ever; what waits for them is called back."""
    campaign = get(session, actor, campaign_id, action=Action.EDIT)
    gone = _of_campaign(session, actor, campaign_id, member_ids)
    if any(member.step is not None for member in gone):
        raise Conflict(
            "These people were addressed or held out at the launch. Without them the result would be wrong, so they stay."
        )
    letters = _written(session, gone)
    _call_back(session, actor, [mail_id for mail_ids in letters.values() for mail_id in mail_ids])
    for member in gone:
        if member.mail_id is not None or member.id in letters:
            member.skip_reason = OUT
            session.add(member)
        else:
            session.delete(member)
    session.flush()
    if gone:
        events.record(session, actor, "campaign.members_changed", campaign, data={"removed": len(gone)})
    return len(gone)


def inside(table: Any) -> Any:
    """Members who are really in the campaign: not on record only because of the letters of an automation that took them out again."""
    return or_(table.c.step.is_not(None), table.c.skip_reason.is_(None))


def _written(session: Session, chosen: Sequence[CampaignMember]) -> dict[int, list[int]]:
    """The letters that automations wrote to these members for their campaign: member → messages. A letter names its member by its links."""
    mail: Any = MailDelivery.__table__  # type: ignore[attr-defined]
    ids = {member.id for member in chosen}
    found: dict[int, list[int]] = {}
    for key in ("contact_id", "lead_id"):
        people = [getattr(member, key) for member in chosen if getattr(member, key) is not None]
        for start in range(0, len(people), 500):
            mine = and_(mail.c[key].in_(people[start : start + 500]), mail.c.kind == "automation", mail.c.purpose.is_not(None))
            for row in session.execute(select(mail.c.id, mail.c.headers).where(mine)):
                for member_id in ids.intersection(tracking.named(session, (row.headers or {}).get("List-Unsubscribe", ""))):
                    found.setdefault(member_id, []).append(row.id)
    return found


def _call_back(session: Session, actor: Actor, letters: list[int]) -> list[int]:
    return outbox.recall(session, actor, "Taken out of the campaign before its turn came.", ids=letters) if letters else []


def leave_out(session: Session, actor: Actor, campaign_id: int, member_ids: Iterable[int]) -> int:
    """Let members get no message whose turn hasn't come: they wait for it, or it waits in the outbox; gives how many. They stay in the
    comparison, as chance put them."""
    campaign = get(session, actor, campaign_id, action=Action.EDIT)
    table = CampaignMember.__table__  # type: ignore[attr-defined]
    chosen = _of_campaign(session, actor, campaign_id, member_ids)
    letters = [member.mail_id for member in chosen if member.step is RecipientStep.QUEUED and member.mail_id is not None]
    _call_back(session, actor, [mail_id for mail_ids in _written(session, chosen).values() for mail_id in mail_ids])
    called_back = _call_back(session, actor, letters)
    mine = table.c.id.in_([member.id for member in chosen])
    waiting = and_(mine, or_(table.c.step == RecipientStep.WAITING, table.c.mail_id.in_(called_back)))
    gone = {"step": RecipientStep.SKIPPED, "skip_reason": OUT, "updated_at": clock.utcnow()}
    left: int = session.execute(table.update().where(waiting).values(**gone)).rowcount  # type: ignore[attr-defined]
    if left:
        bump(session, table.name)
        events.record(session, actor, "campaign.members_changed", campaign, data={"left_out": left})
    return left


@dataclass(frozen=True)
class CampaignFigures:
    """What a campaign cost and brought, over the rows the actor may see. Money in minor units, None where it is hidden from the actor.

    Attributed by the campaign named on the record. ``held_out``: members whom chance keeps out, so that they can't respond; ``rate``: share of the
    others who responded, with the ends of its 95% interval (Wilson), None where there is nobody.
    """

    members: int
    held_out: int
    responded: int
    planned_cost_minor: int | None
    actual_cost_minor: int | None
    leads: int
    won_minor: int | None
    order_minor: int | None

    @property
    def rate(self) -> tuple[float, float, float] | None:
        from ml import lift  # every page knows campaigns, and few need mathematics

        addressed = self.members - self.held_out
        return (self.responded / addressed, *lift.wilson(self.responded, addressed)) if addressed else None


def figures(session: Session, actor: Actor, campaign_id: int) -> CampaignFigures:
    """The figures on top of a campaign's page."""
    get(session, actor, campaign_id)
    table = CampaignMember.__table__  # type: ignore[attr-defined]
    counts = session.execute(
        select(table.c.status, table.c.is_control, func.count())
        .where(table.c.campaign_id == campaign_id, inside(table), _people(actor, table))
        .group_by(table.c.status, table.c.is_control)
    ).all()
    planned, actual = _costs(session, actor, campaign_id)
    deal, order, lead = (entity(key).table for key in ("deal", "order", "lead"))
    won = _sum(
        session, actor, "deal", deal, deal.c.amount_minor, and_(deal.c.campaign_id == campaign_id, deal.c.outcome == StageKind.WON)
    )
    ordered = and_(order.c.campaign_id == campaign_id, order.c.status.in_(SOLD))
    revenue = _sum(session, actor, "order", order, order.c.total_minor, ordered)
    new_leads = session.execute(
        select(func.count()).where(lead.c.campaign_id == campaign_id, visible(actor, "lead", lead))
    ).scalar_one()
    everybody, held_out = sum(n for *_, n in counts), sum(n for _, control, n in counts if control)
    responded = sum(n for status, control, n in counts if MemberStatus(status) in RESPONDED and not control)
    return CampaignFigures(everybody, held_out, responded, planned, actual, new_leads, won, revenue)


def _costs(session: Session, actor: Actor, campaign_id: int) -> tuple[int | None, int | None]:
    """Planned and actual cost of the channels; hidden together with the budget."""
    if actor.masked("campaign", "budget_minor"):
        return None, None
    cost = CampaignChannel.__table__  # type: ignore[attr-defined]
    sums = [func.coalesce(func.sum(column), 0) for column in (cost.c.planned_cost_minor, cost.c.actual_cost_minor)]
    planned, actual = session.execute(select(*sums).where(cost.c.campaign_id == campaign_id)).one()
    return int(planned), int(actual)


def _sum(session: Session, actor: Actor, key: str, table: Any, column: Any, clause: Any) -> int | None:
    if actor.masked(key, column.name):
        return None
    return int(session.execute(select(func.coalesce(func.sum(column), 0)).where(clause, visible(actor, key, table))).scalar_one())
