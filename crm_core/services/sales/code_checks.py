"""Whether a code may be used on an order, and if not, why: one sentence that can be read out to the customer."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import and_, func, select
from sqlmodel import Session, col
from sqlmodel import select as pick

from crm_core import access, filters, records
from crm_core.access import Actor
from crm_core.entities import entity
from crm_core.errors import CrmError, Invalid
from crm_core.format import day, money
from crm_core.kit.text import clip
from crm_core.models import Contact, Lead, Order, OrderLine, Product, Promotion, PromotionCode, Redemption, SegmentMember, ShopLink
from crm_core.services.sales import lines as line_rules
from crm_core.services.sales import promotion_rules as rules
from crm_core.services.sales import promotions
from crm_core.services.sales.promotion_rules import Words
from crm_core.vocabulary import Action, CodeKind, OrderStatus

REDEMPTIONS: Any = Redemption.__table__  # type: ignore[attr-defined]
CHANGEABLE = (OrderStatus.DRAFT, OrderStatus.PLACED)
_MEMBERS: Any = SegmentMember.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Offer:
    """What a code would do to an order."""

    promotion: Promotion
    single: PromotionCode | None
    code: str
    amount_minor: int


def find_code(session: Session, code: str) -> tuple[Promotion, PromotionCode | None] | None:
    """The promotion that a code belongs to, and the single code; None for one that nobody made."""
    text = rules.normal(code)
    single = session.exec(pick(PromotionCode).where(PromotionCode.code == text)).first() if text else None
    if single is not None:
        return session.get_one(Promotion, single.promotion_id), single
    shared = pick(Promotion).where(Promotion.code == text, Promotion.code_kind == CodeKind.SHARED)
    found = session.exec(shared).first() if text else None
    return (found, None) if found is not None else None


def check(session: Session, actor: Actor, order_id: int, code: str) -> Offer:
    """What a code would take off an order, with the promotion's row held. Raises Invalid on ``code`` with the reason why it can't be used."""
    order: Order = records.get(session, actor, "order", order_id, action=Action.EDIT)
    line_rules.refuse_hidden(actor, "order", "total_minor")
    if not rules.normal(code):
        _refuse("Type the code.")
    found = find_code(session, code)
    if found is None or found[0].deleted_at is not None:
        raise Invalid(fields={"code": f"There is no code “{clip(rules.normal(code), 40)}”. Look at its letters and digits again."})
    _refuse(_by_order(session, order, found[0]))
    words, single = words_for(actor), found[1]
    promotion = promotions.locked(session, found[0].id)
    _refuse(rules.refusal_by_time(promotion, promotions.today(session), words) or by_customer(session, promotion, single, order))
    lines = lines_of(session, order.id)
    if not lines:
        _refuse("Add the products first: the code takes its discount off them.")
    whole, base = sums(session, promotion, lines)
    _refuse(rules.refusal_by_money(promotion, whole, base, words))
    return Offer(promotion, single, single.code if single else promotion.code or "", rules.amount_off(promotion, base))


def _refuse(words: str) -> None:
    if words:
        raise Invalid(fields={"code": words})


def words_for(actor: Actor) -> Words:
    """Days and amounts as the actor reads them."""
    return Words(partial(day, actor), partial(money, actor))


def _by_order(session: Session, order: Order, promotion: Promotion) -> str:
    if order.status not in CHANGEABLE:
        return f"This order is {order.status.label.lower()}; its prices stay as they are."
    from_shop = pick(ShopLink.id).where(ShopLink.kind == "order", ShopLink.record_id == order.id)
    if session.exec(from_shop.limit(1)).first() is not None:
        return "This order comes from a shop, which gives the discounts of its orders itself."
    for row in active(session, order.id):
        if row.promotion_id == promotion.id:
            return f"This order has the code {row.code} of the same promotion already."
        return f"This order has the code {row.code}. Take that off first: one code per order."
    return ""


# --- the customer -----------------------------------------------------------------------------------------------------------


def by_customer(session: Session, promotion: Promotion, single: PromotionCode | None, order: Order) -> str:
    """Why the customer of an order may not use a code; "" when they may."""
    if single is not None and used_up(session, single):
        return "This code was used already; it works once."
    contact = session.get(Contact, order.contact_id) if order.contact_id else None
    accounts = {one for one in (order.account_id, contact.account_id if contact is not None else None) if one is not None}
    chosen = bool(promotion.rule or promotion.segment_id)
    if contact is None and not accounts and (chosen or (single is None and promotion.per_customer)):
        return "Choose the customer of the order first: this code is not for everybody, or works so often for each."
    if single is not None and not _theirs(session, single, contact, accounts):
        return "This code was given to somebody else."
    if not _in_segment(session, promotion, order.contact_id, accounts) or not _fits(session, promotion, order.contact_id, accounts):
        return "This code is not for this customer."
    return _by_count(session, promotion, order)


def used_up(session: Session, single: PromotionCode) -> bool:
    """Whether a single code counts on some order."""
    taken = and_(REDEMPTIONS.c.code_id == single.id, REDEMPTIONS.c.released_at.is_(None))
    return session.execute(select(REDEMPTIONS.c.id).where(taken).limit(1)).first() is not None


def _theirs(session: Session, single: PromotionCode, contact: Contact | None, accounts: set[int]) -> bool:
    """A code that was given to a person is theirs and their company's; one that was printed is whose it is."""
    holder = session.get(Contact, single.contact_id) if single.contact_id else None
    if holder is None and single.lead_id:
        lead = session.get(Lead, single.lead_id)
        holder = session.get(Contact, lead.converted_contact_id) if lead is not None and lead.converted_contact_id else None
    if holder is None:
        return True
    return (contact is not None and contact.id == holder.id) or (holder.account_id is not None and holder.account_id in accounts)


def _in_segment(session: Session, promotion: Promotion, contact_id: int | None, accounts: set[int]) -> bool:
    if not promotion.segment_id:
        return True
    segments = entity("segment").table
    of = session.execute(select(segments.c.entity).where(segments.c.id == promotion.segment_id)).scalar()
    ids = _ids(str(of.value if of is not None else ""), contact_id, accounts)
    inside = and_(_MEMBERS.c.segment_id == promotion.segment_id, _MEMBERS.c.left_at.is_(None), _MEMBERS.c.record_id.in_(ids))
    return session.execute(select(_MEMBERS.c.id).where(inside).limit(1)).first() is not None


def _ids(of: str, contact_id: int | None, accounts: set[int]) -> set[int]:
    return accounts if of == "account" else {contact_id} if of == "contact" and contact_id else set()


def _fits(session: Session, promotion: Promotion, contact_id: int | None, accounts: set[int]) -> bool:
    """Asked with the product's own eyes: whether a customer may use a code depends on nobody's rights. A filter that can't be asked lets nobody in."""
    if not promotion.rule:
        return True
    table = entity(promotion.rule_of).table
    try:
        clause = filters.where(session, promotion.rule_of, promotion.rule, access.system(), table)
    except CrmError:
        return False
    ids = _ids(promotion.rule_of, contact_id, accounts)
    return session.execute(select(table.c.id).where(table.c.id.in_(ids), clause).limit(1)).first() is not None


def _by_count(session: Session, promotion: Promotion, order: Order) -> str:
    if promotion.per_customer is None or not (order.contact_id or order.account_id):
        return ""
    theirs = REDEMPTIONS.c.contact_id == order.contact_id if order.contact_id else REDEMPTIONS.c.account_id == order.account_id
    counted = and_(REDEMPTIONS.c.promotion_id == promotion.id, REDEMPTIONS.c.released_at.is_(None), theirs)
    used = session.execute(select(func.count()).select_from(REDEMPTIONS).where(counted)).scalar_one()
    if used < promotion.per_customer:
        return ""
    often = "once" if promotion.per_customer == 1 else f"{promotion.per_customer} times"
    return f"This customer has used the promotion {often}, which is as often as each may."


# --- rows -------------------------------------------------------------------------------------------------------------------


def active(session: Session, order_id: int) -> list[Redemption]:
    """The codes that count on an order."""
    query = pick(Redemption).where(Redemption.order_id == order_id, col(Redemption.released_at).is_(None))
    return list(session.exec(query.order_by(col(Redemption.id))))


def lines_of(session: Session, order_id: int) -> list[OrderLine]:
    """The products of an order."""
    return list(session.exec(pick(OrderLine).where(OrderLine.order_id == order_id).order_by(col(OrderLine.id))))


def gross(line: OrderLine) -> int:
    """What a line comes to before promotions."""
    return line.total_minor + line.promotion_minor


def part(session: Session, promotion: Promotion, lines: list[OrderLine]) -> list[OrderLine]:
    """The lines that a promotion is about."""
    ids = {line.product_id for line in lines if line.product_id} if promotion.category_id else set()
    found = session.exec(pick(Product.id, Product.category_id).where(col(Product.id).in_(ids))).all() if ids else []
    categories = dict(found)
    return [line for line in lines if rules.concerns(promotion, line.product_id, categories)]


def sums(session: Session, promotion: Promotion, lines: list[OrderLine]) -> tuple[int, int]:
    """What all lines come to before promotions, and what those do that the promotion is about."""
    return sum(map(gross, lines)), sum(map(gross, part(session, promotion, lines)))
