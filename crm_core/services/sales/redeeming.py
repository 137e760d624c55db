"""Using a code on an order: what it takes off which line, and giving it back.

Everything that counts a use holds the row of the order first and that of the promotion next (several of them by their ids), so that two at once
can't spend the last of a budget twice, nor wait for each other. What a shop has given already is written down whatever our rules say; then it says so.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, select, update
from sqlmodel import Session, col
from sqlmodel import select as pick

from crm_core import db, events, lists, persons, records
from crm_core.access import Actor, visible
from crm_core.errors import Conflict, Invalid
from crm_core.kit import clock
from crm_core.kit.money import tax_of
from crm_core.kit.text import clip
from crm_core.models import Order, OrderLine, Promotion, PromotionCode, Redemption
from crm_core.services.sales import code_checks, promotions
from crm_core.services.sales import lines as line_rules
from crm_core.services.sales import promotion_rules as rules
from crm_core.services.sales.code_checks import Offer, active, gross, lines_of
from crm_core.vocabulary import Action, OrderStatus, ReleaseReason

_ORDERS: Any = Order.__table__  # type: ignore[attr-defined]
_LOST = (ReleaseReason.CANCELLED, ReleaseReason.DELETED)
REDEEMED, RELEASED = "order.code_redeemed", "order.code_released"


@dataclass(frozen=True)
class Used:
    """A code on an order as its page shows it. ``amount_minor``: None where totals are hidden; ``promotion_id``: None where the promotion is hidden;
    ``released``: why it no longer counts, "" while it does."""

    id: int
    code: str
    promotion: str
    promotion_id: int | None
    amount_minor: int | None
    from_shop: bool
    remark: str
    released: str
    at: datetime


def of_order(session: Session, actor: Actor, order_id: int) -> list[Used]:
    """The codes of an order that count; when none does, the last one that was given back."""
    records.get(session, actor, "order", order_id)
    query = pick(Redemption, Promotion).join(Promotion, col(Promotion.id) == Redemption.promotion_id)
    found = session.exec(query.where(Redemption.order_id == order_id).order_by(col(Redemption.id).desc()).limit(20)).all()
    counting = [pair for pair in found if pair[0].released_at is None]
    return [_used(actor, row, promotion) for row, promotion in counting or found[:1]]


def _used(actor: Actor, row: Redemption, promotion: Promotion) -> Used:
    released = row.released_because.label if row.released_at is not None and row.released_because is not None else ""
    sees = actor.can("promotion", Action.READ) and promotion.deleted_at is None
    name = persons.called(actor, "promotion", promotion.id, promotion.name)
    return Used(
        row.id, persons.hidden(actor, "promotion", "code", row.code), name if sees else "", promotion.id if sees else None,
        None if actor.masked("order", "total_minor") else row.amount_minor, row.from_shop, row.remark, released, row.released_at or row.at,
    )  # fmt: skip


@dataclass(frozen=True)
class Use:
    """An order that used a promotion. ``amount_minor``: None where totals are hidden."""

    order_id: int
    number: str
    customer: str
    code: str
    at: datetime
    amount_minor: int | None


def orders_of(session: Session, actor: Actor, promotion_id: int, *, page: int = 1, size: int = 20) -> tuple[list[Use], int]:
    """One page of the orders that use a promotion and that the actor may see, the latest first, and their number."""
    promotions.get(session, actor, promotion_id)
    used = code_checks.REDEMPTIONS
    joined = used.join(_ORDERS, _ORDERS.c.id == used.c.order_id)
    clause = and_(used.c.promotion_id == promotion_id, used.c.released_at.is_(None), visible(actor, "order", _ORDERS))
    total = session.execute(select(func.count()).select_from(joined).where(clause)).scalar_one()
    columns = (
        _ORDERS.c.id,
        _ORDERS.c.number,
        _ORDERS.c.account_id,
        _ORDERS.c.contact_id,
        used.c.code,
        used.c.at,
        used.c.amount_minor,
    )
    wanted = select(*columns).select_from(joined).where(clause).order_by(used.c.at.desc(), used.c.id.desc())
    rows = session.execute(wanted.limit(size).offset((max(page, 1) - 1) * size)).all()
    names = {
        key: lists.titles(session, actor, key, [one for row in rows if (one := getattr(row, f"{key}_id"))])
        for key in ("account", "contact")
    }
    hidden = actor.masked("order", "total_minor")
    return [
        Use(
            row.id, persons.hidden(actor, "order", "number", row.number),
            names["account"].get(row.account_id) or names["contact"].get(row.contact_id, ""),
            persons.hidden(actor, "promotion", "code", row.code), row.at,
            None if hidden else row.amount_minor,
        )
        for row in rows
    ], int(total)  # fmt: skip


# --- using it, and giving it back -------------------------------------------------------------------------------------------


def redeem(session: Session, actor: Actor, order_id: int, code: str, *, base_version: int | None = None) -> Redemption:
    """Use a code on an order: its discount comes off the lines that are part of the promotion. Knowing the code is the permission, beside that to
    change the order. Raises Invalid on ``code`` with the reason. Events: order.code_redeemed, and promotion.ended when it was the last one."""
    order: Order = records.get(session, actor, "order", order_id, action=Action.EDIT)
    if base_version not in (None, order.version):
        raise Conflict("Somebody else changed this order meanwhile. Look at the new state, then use the code.")
    _lock_order(session, order.id)
    offer = code_checks.check(session, actor, order_id, code)
    made = _write(session, actor, order, offer)
    _count(session, offer.promotion, made.amount_minor, 1)
    _price(session, offer.promotion, lines_of(session, order.id), made.amount_minor)
    _note(session, actor, order, made, offer.promotion)
    return made


def take_off(session: Session, actor: Actor, order_id: int, redemption_id: int, *, base_version: int | None = None) -> Order:
    """Take a code off an order: the code, the budget and the full price come back. Events: order.code_released."""
    order: Order = records.get(session, actor, "order", order_id, action=Action.EDIT)
    if base_version not in (None, order.version):
        raise Conflict("Somebody else changed this order meanwhile. Look at the new state first.")
    if order.status not in code_checks.CHANGEABLE:
        raise Conflict(f"This order is {order.status.label.lower()}; its prices stay as they are.")
    _lock_order(session, order.id)
    row = next((one for one in active(session, order.id) if one.id == redemption_id), None)
    if row is None:
        raise Conflict("This code is not on the order any more.")
    if row.from_shop:
        raise Conflict("The shop has given this discount. Change the order there.")
    _full_price(session, order)
    _release(session, actor, order, row, ReleaseReason.TAKEN_OFF)
    return order


def _write(session: Session, actor: Actor, order: Order, offer: Offer, *, from_shop: bool = False, remark: str = "") -> Redemption:
    single = offer.single
    made = Redemption(
        promotion_id=offer.promotion.id, order_id=order.id, code_id=single.id if single is not None else None, code=offer.code[:40],
        account_id=order.account_id, contact_id=order.contact_id, amount_minor=offer.amount_minor, at=clock.utcnow(), by_id=actor.user_id,
        campaign_id=(single.campaign_id if single is not None else None) or offer.promotion.campaign_id or order.campaign_id,
        via=actor.via, from_shop=from_shop, remark=clip(remark, 300),
    )  # fmt: skip
    session.add(made)
    session.flush()
    return made


def _release(session: Session, actor: Actor, order: Order, row: Redemption, why: ReleaseReason) -> None:
    promotion = promotions.locked(session, row.promotion_id)
    row.released_at, row.released_because = clock.utcnow(), why
    session.add(row)
    session.flush()
    _count(session, promotion, -row.amount_minor, -1)
    _note(session, actor, order, row, promotion)


def give_back(session: Session, actor: Actor, order: Order, why: ReleaseReason) -> None:
    """Part of cancelling or deleting an order: codes and budget are free again. The lines keep what was agreed. Events: order.code_released."""
    rows = active(session, order.id)
    if rows:
        _lock_order(session, order.id)
        promotions.hold(session, (row.promotion_id for row in rows))
    for row in active(session, order.id):
        _release(session, actor, order, row, why)


def take_again(session: Session, actor: Actor, order: Order) -> list[str]:
    """Part of taking an order back from its cancellation or the bin: its code counts again where it still can, otherwise the full price comes back.
    Gives a sentence for each code that counts no more. Events: order.code_redeemed or order.code_released."""
    lost = col(Redemption.released_because).in_(_LOST)
    query = pick(Redemption).where(Redemption.order_id == order.id, lost).order_by(col(Redemption.id).desc())
    rows = {row.promotion_id: row for row in reversed(session.exec(query).all())}
    if not rows or order.status is OrderStatus.CANCELLED or active(session, order.id):
        return []
    _lock_order(session, order.id)
    promotions.hold(session, rows)
    return [words for row in rows.values() if (words := _again(session, actor, order, row))]


def _again(session: Session, actor: Actor, order: Order, row: Redemption) -> str:
    promotion = promotions.locked(session, row.promotion_id)
    single = session.get(PromotionCode, row.code_id) if row.code_id else None
    reason = "" if single is None or not code_checks.used_up(session, single) else "It was used on another order since."
    if not reason and not row.from_shop:
        reason = (
            "Its promotion was deleted."
            if promotion.deleted_at is not None
            else rules.over_budget(promotion, row.amount_minor, code_checks.words_for(actor))
        )
    if reason:
        row.released_because = ReleaseReason.NOT_AGAIN
        session.add(row)
        _full_price(session, order)
    else:
        row.released_at, row.released_because = None, None
        session.add(row)
        session.flush()
        _count(session, promotion, row.amount_minor, 1)
    _note(session, actor, order, row, promotion)
    price = "" if row.from_shop else ", so the order has its full price"
    return f"The code {row.code} does not count on it any more{price}. {reason}" if reason else ""


def reprice(session: Session, actor: Actor, order: Order, lines: list[OrderLine]) -> None:
    """Part of changing the products of an order: its code takes its discount off the new ones, or comes off when they no longer qualify. Raises
    Invalid when the budget can't bear a larger discount. Events: order.code_released."""
    for row in active(session, order.id):
        if row.from_shop:
            continue
        _lock_order(session, order.id)
        promotion = promotions.locked(session, row.promotion_id)
        whole, base = code_checks.sums(session, promotion, lines)
        amount = rules.amount_off(promotion, base)
        if amount <= 0 or (promotion.min_order_minor and whole < promotion.min_order_minor):
            _release(session, actor, order, row, ReleaseReason.PRODUCTS if amount <= 0 else ReleaseReason.MINIMUM)
            continue
        _refuse_more(session, actor, row, promotion, amount)
        _change(session, row, promotion, amount)
        _price(session, promotion, lines, amount)


def _refuse_more(session: Session, actor: Actor, row: Redemption, promotion: Promotion, amount: int) -> None:
    left = rules.left_of(promotion)
    if left is not None and amount - row.amount_minor > left:
        off = code_checks.words_for(actor).money(amount)
        raise Invalid(
            f"With these products the code {row.code} would take {off} off, more than its budget has left. Take the code off first."
        )


def _change(session: Session, row: Redemption, promotion: Promotion, amount: int) -> None:
    more, row.amount_minor = amount - row.amount_minor, amount
    session.add(row)
    session.flush()
    _count(session, promotion, more, 0)


def follow_customer(session: Session, order: Order) -> None:
    """Part of giving an order to another customer: the use of the code is theirs from now on."""
    for row in active(session, order.id):
        row.account_id, row.contact_id = order.account_id, order.contact_id
        session.add(row)


def follow_orders(session: Session, actor: Actor, order_ids: Collection[int]) -> tuple[dict[int, int], dict[int, list[str]]]:
    """Part of changing many orders past the screen: codes follow their customers and are given back with cancelled orders or taken again with
    others. Gives the version of each order that has had a code, and what ``take_again`` says of it.
    Events: order.code_redeemed, order.code_released."""
    used = code_checks.REDEMPTIONS
    pairs = session.execute(select(used.c.order_id, used.c.promotion_id).where(used.c.order_id.in_(order_ids)).distinct()).all()
    promotions.hold(session, (row.promotion_id for row in pairs))
    versions: dict[int, int] = {}
    said: dict[int, list[str]] = {}
    for order_id in sorted({row.order_id for row in pairs}):
        order = session.get_one(Order, order_id, populate_existing=True)
        follow_customer(session, order)
        if order.status is OrderStatus.CANCELLED:
            give_back(session, actor, order, ReleaseReason.CANCELLED)
        elif words := take_again(session, actor, order):
            said[order_id] = words
        session.flush()
        versions[order_id] = order.version
    return versions, said


# --- from a shop ------------------------------------------------------------------------------------------------------------


def from_shop(session: Session, actor: Actor, order: Order, coupons: Iterable[tuple[str, int]]) -> None:
    """Part of taking in a shop's order: write down which codes it gave how much for. Codes that belong to no promotion here are the shop's own.
    Events: order.code_redeemed, order.code_released, promotion.ended."""
    known = {row.promotion_id: row for row in active(session, order.id) if row.from_shop}
    wanted = _wanted(session, coupons) if order.status is not OrderStatus.CANCELLED else {}
    if known or wanted:
        _lock_order(session, order.id)
        promotions.hold(session, {*known, *wanted})
    for promotion_id, row in known.items():
        if promotion_id not in wanted:
            cancelled = order.status is OrderStatus.CANCELLED
            _release(session, actor, order, row, ReleaseReason.CANCELLED if cancelled else ReleaseReason.SHOP)
    for promotion_id, (single, code, amount) in wanted.items():
        offer = Offer(promotions.locked(session, promotion_id), single, code, amount)
        if promotion_id in known:
            _change(session, known[promotion_id], offer.promotion, amount)
        else:
            _new_from_shop(session, actor, order, offer)


def _wanted(session: Session, coupons: Iterable[tuple[str, int]]) -> dict[int, tuple[PromotionCode | None, str, int]]:
    """Promotion → single code, code and amount; several codes of one promotion count together."""
    found: dict[int, tuple[PromotionCode | None, str, int]] = {}
    for code, amount in coupons:
        known = code_checks.find_code(session, code)
        if known is not None and known[0].deleted_at is None:
            before = found[known[0].id][2] if known[0].id in found else 0
            found[known[0].id] = (known[1], rules.normal(code), before + max(0, amount))
    return found


def _new_from_shop(session: Session, actor: Actor, order: Order, offer: Offer) -> None:
    remark = _doubt(session, actor, order, offer)
    if offer.single is not None and code_checks.used_up(session, offer.single):
        offer = Offer(offer.promotion, None, offer.code, offer.amount_minor)
    made = _write(session, actor, order, offer, from_shop=True, remark=remark)
    _count(session, offer.promotion, made.amount_minor, 1)
    _note(session, actor, order, made, offer.promotion)


def _doubt(session: Session, actor: Actor, order: Order, offer: Offer) -> str:
    """Which rule of ours the shop did not know, in words."""
    words = code_checks.words_for(actor)
    reason = (
        rules.refusal_by_time(offer.promotion, promotions.day_of(session, order.ordered_at), words)
        or code_checks.by_customer(session, offer.promotion, offer.single, order)
        or rules.over_budget(offer.promotion, offer.amount_minor, words)
    )
    return f"The shop gave it all the same: {reason}" if reason else ""


# --- rows -------------------------------------------------------------------------------------------------------------------


def _lock_order(session: Session, order_id: int) -> None:
    session.execute(select(_ORDERS.c.id).where(_ORDERS.c.id == order_id).with_for_update()).first()


def _count(session: Session, promotion: Promotion, amount: int, uses: int) -> None:
    """Beside the mapper: a use is no new version of the promotion, so that whoever edits it meanwhile has no conflict."""
    table = promotions.PROMOTIONS
    more = {"spent_minor": table.c.spent_minor + amount, "redeemed_count": table.c.redeemed_count + uses}
    session.execute(update(table).where(table.c.id == promotion.id).values(**more))
    db.bump(session, table.name)
    session.refresh(promotion)
    over = rules.exhausted(promotion) if amount > 0 or uses > 0 else None
    if over is not None:
        promotions.end_by_itself(session, promotion, over)


def _price(session: Session, promotion: Promotion, lines: list[OrderLine], amount: int) -> None:
    part = code_checks.part(session, promotion, lines)
    for line, off in zip(part, rules.shares([gross(line) for line in part], amount), strict=True):
        _set(session, line, off)
    session.flush()


def _set(session: Session, line: OrderLine, off: int) -> None:
    """The tax is that of what is paid: of each period, where a discount leaves whole ones."""
    line.total_minor, line.promotion_minor = gross(line) - off, off
    each, rest = divmod(line.total_minor, line.periods)
    line.tax_minor = tax_of(line.total_minor, line.tax_rate_pct) if rest else tax_of(each, line.tax_rate_pct) * line.periods
    session.add(line)


def _full_price(session: Session, order: Order) -> None:
    for line in lines_of(session, order.id):
        _set(session, line, 0)
    session.flush()


def _note(session: Session, actor: Actor, order: Order, row: Redemption, promotion: Promotion) -> None:
    """The total follows the lines, and the log says what happened."""
    before, lines = {key: getattr(order, key) for key in ("total_minor", "tax_minor")}, lines_of(session, order.id)
    if lines:
        summed = line_rules.sums(lines)
        order.total_minor, order.tax_minor = summed.net, summed.tax
        session.add(order)
        session.flush()
    data = {"code": row.code, "promotion": promotion.name}
    if row.released_because is not None:
        data["reason"] = row.released_because.label
    changes = {key: (old, getattr(order, key)) for key, old in before.items() if old != getattr(order, key)}
    events.record(session, actor, RELEASED if row.released_at is not None else REDEEMED, order, changes=changes, data=data)
