"""Deals: open, change, move along the pipeline, win, lose, re-open; their products and the people who decide."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlmodel import Session, col, select

from crm_core import events, lists, records
from crm_core.access import Actor, require
from crm_core.db import shared
from crm_core.errors import Conflict, Invalid, NotFound
from crm_core.fields import parse_one, registry
from crm_core.kit import clock
from crm_core.models import Deal, DealContact, DealLine, Event, Order, OrderLine, Pipeline, Stage, StageEvent
from crm_core.services.collaboration import incoming
from crm_core.services.sales import deal_rules, gates
from crm_core.services.sales import lines as line_rules
from crm_core.services.sales.lines import MAX_LINES, LineView
from crm_core.vocabulary import Action, CommitteeRole, OrderStatus, StageKind, Stance

LOOK = 200
"""So many of a deal's latest changes are looked through for who set its probability."""
MOST_INFLUENCE = 5
"""Whoever has most influence on a decision has so much."""
NOBODY = "None"
"""Who won a lost deal where nobody did. A workspace whose list of competitors lacks it leaves the field empty then."""


def get(session: Session, actor: Actor, deal_id: int | None, *, action: Action = Action.READ) -> Deal:
    """The deal, or NotFound."""
    return records.get(session, actor, "deal", deal_id, action=action)


def create(session: Session, actor: Actor, values: Mapping[str, Any], *, submit_key: str | None = None) -> Deal:
    """Open a deal. Without a stage it starts in the first one of the pipeline (the default pipeline when none is given), whatever that asks for;
    a stage that was chosen asks before it lets the deal in."""
    given = {key: value for key, value in values.items() if value is not None or key not in ("pipeline_id", "stage_id")}
    filled = {"pipeline_id", "stage_id", "created_on"} - given.keys()
    stage = _first_stage(session, given.get("pipeline_id"), given.get("stage_id"))
    given["pipeline_id"], given["stage_id"] = stage.pipeline_id, stage.id
    given.setdefault("created_on", clock.today(actor.timezone))
    if stage.kind is not StageKind.OPEN:
        raise Invalid(fields={"stage_id": "A new deal starts in an open stage; win or lose it afterwards."})

    missing: list[gates.Unmet | None] = []

    def prepare(_session: Session, _actor: Actor, deal: Deal, _old: Mapping[str, Any]) -> None:
        own, given_pct = "probability_pct" in values and values["probability_pct"] is not None, deal.probability_pct
        deal_rules.enter_stage(deal, stage, clock.utcnow(), None)
        deal.currency = actor.currency
        if own and given_pct != stage.probability_pct:
            deal.probability_pct, deal.probability_own = given_pct, True
        if values.get("stage_id") is not None:
            missing.append(gates.check(session, actor, deal, stage))

    fixed = {"stage_since": clock.utcnow()}
    deal = records.create(session, actor, "deal", given, prepare=prepare, submit_key=submit_key, fixed=fixed, filled=filled)
    if session.exec(select(StageEvent).where(StageEvent.deal_id == deal.id)).first() is None:
        session.add(StageEvent(deal_id=deal.id, to_stage_id=deal.stage_id, at=clock.utcnow(), by_id=actor.user_id))
    for one in missing:
        gates.note(session, actor, deal, one)
    incoming.route_later(session, "deal", deal)
    return deal


def _first_stage(session: Session, pipeline_id: int | None, stage_id: int | None) -> Stage:
    if stage_id is not None:
        stage = session.get(Stage, stage_id)
        if stage is None:
            raise Invalid(fields={"stage_id": "This stage no longer exists."})
        if pipeline_id is not None and stage.pipeline_id != pipeline_id:
            raise Invalid(fields={"stage_id": f"The stage “{stage.name}” belongs to another pipeline."})
        return stage
    query = (
        select(Stage)
        .join(Pipeline, col(Pipeline.id) == Stage.pipeline_id)
        .where(Stage.kind == StageKind.OPEN, col(Pipeline.is_active))
    )
    query = query.where(Stage.pipeline_id == pipeline_id) if pipeline_id is not None else query
    first = session.exec(query.order_by(col(Pipeline.is_default).desc(), col(Pipeline.position), col(Stage.position))).first()
    if first is None:
        raise Invalid(fields={"pipeline_id": "This pipeline has no open stage. An administrator can add one."})
    return first


def _arrival(session: Session, deal: Deal) -> Stage:
    """Where a deal stands after a change of pipeline: an open one at its start, a closed one where it is closed just as well."""
    if deal.outcome is StageKind.OPEN:
        return _first_stage(session, deal.pipeline_id, None)
    same = select(Stage).where(Stage.pipeline_id == deal.pipeline_id, Stage.kind == deal.outcome).order_by(col(Stage.position))
    found = session.exec(same).first()
    if found is None:
        words = f"That pipeline has no stage that means “{deal.outcome.label}”. Re-open the deal first, or choose another pipeline."
        raise Invalid(fields={"pipeline_id": words})
    return found


def update(
    session: Session, actor: Actor, deal_id: int, changes: Mapping[str, Any], *, base_version: int | None = None
) -> records.Saved:
    """Change facts of a deal. A new stage among them is a move, with all that follows; closing needs ``win`` or ``lose``. A stage of another pipeline
    takes the deal there; another pipeline alone is refused while the deal is open, since only a person knows in which of its stages it goes on. A
    stage that asks for something refuses, or asks back, through ``gates``."""
    stage = None
    if changes.get("stage_id") is None:
        _ask_for_stage(session, actor, deal_id, changes)
    else:
        stage = _stage(session, parse_one("deal", "stage_id", changes["stage_id"]))
        current = get(session, actor, deal_id, action=Action.EDIT)
        if stage.id == current.stage_id:
            stage = None
        elif stage.kind is not StageKind.OPEN:
            raise Invalid(fields={"stage_id": f"Use “{'Win' if stage.kind is StageKind.WON else 'Lose'}” to close the deal."})
    return _save(session, actor, deal_id, changes, stage=stage, base_version=base_version)


def _ask_for_stage(session: Session, actor: Actor, deal_id: int, changes: Mapping[str, Any]) -> None:
    """Raise Invalid when an open deal is to go to another pipeline and nobody says into which stage."""
    if changes.get("pipeline_id") is None or actor.is_system:
        return
    deal, wanted = get(session, actor, deal_id, action=Action.EDIT), parse_one("deal", "pipeline_id", changes["pipeline_id"])
    pipeline = session.get(Pipeline, wanted) if wanted != deal.pipeline_id else None
    if pipeline is not None and deal.outcome is StageKind.OPEN:
        raise Invalid(fields={"stage_id": f"Say in which stage of “{pipeline.name}” the deal goes on."})


def follow_stage(session: Session, actor: Actor, deal_id: int, *, base_version: int | None = None) -> Deal:
    """Give up a win probability that was set by hand: that of the stage counts again, now and after each move."""
    deal = get(session, actor, deal_id, action=Action.EDIT)
    if deal.outcome is not StageKind.OPEN or not deal.probability_own:
        raise Conflict("The win probability of this deal follows its stage already.")
    stage = _stage(session, deal.stage_id)
    changes = {"probability_pct": stage.probability_pct}
    return _save(session, actor, deal_id, changes, stage=None, base_version=base_version, follows=True).record


@dataclass(frozen=True)
class ByHand:
    """A win probability that somebody set: who ("" when that is not known), when, and what the stage would say."""

    who: str
    at: datetime | None
    stage_pct: int


def by_hand(session: Session, actor: Actor, deal_id: int) -> ByHand | None:
    """Who set the win probability of a deal by hand; None when it follows the stage, or is hidden from the actor."""
    deal = get(session, actor, deal_id)
    if not deal.probability_own or deal.outcome is not StageKind.OPEN or actor.masked("deal", "probability_pct"):
        return None
    log = select(Event).where(Event.entity == "deal", Event.record_id == deal.id).order_by(col(Event.id).desc()).limit(LOOK)
    told = list(session.exec(log))
    event = next((one for one in told if "probability_pct" in one.changes), None)
    event = event or next((one for one in told if one.type == "deal.created"), None)  # whoever opened the deal gave it
    known = lists.titles(session, actor, "user", [event.actor_id]) if event is not None else {}
    who = known.get(event.actor_id or 0, "") if event is not None else ""
    return ByHand(who, event.at if event is not None else None, _stage(session, deal.stage_id).probability_pct)


def move(session: Session, actor: Actor, deal_id: int, stage_id: int, *, base_version: int | None = None) -> Deal:
    """Move an open deal to another open stage, or re-open a closed one there. The same as choosing the stage in the form."""
    return update(session, actor, deal_id, {"stage_id": stage_id}, base_version=base_version).record


def win(
    session: Session,
    actor: Actor,
    deal_id: int,
    *,
    closed_on: date | None = None,
    reason: str | None = None,
    create_order: bool = True,
    base_version: int | None = None,
) -> Deal:
    """Close a deal as won; its lines become an order unless ``create_order`` is off, or an earlier order of it still stands."""
    deal = _close(session, actor, deal_id, StageKind.WON, closed_on, {"won_reason": reason or None}, base_version)
    if create_order and actor.can("order", Action.CREATE):
        _order_from(session, actor, deal)
    return deal


def lose(
    session: Session,
    actor: Actor,
    deal_id: int,
    *,
    reason: str | None,
    competitor: str | None = None,
    closed_on: date | None = None,
    base_version: int | None = None,
) -> Deal:
    """Close a deal as lost. Why, and who won it ("None" where nobody did), are needed: they are what the team learns from. Whoever may not write the
    competitor need not name one."""
    wanted = {
        "lost_reason": "" if reason else "Please say why the deal was lost.",
        "competitor": "" if competitor or actor.locked("deal", "competitor") else "Please say who won it: “None” where nobody did.",
    }
    missing = {key: sentence for key, sentence in wanted.items() if sentence}
    values: dict[str, Any] = {"lost_reason": reason}
    if competitor:
        known = registry(session, "deal")["competitor"].options or {NOBODY: NOBODY}
        values["competitor"] = None if competitor == NOBODY and NOBODY not in known else competitor
    return _close(session, actor, deal_id, StageKind.LOST, closed_on, values, base_version, missing)


def _close(
    session: Session,
    actor: Actor,
    deal_id: int,
    kind: StageKind,
    closed_on: date | None,
    values: Mapping[str, Any],
    base_version: int | None,
    missing: dict[str, str] | None = None,
) -> Deal:
    """``missing``: what the verb lacks, field → sentence; told once the deal can be closed at all."""
    deal = get(session, actor, deal_id, action=Action.EDIT)
    day = closed_on or clock.today(actor.timezone)
    deal_rules.check_can_close(deal, day, clock.today(actor.timezone))
    if missing:
        raise Invalid(fields=missing)
    stage = session.exec(
        select(Stage).where(Stage.pipeline_id == deal.pipeline_id, Stage.kind == kind).order_by(col(Stage.position))
    ).first()
    if stage is None:
        raise Invalid(f"This pipeline has no stage that means “{kind.label}”. An administrator can add one.")
    return _save(session, actor, deal_id, values, stage=stage, closed_on=day, base_version=base_version).record


def reopen(session: Session, actor: Actor, deal_id: int, *, stage_id: int | None = None, base_version: int | None = None) -> Deal:
    """Take a closed deal back into an open stage (the last open one it stood in, when none is given). An order that was made of it stays as it is."""
    deal = get(session, actor, deal_id, action=Action.EDIT)
    if deal.outcome is StageKind.OPEN:
        raise Conflict("This deal is already open.")
    stage = _stage(session, stage_id) if stage_id else _last_open_stage(session, deal)
    if stage.kind is not StageKind.OPEN:
        raise Invalid(fields={"stage_id": "Choose an open stage."})
    return _save(session, actor, deal_id, {}, stage=stage, base_version=base_version).record


def _last_open_stage(session: Session, deal: Deal) -> Stage:
    stage = session.exec(
        select(Stage)
        .join(StageEvent, col(StageEvent.from_stage_id) == Stage.id)
        .where(StageEvent.deal_id == deal.id, Stage.kind == StageKind.OPEN)
        .order_by(col(StageEvent.id).desc())
    ).first()
    return stage or _first_stage(session, deal.pipeline_id, None)


def _stage(session: Session, stage_id: int) -> Stage:
    stage = session.get(Stage, stage_id)
    if stage is None:
        raise Invalid(fields={"stage_id": "This stage no longer exists."})
    return stage


def _save(
    session: Session,
    actor: Actor,
    deal_id: int,
    changes: Mapping[str, Any],
    *,
    stage: Stage | None,
    closed_on: date | None = None,
    base_version: int | None,
    follows: bool = False,
) -> records.Saved:
    left: list[tuple[int, datetime, StageKind]] = []
    missing: list[gates.Unmet | None] = []

    def prepare(_session: Session, _actor: Actor, deal: Deal, old: Mapping[str, Any]) -> None:
        entered = stage
        if stage is not None:
            origin = int(old["stage_id"]) if "stage_id" in old else deal.stage_id
            if changes.get("pipeline_id") is not None:  # both were given: they must belong together
                deal_rules.check_stage_of_pipeline(deal, stage)
            left.append((origin, deal.stage_since, deal.outcome))
            deal_rules.enter_stage(deal, stage, clock.utcnow(), closed_on)
            for key in ("lost_reason", "won_reason", "competitor"):
                if key in changes and stage.kind is not StageKind.OPEN:
                    setattr(deal, key, changes[key])
        elif "pipeline_id" in old:
            arrival = _arrival(session, deal)
            left.append((deal.stage_id, deal.stage_since, deal.outcome))
            deal_rules.enter_stage(deal, arrival, clock.utcnow(), deal.closed_on)
            entered = arrival if arrival.kind is StageKind.OPEN else None  # one that was closed before stays as closed as it was
        if follows or "probability_pct" in old:
            deal.probability_own = not follows
        if "amount_minor" in old and _has_lines(session, deal):
            deal.amount_locked = True
        elif old.get("amount_locked") is True and not deal.amount_locked:
            deal.amount_minor = deal_rules.amount_of(_lines(session, deal_id))
        if entered is not None:
            missing.append(gates.check(session, actor, deal, entered))

    event_type = (
        None
        if stage is None
        else {StageKind.WON: "deal.won", StageKind.LOST: "deal.lost", StageKind.OPEN: "deal.stage_moved"}[stage.kind]
    )
    data: dict[str, Any] = {}
    if stage is not None:
        current = get(session, actor, deal_id, action=Action.EDIT)
        origin_stage = session.get(Stage, current.stage_id)
        data = {"from": origin_stage.name if origin_stage else "", "to": stage.name, "reason": changes.get("lost_reason") or ""}
        if current.outcome is not StageKind.OPEN and stage.kind is StageKind.OPEN:
            event_type = "deal.reopened"
    if stage is not None and "stage_id" not in changes:  # by a verb: win, lose, reopen
        records.refuse_locked(session, actor, registry(session, "deal"), ["stage_id", *(key for key in changes if changes[key])])
    saved = records.update(
        session, actor, "deal", deal_id, changes, base_version=base_version, prepare=prepare, event_type=event_type, event_data=data
    )
    for origin, since, _outcome in left:
        _log_move(session, actor, saved.record, origin, since)
    for one in missing:
        gates.note(session, actor, saved.record, one)
    return saved


def _log_move(session: Session, actor: Actor, deal: Deal, origin: int, since: datetime) -> None:
    if deal.stage_id == origin:
        return
    now = clock.utcnow()
    known = not _began_unseen(session, deal.id, since)
    seconds = max(0, int((now - since).total_seconds())) if known else None
    session.add(
        StageEvent(
            deal_id=deal.id, from_stage_id=origin, to_stage_id=deal.stage_id, at=now, by_id=actor.user_id, seconds_in_from=seconds
        )
    )
    session.flush()


def _began_unseen(session: Session, deal_id: int, since: datetime) -> bool:
    """Whether the stay of a deal began with an import: since when it stood there is not known then."""
    written = session.exec(
        select(StageEvent.created_at)
        .where(StageEvent.deal_id == deal_id, StageEvent.at == since)
        .order_by(col(StageEvent.id).desc())
    ).first()
    return written is not None and deal_rules.began_unseen(since, written)


def _has_lines(session: Session, deal: Deal) -> bool:
    return session.exec(select(DealLine.id).where(DealLine.deal_id == deal.id)).first() is not None


def standing_order(session: Session, actor: Actor, deal_id: int) -> str | None:
    """The number of the order that a deal became and that still stands; "" when the actor may not see that order, None when there is none. While there
    is one, winning makes no other; re-opening leaves it as it is."""
    get(session, actor, deal_id)
    order_id = _standing_order(session, deal_id)
    return None if order_id is None else lists.titles(session, actor, "order", [order_id]).get(order_id, "")


def _standing_order(session: Session, deal_id: int) -> int | None:
    """The newest order of a deal that is neither cancelled nor in the bin."""
    stands = (Order.deal_id == deal_id, Order.status != OrderStatus.CANCELLED, col(Order.deleted_at).is_(None))
    return session.exec(select(Order.id).where(*stands).order_by(col(Order.id).desc())).first()


def _order_from(session: Session, actor: Actor, deal: Deal) -> Order | None:
    found = session.exec(select(DealLine).where(DealLine.deal_id == deal.id)).all()
    if not found or _standing_order(session, deal.id) is not None:
        return None
    summed = line_rules.sums(found)
    order = Order(
        number=records.next_number(session, Order, "O"),
        account_id=deal.account_id,
        contact_id=deal.contact_id,
        deal_id=deal.id,
        owner_id=deal.owner_id,
        status=OrderStatus.PLACED,
        ordered_at=clock.utcnow(),
        currency=deal.currency,
        total_minor=summed.net,
        tax_minor=summed.tax,
        source=deal.source,
        campaign_id=deal.campaign_id,
    )
    session.add(order)
    session.flush()
    for line in found:
        session.add(
            OrderLine(
                order_id=order.id,
                **{key: getattr(line, key) for key in line_rules.KEPT},
            )
        )
    events.record(session, actor, "order.created", order, data={"deal_id": deal.id})
    return order


# --- products of a deal -------------------------------------------------------------------------------------------------


def lines(session: Session, actor: Actor, deal_id: int) -> list[LineView]:
    """The products of a deal in their order; without prices where the amount is hidden from the actor."""
    get(session, actor, deal_id)
    return line_rules.views(actor, _lines(session, deal_id), hidden=actor.masked("deal", "amount_minor"))


def _lines(session: Session, deal_id: int) -> list[DealLine]:
    return list(
        session.exec(select(DealLine).where(DealLine.deal_id == deal_id).order_by(col(DealLine.position), col(DealLine.id)))
    )


def set_lines(
    session: Session,
    actor: Actor,
    deal_id: int,
    rows: Sequence[Mapping[str, Any]],
    *,
    base_version: int | None = None,
    base_lines: Sequence[LineView] | None = None,
) -> Deal:
    """Replace the products of a deal. Each row: ``product_id`` or ``name``, ``quantity``, ``unit_price_minor`` (list price when missing),
    ``discount_pct``, ``billing``, ``periods``, ``tax_rate_pct``. Name, price and rate are kept as they are now. The amount follows unless it was set by hand. ``base_lines``: the lines that
    the caller saw; what somebody else changed elsewhere in the deal is then no conflict."""
    deal = get(session, actor, deal_id, action=Action.EDIT)
    line_rules.refuse_stale(
        "deal", lines(session, actor, deal_id), stale=base_version not in (None, deal.version), base_lines=base_lines
    )
    if len(rows) > MAX_LINES:
        raise Invalid(f"A deal can have at most {MAX_LINES} lines.")
    line_rules.refuse_hidden(actor, "deal", "amount_minor")
    before_lines = _lines(session, deal_id)
    kept = {line.product_id: line.name for line in before_lines}
    made = [
        DealLine(deal_id=deal_id, position=position, **line_rules.priced(session, actor, position, row, kept))
        for position, row in enumerate(rows)
    ]
    for old in before_lines:
        session.delete(old)
    session.add_all(made)
    before = {key: getattr(deal, key) for key in ("amount_minor", "mrr_minor", "arr_minor")}
    deal.product_id = max(made, key=lambda line: line.total_minor).product_id if made else deal.product_id
    summed = line_rules.sums(made)
    deal.mrr_minor, deal.arr_minor = summed.monthly, summed.yearly
    if not deal.amount_locked:
        deal.amount_minor = summed.net
    deal.updated_at = clock.utcnow()
    session.add(deal)
    session.flush()
    changes = {key: (old, getattr(deal, key)) for key, old in before.items() if old != getattr(deal, key)}
    events.record(session, actor, "deal.lines_changed", deal, changes=changes, data={"lines": len(made)})
    return deal


# --- buying committee ---------------------------------------------------------------------------------------------------


def committee(session: Session, actor: Actor, deal_id: int) -> list[DealContact]:
    """The people who decide about a deal."""
    get(session, actor, deal_id)
    require(actor, "contact", Action.READ)
    return list(
        session.exec(
            select(DealContact)
            .where(DealContact.deal_id == deal_id)
            .order_by(col(DealContact.influence).desc(), col(DealContact.id))
        )
    )


def set_committee_member(
    session: Session,
    actor: Actor,
    deal_id: int,
    contact_id: int,
    *,
    role: CommitteeRole = CommitteeRole.USER,
    influence: int = 3,
    stance: Stance = Stance.NEUTRAL,
    base_version: int | None = None,
) -> DealContact:
    """Add a person to the buying committee, or change their part in it. ``base_version``: of the member as the caller saw it, 0 for somebody who was
    not in it; None takes whatever stands there. Raises Conflict when it is another one now; ``details["rows"]``: the member as it stands."""
    deal = get(session, actor, deal_id, action=Action.EDIT)
    contact = records.get(session, actor, "contact", contact_id)
    if not 1 <= influence <= MOST_INFLUENCE:
        raise Invalid(fields={"influence": f"Influence goes from 1 to {MOST_INFLUENCE}."})
    known = _member(session, deal_id, contact_id)
    if base_version == 0 and known is not None:
        raise Conflict("This person is in the buying committee already. Change their part there.")
    if base_version and known is None:
        raise Conflict("Somebody took this person out of the buying committee meanwhile. Add them again if they belong to it.")
    _refuse_stale(known, base_version)
    member = known or DealContact(deal_id=deal_id, contact_id=contact_id)
    now: dict[str, Any] = {"role": role, "influence": influence, "stance": stance}
    before = {key: getattr(known, key) for key in now} if known is not None else {}
    for key, value in now.items():
        setattr(member, key, value)
    session.add(member)
    session.flush()
    changes = {key: (_told(old), _told(new)) for key, (old, new) in records.difference(before, now).items()}
    data = {"contact": contact.id, "role": role.label}
    events.record(session, actor, "deal.committee_changed", deal, changes=changes, data=data)
    return member


def _told(value: Any) -> Any:
    return value.label if isinstance(value, CommitteeRole | Stance) else value


def _member(session: Session, deal_id: int, contact_id: int) -> DealContact | None:
    return session.exec(select(DealContact).where(DealContact.deal_id == deal_id, DealContact.contact_id == contact_id)).first()


def _refuse_stale(member: DealContact | None, base_version: int | None) -> None:
    if member is not None:
        records.refuse_stale("this person’s part", member, base_version)


def remove_committee_member(
    session: Session, actor: Actor, deal_id: int, contact_id: int, *, base_version: int | None = None
) -> None:
    """Take a person out of the buying committee. ``base_version``: of the member as the caller saw it. Raises NotFound when they are out already,
    Conflict when their part is another one now."""
    deal = get(session, actor, deal_id, action=Action.EDIT)
    member = _member(session, deal_id, contact_id)
    if member is None:
        raise NotFound("This person is not in the buying committee.")
    _refuse_stale(member, base_version)
    session.delete(member)
    events.record(session, actor, "deal.committee_changed", deal, data={"contact": contact_id, "removed": True})


# --- for screens --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StageView:
    """A stage as the board and menus need it. ``asks``: what it says to deals that come too early, "" where it lets everybody in."""

    id: int
    pipeline_id: int
    name: str
    kind: StageKind
    probability_pct: int
    asks: str = ""


def stages(session: Session, actor: Actor, pipeline_id: int | None = None) -> list[StageView]:
    """Stages of a pipeline (of all active ones when None), in order."""
    require(actor, "deal", Action.READ)
    return list(shared(session, ("stages", pipeline_id), ("pipeline", "stage"), lambda: _stages(session, pipeline_id)))


def _stages(session: Session, pipeline_id: int | None) -> list[StageView]:
    query = select(Stage).join(Pipeline, col(Pipeline.id) == Stage.pipeline_id).where(col(Pipeline.is_active))
    query = query.where(Stage.pipeline_id == pipeline_id) if pipeline_id else query
    found = session.exec(
        query.order_by(col(Pipeline.is_default).desc(), col(Pipeline.position), col(Stage.pipeline_id), col(Stage.position))
    )
    return [
        StageView(s.id or 0, s.pipeline_id, s.name, s.kind, s.probability_pct, gates.sentence(s) if gates.holds(s) else "")
        for s in found
    ]


def pipelines(session: Session, actor: Actor) -> dict[int, str]:
    """Id → name of the active pipelines, the default one first."""
    require(actor, "deal", Action.READ)
    rows = session.exec(
        select(Pipeline)
        .where(col(Pipeline.is_active))
        .order_by(col(Pipeline.is_default).desc(), col(Pipeline.position), col(Pipeline.id))
    )
    return {row.id or 0: row.name for row in rows}
