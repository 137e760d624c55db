"""Promotions: what takes something off an order, for whom, how long, and how much it may cost in all."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import and_, func, or_, select
from sqlmodel import Session
from sqlmodel import select as pick

from crm_core import access, events, filters, records
from crm_core.access import Actor
from crm_core.entities import entity
from crm_core.errors import CrmError, Invalid
from crm_core.fields import parse, registry
from crm_core.filters import Context
from crm_core.jobs import Job, job
from crm_core.kit import clock
from crm_core.models import Organisation, Promotion, PromotionCode
from crm_core.services.collaboration import notifications
from crm_core.services.sales import promotion_rules as rules
from crm_core.vocabulary import Action, CodeKind, EndReason, PromotionState

PROMOTIONS: Any = Promotion.__table__  # type: ignore[attr-defined]
CODES: Any = PromotionCode.__table__  # type: ignore[attr-defined]
RULE_OF = ("contact", "account")
EVENTS = {
    PromotionState.RUNNING: "promotion.started",
    PromotionState.PAUSED: "promotion.paused",
    PromotionState.ENDED: "promotion.ended",
}


def get(session: Session, actor: Actor, promotion_id: int | None, *, action: Action = Action.READ) -> Promotion:
    """The promotion, or NotFound."""
    return records.get(session, actor, "promotion", promotion_id, action=action)


def create(session: Session, actor: Actor, values: Mapping[str, Any], *, submit_key: str | None = None) -> Promotion:
    """Write a promotion down: a draft unless ``state`` says that it runs. Events: promotion.started."""
    fresh: list[Promotion] = []

    def prepare(session: Session, actor: Actor, promotion: Promotion, old: Mapping[str, Any]) -> None:
        if promotion.state not in (PromotionState.DRAFT, PromotionState.RUNNING):
            raise Invalid(fields={"state": "A new promotion is a draft, or runs."})
        _prepare(session, actor, promotion, old)
        fresh.append(promotion)

    made: Promotion = records.create(session, actor, "promotion", values, prepare=prepare, submit_key=submit_key)
    if fresh and made.state is PromotionState.RUNNING:
        events.record(session, actor, EVENTS[made.state], made)
    return made


def update(
    session: Session, actor: Actor, promotion_id: int, changes: Mapping[str, Any], *, base_version: int | None = None
) -> records.Saved:
    """Change a promotion, start, pause or end it. Codes that are out keep working by the new terms; orders that used one keep their discount.
    Events: promotion.started, promotion.paused, promotion.ended."""
    before = get(session, actor, promotion_id, action=Action.EDIT).state
    after = _state(session, changes.get("state"))
    wanted = after if after is not before else None
    return records.update(
        session, actor, "promotion", promotion_id, changes, base_version=base_version, prepare=_prepare,
        event_type=EVENTS.get(wanted) if wanted is not None else None,
        event_data={"reason": EndReason.HAND.label} if wanted is PromotionState.ENDED else None,
    )  # fmt: skip


def move(session: Session, actor: Actor, promotion_id: int, state: PromotionState, *, base_version: int | None = None) -> Promotion:
    """Start, pause or end a promotion. The same as choosing the state in a form."""
    return update(session, actor, promotion_id, {"state": state.value}, base_version=base_version).record


def _state(session: Session, given: Any) -> PromotionState | None:
    """The state that somebody's words mean; None for none, and for words that will be refused."""
    try:
        return PromotionState(found) if (found := parse(registry(session, "promotion")["state"], given)) else None
    except ValueError:
        return None


def _prepare(session: Session, actor: Actor, promotion: Promotion, old: Mapping[str, Any]) -> None:
    promotion.code = rules.normal(promotion.code) or None
    before = old.get("state")
    if before is not None and promotion.state not in (*rules.NEXT[before], before):
        words = f"A promotion that is {before.label.lower()} can't become {promotion.state.label.lower()}."
        raise Invalid(fields={"state": words})
    wrong = rules.problems(promotion, running=promotion.state is PromotionState.RUNNING, today=today(session))
    if "code_kind" in old and _any_code(session, promotion):
        wrong["code_kind"] = "Its codes are out already, so their kind stays. Make another promotion."
    if promotion.code and "code" not in wrong and (promotion.id is None or "code" in old or "code_kind" in old):
        wrong |= {"code": words} if (words := _taken(session, promotion)) else {}
    if wrong:
        raise Invalid(fields=wrong)
    if promotion.state is PromotionState.ENDED:
        promotion.ended_because = promotion.ended_because or EndReason.HAND
    else:
        promotion.ended_because = None


def _any_code(session: Session, promotion: Promotion) -> bool:
    if promotion.id is None:
        return False
    return (
        promotion.redeemed_count > 0
        or session.exec(pick(CODES.c.id).where(CODES.c.promotion_id == promotion.id).limit(1)).first() is not None
    )


def _taken(session: Session, promotion: Promotion) -> str:
    """Codes in the bin count too: they may come back."""
    if promotion.code_kind is not CodeKind.SHARED:
        return ""
    mine = PROMOTIONS.c.id == (promotion.id or 0)
    shared = and_(PROMOTIONS.c.code == promotion.code, PROMOTIONS.c.code_kind == CodeKind.SHARED, ~mine)
    found = session.execute(select(PROMOTIONS.c.id).where(shared).limit(1)).first()
    found = found or session.execute(select(CODES.c.id).where(CODES.c.code == promotion.code).limit(1)).first()
    return f"Another promotion has the code {promotion.code}; one in the bin counts too." if found is not None else ""


def today(session: Session) -> date:
    """The day on which promotions begin and end: the workspace's."""
    return clock.today(session.exec(pick(Organisation.timezone)).first() or "UTC")


def day_of(session: Session, at: datetime) -> date:
    """The workspace's day of an instant."""
    return at.astimezone(ZoneInfo(session.exec(pick(Organisation.timezone)).first() or "UTC")).date()


def locked(session: Session, promotion_id: int) -> Promotion:
    """The row as it stands now, held until the transaction ends: whoever counts a use holds it."""
    query = pick(Promotion).where(Promotion.id == promotion_id).with_for_update()
    return session.exec(query.execution_options(populate_existing=True)).one()


def hold(session: Session, promotion_ids: Iterable[int]) -> None:
    """Hold several at once, always in the same order, so that two who need the same ones never wait for each other."""
    for promotion_id in sorted(set(promotion_ids)):
        locked(session, promotion_id)


# --- for whom ---------------------------------------------------------------------------------------------------------------


def set_audience(
    session: Session,
    actor: Actor,
    promotion_id: int,
    *,
    of: str,
    rule: Mapping[str, Any] | None,
    base_version: int | None = None,
) -> Promotion:
    """Say by a filter over contacts or accounts who may use it; None: everybody. Orders that used a code already keep their discount.
    Events: promotion.audience_changed."""
    promotion = get(session, actor, promotion_id, action=Action.EDIT)
    records.refuse_stale("this promotion", promotion, base_version)
    if of not in RULE_OF:
        raise Invalid("Who may use it is a question about contacts or about accounts.")
    filters.bind(session, of, rule, Context(actor))
    before, promotion.rule_of, promotion.rule = (promotion.rule_of, promotion.rule), of, dict(rule) if rule else None
    if before == (promotion.rule_of, promotion.rule):
        return promotion
    session.add(promotion)
    session.flush()
    events.record(session, actor, "promotion.audience_changed", promotion, changes={"rule": (before[1], promotion.rule)})
    return promotion


def audience_size(session: Session, actor: Actor, promotion_id: int) -> tuple[int, int]:
    """How many contacts or accounts that the actor may see fit its filter, and of how many."""
    promotion = get(session, actor, promotion_id)
    if not actor.can(promotion.rule_of, Action.READ):
        return 0, 0
    table = entity(promotion.rule_of).table
    seen = access.visible(actor, promotion.rule_of, table)
    count = select(func.count()).select_from(table)
    total = session.execute(count.where(seen)).scalar_one()
    fits = filters.where(session, promotion.rule_of, promotion.rule, access.system(), table)
    return session.execute(count.where(seen, fits)).scalar_one(), total


def audience_problem(session: Session, actor: Actor, promotion_id: int) -> str:
    """Why its filter can't be asked any more (a field or a segment is gone), so that nobody may use it; "" when it can."""
    promotion = get(session, actor, promotion_id)
    try:
        filters.bind(session, promotion.rule_of, promotion.rule, Context(access.system()))
    except CrmError as error:
        return error.message
    return ""


# --- its end ----------------------------------------------------------------------------------------------------------------


def end_by_itself(session: Session, promotion: Promotion, reason: EndReason) -> None:
    """It takes no more orders, and its owner is told. Events: promotion.ended."""
    if promotion.state is PromotionState.ENDED:
        return
    before, promotion.state, promotion.ended_because = promotion.state, PromotionState.ENDED, reason
    session.add(promotion)
    session.flush()
    actor = access.system()
    changes = {"state": (before, promotion.state)}
    event = events.record(session, actor, "promotion.ended", promotion, changes=changes, data={"reason": reason.label})
    session.flush()
    notifications.notify(
        session, promotion.owner_id, kind="promotion.ended", params={"reason": reason.label}, entity="promotion", record_id=promotion.id,
        dedupe_key=f"promotion-ended:{promotion.id}:{event.id}",
    )  # fmt: skip


def _over(day: date) -> Any:
    going = PROMOTIONS.c.state.in_((PromotionState.RUNNING, PromotionState.PAUSED))
    return and_(going, PROMOTIONS.c.deleted_at.is_(None), PROMOTIONS.c.ends_on < day)


def anything_over(session: Session) -> bool:
    """Whether the clock must start the job."""
    going = and_(PROMOTIONS.c.state == PromotionState.RUNNING, PROMOTIONS.c.deleted_at.is_(None))
    full = or_(PROMOTIONS.c.spent_minor >= PROMOTIONS.c.budget_minor, PROMOTIONS.c.redeemed_count >= PROMOTIONS.c.max_redemptions)
    return (
        session.execute(select(PROMOTIONS.c.id).where(or_(_over(today(session)), and_(going, full))).limit(1)).first() is not None
    )


@job("promotions.end", title="End promotions whose time is over", cron="*/10 * * * *", when=anything_over, keep_days=2)
def end_what_is_over(job: Job) -> None:
    """Those whose last day has passed, and those whose budget was lowered below what is spent."""
    with job.transaction() as session:
        day = today(session)
        wanted = pick(Promotion).where(
            or_(_over(day), PROMOTIONS.c.state == PromotionState.RUNNING), PROMOTIONS.c.deleted_at.is_(None)
        )
        for promotion in session.exec(wanted.order_by(PROMOTIONS.c.id).with_for_update()):
            over = EndReason.DATE if promotion.ends_on and promotion.ends_on < day else rules.exhausted(promotion)
            if over is not None:
                end_by_itself(session, promotion, over)
