"""What shops send, read into one shape: signatures and formats of Shopify and WooCommerce. Pure."""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qs, urlsplit

from crm_core.errors import Invalid
from crm_core.kit.money import to_minor
from crm_core.kit.text import clean, clip
from crm_core.vocabulary import Channel, OrderStatus, ShopKind

MOST_LINES = 150
MOST_COUPONS = 10
REST = "Shipping, taxes and fees"
ORDERS = {
    ShopKind.SHOPIFY: {"orders/create", "orders/updated", "orders/edited", "orders/paid", "orders/fulfilled", "orders/cancelled"},
    ShopKind.WOOCOMMERCE: {"order.created", "order.updated", "order.restored"},
}
REFUNDS = {"refunds/create"}
CARTS = {"checkouts/create", "checkouts/update"}
GONE = ".".join(("order", "deleted"))
"""A topic of WooCommerce; no event of ours is called so."""
DELETED = {GONE, "orders/delete"}
TOPICS = {
    ShopKind.SHOPIFY: (
        "orders/create",
        "orders/updated",
        "orders/cancelled",
        "refunds/create",
        "checkouts/create",
        "checkouts/update",
    ),
    ShopKind.WOOCOMMERCE: ("order.created", "order.updated", GONE, "order.restored"),
}
"""What a shop should be told to send."""
_WOO = {
    "pending": OrderStatus.DRAFT, "checkout-draft": OrderStatus.DRAFT, "auto-draft": OrderStatus.DRAFT, "on-hold": OrderStatus.PLACED,
    "processing": OrderStatus.PLACED, "completed": OrderStatus.FULFILLED, "cancelled": OrderStatus.CANCELLED, "refunded": OrderStatus.CANCELLED,
    "failed": OrderStatus.CANCELLED, "trash": OrderStatus.CANCELLED,
}  # fmt: skip
_CHANNELS = (
    (("email", "newsletter"), Channel.EMAIL), (("cpc", "ppc", "paid", "adwords", "sem"), Channel.PAID_SEARCH), (("display", "banner"), Channel.DISPLAY),
    (("social", "facebook", "instagram", "tiktok", "linkedin"), Channel.SOCIAL), (("affiliate", "referral"), Channel.REFERRAL),
    (("organic",), Channel.ORGANIC), (("sms",), Channel.SMS),
)  # fmt: skip


@dataclass(frozen=True)
class Person:
    """Who ordered, as far as the shop says."""

    name: str = ""
    email: str = ""
    phone: str = ""
    company: str = ""
    street: str = ""
    postcode: str = ""
    city: str = ""
    country: str = ""


@dataclass(frozen=True)
class Line:
    """What was bought: ``total_minor`` after discounts, for the whole quantity."""

    external_id: str
    product: str
    sku: str
    name: str
    quantity: Decimal
    total_minor: int


@dataclass(frozen=True)
class ShopOrder:
    """An order as both formats have it. ``refunds``: ids of refunds that are taken off already; ``cart``: the cart that it was;
    ``coupons``: discount codes, each with what it took off."""

    external_id: str
    number: str
    changed_at: datetime
    placed_at: datetime
    status: OrderStatus
    currency: str
    total_minor: int
    person: Person
    lines: tuple[Line, ...]
    channel: Channel = Channel.WEB
    url: str = ""
    note: str = ""
    cart: str = ""
    refunds: tuple[str, ...] = ()
    coupons: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Refund:
    """Money that went back: of which order, how many of which lines, how much."""

    external_id: str
    order_id: str
    amount_minor: int
    quantities: Mapping[str, Decimal]


@dataclass(frozen=True)
class Cart:
    """A checkout that was begun."""

    external_id: str
    changed_at: datetime
    done: bool
    total_minor: int
    currency: str
    person: Person
    url: str


def signature(secret: str, body: bytes) -> str:
    """What both shops put in their header: base64 of HMAC-SHA256 over the body as it came."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def is_signed(secret: str, body: bytes, given: str) -> bool:
    """True when the body was signed with the secret; takes equally long whatever is wrong."""
    return bool(given) and hmac.compare_digest(signature(secret, body).encode(), given.encode("utf-8", "replace"))


# --- reading ----------------------------------------------------------------------------------------------------------------------


def _text(value: Any, most: int = 300) -> str:
    return clip(clean(str(value)), most) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _part(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _parts(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _amount(value: Any) -> Decimal:
    try:
        found = Decimal(str(value if value not in (None, "") else 0))
    except InvalidOperation as error:
        raise Invalid(f"“{clip(str(value), 40)}” is not an amount.") from error
    if not found.is_finite() or abs(found) > 10**12:
        raise Invalid(f"“{clip(str(value), 40)}” is not an amount.")
    return found


def _count(value: Any) -> Decimal:
    found = _amount(value)
    if not 0 <= found <= 1_000_000:
        raise Invalid(f"“{clip(str(value), 40)}” is not a quantity.")
    return found.quantize(Decimal("0.001"))


def _minor(value: Decimal, currency: str) -> int:
    return to_minor(value, currency)


def _instant(value: Any, what: str) -> datetime:
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise Invalid(f"The order does not say {what}.") from error
    return found.astimezone(UTC) if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _needed(payload: Mapping[str, Any], key: str) -> str:
    found = _text(payload.get(key), 80)
    if not found:
        raise Invalid(f"The message has no “{key}”, so it can't be an order of this format.")
    return found


def _address(given: Mapping[str, Any], **more: str) -> Person:
    name = _text(given.get("name")) or " ".join(
        filter(None, (_text(given.get("first_name"), 140), _text(given.get("last_name"), 140)))
    )
    made = Person(
        name=name, company=_text(given.get("company")), street=_text(given.get("address1") or given.get("address_1")),
        postcode=_text(given.get("zip") or given.get("postcode"), 20), city=_text(given.get("city"), 120),
        country=_text(given.get("country"), 120), phone=_text(given.get("phone"), 64), email=_text(given.get("email"), 254),
    )  # fmt: skip
    return replace(made, **{key: value for key, value in more.items() if value})


def channel_of(url: str) -> Channel:
    """The channel that the parameters of a landing page name."""
    asked = parse_qs(urlsplit(url).query)
    words = " ".join((asked.get("utm_medium") or [""])[:1] + (asked.get("utm_source") or [""])[:1]).casefold()
    return next((channel for signs, channel in _CHANNELS if any(sign in words for sign in signs)), Channel.WEB)


def order_of(kind: ShopKind, payload: Mapping[str, Any]) -> ShopOrder:
    """The order of a message. Raises Invalid with what is missing."""
    return _shopify(payload) if kind is ShopKind.SHOPIFY else _woo(payload)


def _shopify(order: Mapping[str, Any]) -> ShopOrder:
    currency = _needed(order, "currency").upper()[:3]
    status = OrderStatus.FULFILLED if order.get("fulfillment_status") == "fulfilled" else OrderStatus.PLACED
    if order.get("cancelled_at") or order.get("financial_status") in ("refunded", "voided"):
        status = OrderStatus.CANCELLED
    customer, billing = _part(order.get("customer")), _part(order.get("billing_address"))
    person = _address(
        billing or _part(order.get("shipping_address")) or customer,
        email=_text(order.get("email") or order.get("contact_email") or customer.get("email"), 254),
        phone=_text(order.get("phone") or billing.get("phone") or customer.get("phone"), 64),
    )
    if not person.name:
        person = replace(person, name=_address(customer).name)
    landing = _text(order.get("landing_site"), 900)
    return ShopOrder(
        external_id=_needed(order, "id"), number=_text(order.get("name"), 30) or f"#{_needed(order, 'order_number')}",
        changed_at=_instant(order.get("updated_at"), "when it was changed"),
        placed_at=_instant(order.get("processed_at") or order.get("created_at"), "when it was placed"),
        status=status, currency=currency, person=person, note=_text(order.get("note"), 2000), channel=channel_of(landing), url=landing,
        total_minor=_minor(_amount(order.get("current_total_price", order.get("total_price"))), currency),
        lines=tuple(_shopify_line(one, currency) for one in _parts(order.get("line_items"))[:MOST_LINES]),
        cart=_text(order.get("checkout_token"), 80), refunds=tuple(_text(one.get("id"), 80) for one in _parts(order.get("refunds"))),
        coupons=_coupons(order.get("discount_codes"), ("amount",), currency),
    )  # fmt: skip


def _shopify_line(line: Mapping[str, Any], currency: str) -> Line:
    ordered = _count(line.get("quantity") or 1)
    left = _count(line.get("current_quantity", line.get("quantity")))
    allocated = sum((_amount(one.get("amount")) for one in _parts(line.get("discount_allocations"))), Decimal(0))
    discount = allocated or _amount(line.get("total_discount"))
    whole = _amount(line.get("price")) * ordered - discount
    total = whole * left / ordered if ordered else Decimal(0)
    variant = _text(line.get("variant_title"), 100)
    name = _text(line.get("title") or line.get("name")) or "Article"
    return Line(
        _text(line.get("id"), 80), _text(line.get("variant_id") or line.get("product_id"), 80), _text(line.get("sku"), 80),
        f"{name}, {variant}"[:300] if variant and variant != "Default Title" else name, left, _minor(max(total, Decimal(0)), currency),
    )  # fmt: skip


def _woo(order: Mapping[str, Any]) -> ShopOrder:
    currency = _needed(order, "currency").upper()[:3]
    refunds = _parts(order.get("refunds"))
    total = _amount(order.get("total")) - sum((abs(_amount(one.get("total"))) for one in refunds), Decimal(0))
    facts = {str(one.get("key")): _text(one.get("value"), 300) for one in _parts(order.get("meta_data"))}
    campaign = {name: facts.get(f"_wc_order_attribution_utm_{name}", "") for name in ("source", "medium")}
    words = f"?utm_source={campaign['source']}&utm_medium={campaign['medium']}"
    state = str(order.get("status") or "processing").removeprefix("wc-")
    return ShopOrder(
        external_id=_needed(order, "id"), number=f"#{_text(order.get('number'), 30) or _needed(order, 'id')}", currency=currency,
        changed_at=_instant(order.get("date_modified_gmt") or order.get("date_created_gmt"), "when it was changed"),
        placed_at=_instant(order.get("date_created_gmt"), "when it was placed"), status=_WOO.get(state, OrderStatus.PLACED),
        total_minor=_minor(max(total, Decimal(0)), currency), person=_address(_part(order.get("billing"))),
        lines=tuple(_woo_line(one, currency) for one in _parts(order.get("line_items"))[:MOST_LINES]), channel=channel_of(words),
        url=facts.get("_wc_order_attribution_session_entry", "")[:900], note=_text(order.get("customer_note"), 2000),
        refunds=tuple(_text(one.get("id"), 80) for one in refunds), coupons=_coupons(order.get("coupon_lines"), ("discount", "discount_tax"), currency),
    )  # fmt: skip


def _woo_line(line: Mapping[str, Any], currency: str) -> Line:
    return Line(
        _text(line.get("id"), 80), _text(line.get("variation_id") or line.get("product_id"), 80), _text(line.get("sku"), 80),
        _text(line.get("name")) or "Article", _count(line.get("quantity") or 1), _minor(max(_amount(line.get("total")), Decimal(0)), currency),
    )  # fmt: skip


def _coupons(rows: Any, keys: tuple[str, ...], currency: str) -> tuple[tuple[str, int], ...]:
    """Discount codes with what they took off."""
    return tuple(
        (code, _minor(sum((_amount(one.get(key)) for key in keys), Decimal(0)), currency))
        for one in _parts(rows)[:MOST_COUPONS]
        if (code := _text(one.get("code"), 40))
    )


def refund_of(payload: Mapping[str, Any], currency: str) -> Refund:
    """A refund of Shopify."""
    paid = [
        one for one in _parts(payload.get("transactions")) if one.get("kind") == "refund" and one.get("status") in (None, "success")
    ]
    amount = sum((_amount(one.get("amount")) for one in paid), Decimal(0))
    rows = _parts(payload.get("refund_line_items"))
    if not paid:
        amount = sum((_amount(one.get("subtotal")) + _amount(one.get("total_tax")) for one in rows), Decimal(0))
    quantities: dict[str, Decimal] = {}
    for one in rows:
        key = _text(one.get("line_item_id"), 80)
        quantities[key] = quantities.get(key, Decimal(0)) + _count(one.get("quantity"))
    return Refund(_needed(payload, "id"), _needed(payload, "order_id"), _minor(amount, currency), quantities)


def cart_of(payload: Mapping[str, Any]) -> Cart:
    """A checkout of Shopify."""
    currency = _needed(payload, "currency").upper()[:3]
    customer = _part(payload.get("customer"))
    person = _address(
        _part(payload.get("billing_address")) or customer, email=_text(payload.get("email") or customer.get("email"), 254)
    )
    return Cart(
        _needed(payload, "token"), _instant(payload.get("updated_at"), "when it was changed"), bool(payload.get("completed_at")),
        _minor(_amount(payload.get("total_price")), currency), currency, person, _text(payload.get("abandoned_checkout_url"), 900),
    )  # fmt: skip


# --- lines that add up ------------------------------------------------------------------------------------------------------------


def rows_of(order: ShopOrder) -> list[tuple[Line | None, str, Decimal, int]]:
    """Rows of (line, name, quantity, unit price) whose sum is exactly what the shop says was paid.

    What the lines leave over is a row of its own; what they exceed (a discount on the whole) is taken off them in proportion.
    """
    kept = [line for line in order.lines if line.quantity > 0]
    totals, rest = [line.total_minor for line in kept], order.total_minor - sum(line.total_minor for line in kept)
    if rest < 0:
        totals, rest = _shares(totals, order.total_minor), 0
    rows: list[tuple[Line | None, str, Decimal, int]] = []
    for line, total in zip(kept, totals, strict=True):
        rows += [(line, name, quantity, price) for name, quantity, price in _split(line, total)]
    return [*rows, *([(None, REST, Decimal(1), rest)] if rest else [])]


def _shares(parts: Sequence[int], whole: int) -> list[int]:
    """``whole`` dealt out in proportion to the parts, to the last cent."""
    total, dealt, before = sum(parts), [], 0
    for upto in (sum(parts[: n + 1]) for n in range(len(parts))):
        now = whole * upto // total if total else 0
        dealt.append(now - before)
        before = now
    return dealt


def _split(line: Line, total: int) -> list[tuple[str, Decimal, int]]:
    """A total as quantity times price; where it does not divide, some at a cent more."""
    if line.quantity != line.quantity.to_integral_value():
        return [(f"{line.name} ({line.quantity.normalize():f})"[:300], Decimal(1), total)]
    count = int(line.quantity)
    price, more = divmod(total, count)
    return [(line.name, Decimal(n), each) for n, each in ((count - more, price), (more, price + 1)) if n]
