"""Promotions of the demo company: a code that everybody types, and single codes for the readers of its letter. Their orders come from its web shop,
whose prices are after the discount, so that nothing that was planted in orders and their lines changes."""

from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import func, select
from sqlmodel import Session

from crm_core import search
from crm_core.kit import clock
from crm_core.models import CampaignMember, CampaignPlan, Order, Promotion, PromotionCode, Redemption
from crm_core.services.admin.demo.draft import Draft
from crm_core.services.admin.demo.staff import with_role
from crm_core.services.sales.promotion_rules import ALPHABET
from crm_core.vocabulary import SOLD, CodeKind, EndReason, PromotionEffect, PromotionState, Via

RUNS_SINCE, RUNS_ON = 56, 28
MOST = 400
"""Redemptions of a promotion, however large the company is."""
READERS = 60
_ORDERS: Any = Order.__table__  # type: ignore[attr-defined]
_MEMBERS: Any = CampaignMember.__table__  # type: ignore[attr-defined]
_PLANS: Any = CampaignPlan.__table__  # type: ignore[attr-defined]


def draft_events(draft: Draft) -> None:
    """When the promotions were made and started, for the log in its order of time."""
    owner = int(draft.known["marketers"][0])
    for number, ago in ((1, RUNS_SINCE + 3), (2, 300)):
        for kind, days in (("promotion.created", ago), ("promotion.started", ago - 1)):
            at = np.array([draft.instant - np.timedelta64(days, "D")])
            draft.happened(kind, "promotion", np.array([number]), at, actor_id=np.array([owner]))


def add(session: Session, seed: int, timezone: str) -> int:
    """Two promotions with their codes and redemptions; gives how many promotions there are."""
    rng, today = np.random.default_rng([seed, 47]), clock.today(timezone)
    owner = next(iter(with_role(session, "marketer", 1)), None)
    made = [_for_everybody(today, owner), _for_readers(session, today, owner)]
    for promotion, ago in zip(made, (RUNS_SINCE + 3, 300), strict=True):
        promotion.created_at = promotion.updated_at = clock.utcnow() - timedelta(days=ago)
    session.add_all(made)
    session.flush()
    search.index_many(session, "promotion", made)
    _use_everybodys(session, made[0], rng)
    _use_readers(session, made[1], rng)
    session.flush()
    return len(made)


def _for_everybody(today: date, owner: int | None) -> Promotion:
    return Promotion(
        name="Fresh roast: 10% off", state=PromotionState.RUNNING, effect=PromotionEffect.PERCENT, percent_off=10, min_order_minor=50_00,
        code_kind=CodeKind.SHARED, code="ROAST10", starts_on=today - timedelta(days=RUNS_SINCE), ends_on=today + timedelta(days=RUNS_ON),
        budget_minor=2_500_00, per_customer=3, owner_id=owner, description="Stands on the front page of the web shop.",
    )  # fmt: skip


def _for_readers(session: Session, today: date, owner: int | None) -> Promotion:
    plan = session.execute(
        select(_PLANS.c.campaign_id, _PLANS.c.launched_at).where(_PLANS.c.launched_at.is_not(None)).limit(1)
    ).first()
    begun = plan.launched_at.date() if plan is not None else today - timedelta(days=200)
    return Promotion(
        name="Thank you for reading: 15 off", state=PromotionState.ENDED, ended_because=EndReason.DATE, effect=PromotionEffect.AMOUNT,
        amount_off_minor=15_00, min_order_minor=60_00, code_kind=CodeKind.SINGLE, code="TASTE", starts_on=begun, ends_on=begun + timedelta(days=90),
        budget_minor=600_00, per_customer=1, owner_id=owner, campaign_id=plan.campaign_id if plan is not None else None,
        description="A code for each reader of the letter, used once.",
    )  # fmt: skip


def _use_everybodys(session: Session, promotion: Promotion, rng: np.random.Generator) -> None:
    since = clock.utcnow() - timedelta(days=RUNS_SINCE - 1)
    clause = (
        _ORDERS.c.ordered_at > since,
        _ORDERS.c.source.in_(("Website", "Shop")),
        _ORDERS.c.status.in_(SOLD),
        _ORDERS.c.total_minor >= 50_00,
    )
    rows = session.execute(select(_ORDERS).where(*clause).order_by(_ORDERS.c.id).limit(MOST * 3)).all()
    left, seen = promotion.budget_minor or 0, dict[int, int]()
    for row, chance in zip(rows, rng.random(len(rows)), strict=True):
        amount = round(row.total_minor / 9)
        if chance < 0.4 and amount <= left * 0.8 and seen.get(row.account_id, 0) < 3:
            left, seen[row.account_id] = left - amount, seen.get(row.account_id, 0) + 1
            _redeem(session, promotion, row, None, "ROAST10", amount)


def _use_readers(session: Session, promotion: Promotion, rng: np.random.Generator) -> None:
    """Codes for the readers whose company ordered after the letter, and for as many who did not."""
    if promotion.campaign_id is None:
        return
    begun = session.execute(select(_PLANS.c.launched_at).where(_PLANS.c.campaign_id == promotion.campaign_id)).scalar_one()
    members = select(_MEMBERS.c.contact_id).where(_MEMBERS.c.campaign_id == promotion.campaign_id, _MEMBERS.c.mail_id.is_not(None))
    ids = list(session.execute(members.where(_MEMBERS.c.contact_id.is_not(None)).order_by(_MEMBERS.c.id).limit(READERS)).scalars())
    clause = (
        _ORDERS.c.contact_id.in_(ids),
        _ORDERS.c.ordered_at > begun,
        _ORDERS.c.ordered_at < begun + timedelta(days=85),
        _ORDERS.c.total_minor >= 45_00,
    )
    first = (
        select(func.min(_ORDERS.c.id))
        .where(*clause, _ORDERS.c.status.in_(SOLD), _ORDERS.c.deal_id.is_(None))
        .group_by(_ORDERS.c.contact_id)
    )
    orders = {row.contact_id: row for row in session.execute(select(_ORDERS).where(_ORDERS.c.id.in_(first)))}
    for contact_id in ids:
        code = _code(session, promotion, contact_id, begun, rng)
        order = orders.get(contact_id)
        if order is not None and rng.random() < 0.8 and promotion.spent_minor + 15_00 <= (promotion.budget_minor or 0):
            _redeem(session, promotion, order, code.id, code.code, 15_00)


def _code(session: Session, promotion: Promotion, contact_id: int, at: datetime, rng: np.random.Generator) -> PromotionCode:
    drawn = "".join(ALPHABET[n] for n in rng.integers(len(ALPHABET), size=8))
    made = PromotionCode(
        promotion_id=promotion.id, code=f"{promotion.code}-{drawn[:4]}-{drawn[4:]}", draw_key=f"contact:{contact_id}:0", given_at=at,
        campaign_id=promotion.campaign_id, contact_id=contact_id, created_at=at, updated_at=at,
    )  # fmt: skip
    session.add(made)
    session.flush()
    return made


def _redeem(session: Session, promotion: Promotion, order: Any, code_id: int | None, code: str, amount: int) -> None:
    session.add(
        Redemption(
            promotion_id=promotion.id, order_id=order.id, code_id=code_id, code=code, account_id=order.account_id, contact_id=order.contact_id,
            campaign_id=promotion.campaign_id, amount_minor=amount, at=order.ordered_at, via=Via.DEMO, from_shop=True,
            created_at=order.ordered_at, updated_at=order.ordered_at,
        )
    )  # fmt: skip
    promotion.spent_minor, promotion.redeemed_count = promotion.spent_minor + amount, promotion.redeemed_count + 1
