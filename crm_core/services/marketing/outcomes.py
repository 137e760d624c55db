"""What came of a campaign: first what it added against the hold-out, with its interval; then what can only be counted."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Float, and_, case, cast, false, func, literal, select
from sqlmodel import Session

from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.errors import Invalid
from crm_core.kit.clock import utcnow
from crm_core.models import CampaignChannel, CampaignPlan, MailDelivery
from crm_core.services.marketing import audience, campaigns, plans, sending, ways
from crm_core.services.marketing.audience import MEMBERS
from crm_core.vocabulary import SOLD, Action, MailState, Outlet, StageKind
from ml import lift

MAIL: Any = MailDelivery.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Group:
    """One group of people after the launch. Money in minor units; ``squares``: sum of each person's amount squared."""

    name: str
    people: int
    sent: int
    bounced: int
    opened: int
    clicked: int
    replied: int
    left: int
    converted: int
    revenue_minor: int
    squares: float

    @property
    def conversion(self) -> float | None:
        return self.converted / self.people if self.people else None


LETTERS: dict[str, Any] = {
    "sent": MAIL.c.state.in_((MailState.SENT, MailState.HANDED)),
    "bounced": MAIL.c.state == MailState.BOUNCED,
}
DEEDS: dict[str, Any] = {
    "opened": MEMBERS.c.opened_at.is_not(None), "clicked": MEMBERS.c.clicked_at.is_not(None), "replied": MEMBERS.c.replied_at.is_not(None),
    "left": MEMBERS.c.unsubscribed_at.is_not(None),
}  # fmt: skip
"""When a member counts as that: by the message to them, by what they did with it."""
COUNTED = ("sent", "bounced", "opened", "clicked", "replied", "left", "converted")
"""Of how many of a group each is known, in the order of its fields."""
UNDER_WAY = ("waiting", "outbox", "failed", "skipped")
"""Where a letter is, or why there is none, beside those that arrived and bounced."""


@dataclass(frozen=True)
class Slice:
    """The members whom one number of the results or of the sending counts. ``what``: one of ``COUNTED`` or ``UNDER_WAY``, "people" for the whole
    group, "responded" for those who are said to have responded or converted; ``wording``, ``way`` (the value of an outlet) and ``reason`` (why somebody
    was left out) narrow it down, "" for any."""

    what: str
    held_out: bool = False
    wording: str = ""
    way: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Listed:
    """One page of the members of a slice, how many the reader may see, and how many more the number counts."""

    rows: list[campaigns.MemberRow]
    total: int
    hidden: int


Groups = Mapping[tuple[bool, str | None, str | None], Group]
"""Held out or not, wording, ways → those people."""


@dataclass(frozen=True)
class Comparison:
    """Wording against wording: difference of the share that clicked and of the share that converted, first minus second."""

    first: str
    second: str
    clicks: lift.Difference
    conversions: lift.Difference


@dataclass(frozen=True)
class WayOutcome:
    """What came of the people whom one of several ways reaches, against those of the same audience whom chance held out of the whole campaign. Costs are
    None where the budget is hidden."""

    outlet: Outlet
    treated: Group
    control: Group
    share: lift.Difference
    money: lift.Difference
    planned_minor: int | None
    cost_minor: int | None

    @property
    def extra_revenue(self) -> lift.Difference:
        """In minor units, over everybody whom this way reaches."""
        return self.money.times(self.treated.people)

    @property
    def return_on_cost(self) -> lift.Difference | None:
        """Extra revenue less cost, per cost, with its interval; None without cost or without a usable difference."""
        return _back(self.extra_revenue, self.cost_minor)


def _back(extra: lift.Difference, cost_minor: int | None) -> lift.Difference | None:
    if not cost_minor or not extra.enough:
        return None
    value, low, high = ((one - cost_minor) / cost_minor for one in (extra.value, extra.low, extra.high))
    return replace(extra, value=value, low=low, high=high)


@dataclass(frozen=True)
class Outcome:
    """The result of a campaign as of ``at``. ``cost_minor`` is None where the budget is hidden. ``window_ends_at``: from then on nothing counts any more; until then it is preliminary."""

    at: datetime
    window_ends_at: datetime
    treated: Group
    control: Group
    variants: list[Group]
    share: lift.Difference
    money: lift.Difference
    cost_minor: int | None
    may_see_money: bool
    comparisons: list[Comparison]
    by_way: list[WayOutcome]

    @property
    def final(self) -> bool:
        return self.at >= self.window_ends_at

    @property
    def extra_conversions(self) -> lift.Difference:
        return self.share.times(self.treated.people)

    @property
    def extra_revenue(self) -> lift.Difference:
        """In minor units, over everybody who was addressed."""
        return self.money.times(self.treated.people)

    @property
    def return_on_cost(self) -> lift.Difference | None:
        """Extra revenue less cost, per cost, with its interval; None without cost or without a usable difference."""
        return _back(self.extra_revenue, self.cost_minor)


def get(session: Session, actor: Actor, campaign_id: int, *, at: datetime | None = None) -> Outcome | None:
    """The result; None before the launch. Both groups are counted alike, by intention to treat, over what the actor may see."""
    plan = plans.get(session, actor, campaign_id)
    if plan.launched_at is None:
        return None
    now = at or utcnow()
    groups = _groups(session, actor, plan, now)
    treated, control = _sides(groups)
    shares, money = _differences(treated, control)
    wordings = sorted({name for is_control, name, _ in groups if name and not is_control})
    variants = [_sum(name, [group for key, group in groups.items() if key[:2] == (False, name)]) for name in wordings]
    ends = plan.launched_at + timedelta(days=plan.window_days)
    sees = plan.goal in ("order", "deal") and _sees_money(actor, plan.goal)
    return Outcome(
        now,
        ends,
        treated,
        control,
        variants,
        shares,
        money,
        _cost(session, actor, campaign_id),
        sees,
        _compare(variants),
        _by_way(session, actor, plan, groups),
    )


def _sides(groups: Groups, way: str = "") -> tuple[Group, Group]:
    """Addressed and held out, all of them or those of one way."""
    mine = {key: group for key, group in groups.items() if way in (key[2] or "")}
    treated = _sum("Addressed", [group for key, group in mine.items() if not key[0]])
    return treated, _sum("Hold-out", [group for key, group in mine.items() if key[0]])


def _differences(treated: Group, control: Group) -> tuple[lift.Difference, lift.Difference]:
    """Of the share that reached the goal, and of the money per person."""
    shares = lift.difference_of_shares((treated.converted, treated.people), (control.converted, control.people))
    money = lift.difference_of_means(
        (treated.people, float(treated.revenue_minor), treated.squares),
        (control.people, float(control.revenue_minor), control.squares),
    )
    return shares, money


def _by_way(session: Session, actor: Actor, plan: CampaignPlan, groups: Groups) -> list[WayOutcome]:
    found = ways.find(session, actor, plan)
    made = []
    for way in found if len(found) > 1 else ():
        sides = _sides(groups, f",{way.outlet.value},")
        made.append(WayOutcome(way.outlet, *sides, *_differences(*sides), way.planned_cost_minor, way.actual_cost_minor))
    return made


def _sees_money(actor: Actor, key: str) -> bool:
    field = "total_minor" if key == "order" else "amount_minor"
    return actor.can(key, Action.READ) and not actor.masked(key, field)


def _compare(variants: list[Group]) -> list[Comparison]:
    return [
        Comparison(
            one.name, variants[0].name,
            *(
                lift.difference_of_shares(
                    (getattr(one, what), one.people), (getattr(variants[0], what), variants[0].people),
                    named=(f"with {one.name}", f"with {variants[0].name}", events),
                )
                for what, events in (("clicked", "clicks"), ("converted", "conversions"))
            ),
        )
        for one in variants[1:]
    ]  # fmt: skip


def _groups(session: Session, actor: Actor, plan: CampaignPlan, at: datetime) -> Groups:
    bought = _conversions(actor, plan, at).subquery()
    amount = func.coalesce(bought.c.amount, 0)
    holds = {**LETTERS, **DEEDS, "converted": bought.c.member_id.is_not(None)}
    many = [func.sum(case((holds[what], 1), else_=0)) for what in COUNTED]
    rows = session.execute(
        select(
            MEMBERS.c.is_control, MEMBERS.c.variant, MEMBERS.c.ways, func.count(), *many, func.sum(amount),
            func.sum(cast(amount, Float) * cast(amount, Float)),
        )
        .select_from(_with_deeds(bought))
        .where(MEMBERS.c.campaign_id == plan.campaign_id, MEMBERS.c.step.is_not(None))
        .group_by(MEMBERS.c.is_control, MEMBERS.c.variant, MEMBERS.c.ways)
    )  # fmt: skip
    found = {}
    for control, variant, reached, *numbers in rows:
        counts: list[Any] = [*(int(number or 0) for number in numbers[:-1]), float(numbers[-1] or 0)]
        found[(bool(control), variant, reached)] = Group(variant or "", *counts)
    return found


def _with_deeds(bought: Any) -> Any:
    """Members with their message and what they did."""
    return MEMBERS.outerjoin(MAIL, MAIL.c.id == MEMBERS.c.mail_id).outerjoin(bought, bought.c.member_id == MEMBERS.c.id)


def members(
    session: Session, actor: Actor, campaign_id: int, wanted: Slice, *, page: int = 1, size: int = 50, at: datetime | None = None
) -> Listed:
    """The members behind a number of the results or of the overview, as far as the actor may see them. Raises Invalid for a number that there is not."""
    clause = _clause(actor, plans.get(session, actor, campaign_id), wanted, at or utcnow())
    rows, total, everybody = campaigns.listed(session, actor, campaign_id, clause, page=page, size=size)
    return Listed(rows, total, everybody - total)


def _clause(actor: Actor, plan: CampaignPlan, wanted: Slice, at: datetime) -> Any:
    parts = [MEMBERS.c.is_control.is_(wanted.held_out)]
    if wanted.wording:
        parts.append(MEMBERS.c.variant == wanted.wording)
    if wanted.way:
        parts.append(MEMBERS.c.ways.contains(f",{wanted.way},", autoescape=True))
    if wanted.what == "responded":
        return and_(*parts, campaigns.inside(MEMBERS), MEMBERS.c.status.in_(campaigns.RESPONDED))
    if wanted.what == "people":
        return and_(*parts, campaigns.inside(MEMBERS) if plan.launched_at is None else MEMBERS.c.step.is_not(None))
    if wanted.what not in (*COUNTED, *UNDER_WAY):
        raise Invalid("The results count nobody like that.")
    if plan.launched_at is None:
        return false()
    return and_(*parts, MEMBERS.c.step.is_not(None), _counts(actor, plan, wanted, at))


def _counts(actor: Actor, plan: CampaignPlan, wanted: Slice, at: datetime) -> Any:
    """When a member counts as one of ``COUNTED`` or ``UNDER_WAY``, asked of the members alone."""
    what = wanted.what
    if what in DEEDS:
        return DEEDS[what]
    if what in LETTERS or what in UNDER_WAY:
        written = MEMBERS.join(MAIL, MAIL.c.id == MEMBERS.c.mail_id, isouter=what in UNDER_WAY)
        chosen = select(MEMBERS.c.id).select_from(written).where(MEMBERS.c.campaign_id == plan.campaign_id)
        why = (wanted.reason == sending.WHY,) if wanted.reason else ()
        return MEMBERS.c.id.in_(
            chosen.where(LETTERS[what])
            if what in LETTERS
            else chosen.where(MEMBERS.c.step.in_(sending.MAILED), what == sending.PLACE, *why)
        )
    return MEMBERS.c.id.in_(select(_conversions(actor, plan, at).subquery().c.member_id))


def _conversions(actor: Actor, plan: CampaignPlan, at: datetime) -> Any:
    """SELECT member_id, amount of everybody who reached the goal in the window after the launch, hold-out and addressed alike."""
    start = plan.launched_at
    assert start is not None
    end = min(at, start + timedelta(days=plan.window_days))
    if plan.goal == "response":
        answered = and_(MEMBERS.c.responded_at >= start, MEMBERS.c.responded_at < end)
        return select(MEMBERS.c.id.label("member_id"), literal(0).label("amount")).where(
            MEMBERS.c.campaign_id == plan.campaign_id, MEMBERS.c.step.is_not(None), answered
        )
    lead = entity("lead").table
    person = func.coalesce(MEMBERS.c.contact_id, lead.c.converted_contact_id)
    base = MEMBERS.outerjoin(lead, and_(lead.c.id == MEMBERS.c.lead_id, lead.c.converted_at >= start, lead.c.converted_at < end))
    bought = _deeds(actor, plan.goal, start, end).subquery()
    return (
        select(MEMBERS.c.id.label("member_id"), func.sum(bought.c.amount).label("amount"))
        .select_from(base.join(bought, bought.c.person_id == person))
        .where(MEMBERS.c.campaign_id == plan.campaign_id, MEMBERS.c.step.is_not(None))
        .group_by(MEMBERS.c.id)
    )


def _deeds(actor: Actor, goal: str, start: datetime, end: datetime) -> Any:
    if goal == "deal":
        deal = entity("deal").table
        when = and_(deal.c.closed_on >= start.date(), deal.c.closed_on <= end.date(), deal.c.outcome == StageKind.WON)
        return select(deal.c.contact_id.label("person_id"), deal.c.amount_minor.label("amount")).where(
            when, deal.c.contact_id.is_not(None), visible(actor, "deal", deal)
        )
    order = entity("order").table
    good = order.c.status.in_(SOLD)
    when = and_(order.c.ordered_at >= start, order.c.ordered_at < end, good)
    return select(order.c.contact_id.label("person_id"), order.c.total_minor.label("amount")).where(
        when, order.c.contact_id.is_not(None), visible(actor, "order", order)
    )


def _sum(name: str, groups: list[Group]) -> Group:
    keys = ("people", *COUNTED, "revenue_minor", "squares")
    return Group(name, *(sum(getattr(group, key) for group in groups) for key in keys))  # type: ignore[arg-type]


def _cost(session: Session, actor: Actor, campaign_id: int) -> int | None:
    require(actor, "campaign", Action.READ)
    if actor.masked("campaign", "budget_minor"):
        return None
    cost: Any = CampaignChannel.__table__  # type: ignore[attr-defined]
    total = select(func.coalesce(func.sum(cost.c.actual_cost_minor), 0)).where(cost.c.campaign_id == campaign_id)
    return int(session.execute(total).scalar_one())


@dataclass(frozen=True)
class Power:
    """What an audience of this size can show. Shares between 0 and 1; ``needed`` is None without an expectation."""

    base: float
    base_from: str
    needed: int | None
    detectable: float


def power(session: Session, actor: Actor, plan: CampaignPlan, eligible: int) -> Power:
    """The sample size that the expected lift needs, and the lift that this audience can show.

    The base is what was typed in, else the share of this very audience who reached the goal in a window of the same length before today: people
    who were chosen because they buy seldom do not do as everybody does.
    """
    require(actor, "campaign", Action.READ)
    base, words = _base_share(session, actor, plan)
    held = plan.holdout_pct / 100
    needed = None
    points = (plan.expected_lift_points or 0) / 100
    if points and base > 0 and base + points < 1 and held:
        needed = lift.needed_people(base, points, held)
    return Power(base, words, needed, lift.detectable_lift(base, eligible, held) if held else 1.0)


def _base_share(session: Session, actor: Actor, plan: CampaignPlan) -> tuple[float, str]:
    if plan.expected_base_pct:
        return plan.expected_base_pct / 100, "as typed in"
    end = utcnow()
    start = end - timedelta(days=plan.window_days)
    if plan.goal == "response":
        return 0.0, ""
    people = audience.recipients(session, actor, ways.first(session, actor, plan), "contact", end).subquery()
    deeds = _deeds(actor, plan.goal, start, end).subquery()
    did = case((people.c.id.in_(select(deeds.c.person_id)), 1), else_=0)
    buyers, everybody = session.execute(select(func.coalesce(func.sum(did), 0), func.count()).select_from(people)).one()
    share = min(0.99, buyers / everybody) if everybody else 0.0
    return share, f"share of these people in the last {plan.window_days} days"
