"""Orders, one row each, or one row per line: rows that repeat the number of an order add lines to it.

Lines are only ever added to orders that the same import created. An order that was there before keeps its lines, whatever the file says:
importing a file twice must not double them.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select, update
from sqlmodel import Session

from crm_core import db
from crm_core.access import Actor
from crm_core.fields import FieldSpec
from crm_core.kit.money import line_total, tax_of
from crm_core.models import Order, OrderLine, Product
from crm_core.services.admin.imports.kinds.base import Kind, RowRefused, Written
from crm_core.services.sales import redeeming
from crm_core.services.sales.lines import MAX_PERIODS, USUAL_PERIODS, usual_rate
from crm_core.summary_marks import day_of, mark, zone_of
from crm_core.vocabulary import Billing, FieldKind

if TYPE_CHECKING:
    from crm_core.services.admin.imports.batch import Batch

_ORDERS: Any = Order.__table__  # type: ignore[attr-defined]
_LINES: Any = OrderLine.__table__  # type: ignore[attr-defined]
_PRODUCTS: Any = Product.__table__  # type: ignore[attr-defined]

_LINE_KEYS = (
    "line_product_id", "line_quantity", "line_price_minor", "line_discount_pct", "line_tax_rate_pct", "line_billing", "line_periods",
)  # fmt: skip


class Orders(Kind):
    entity = "order"
    match = (("number",),)
    unique = frozenset({"number"})
    tables = ("order_line",)
    extra = (
        FieldSpec("", "line_product_id", "Line: product", FieldKind.REFERENCE, to="product"),
        FieldSpec("", "line_quantity", "Line: quantity", FieldKind.DECIMAL, low=0.001, high=99_999_999),
        FieldSpec("", "line_price_minor", "Line: unit price", FieldKind.MONEY, low=0),
        FieldSpec("", "line_discount_pct", "Line: discount", FieldKind.PERCENT, low=0, high=100),
        FieldSpec("", "line_tax_rate_pct", "Line: tax rate", FieldKind.PERCENT, low=0, high=100),
        FieldSpec("", "line_billing", "Line: charged", FieldKind.CHOICE, options=Billing.options(), enum=Billing),
        FieldSpec("", "line_periods", "Line: periods", FieldKind.INTEGER, low=1, high=MAX_PERIODS),
    )
    synonyms = {
        "number": ("order number", "order id", "order no", "invoice", "invoice number", "invoiceno", "order"),
        "ordered_at": ("order date", "date", "invoice date", "invoicedate", "ordered on", "purchased"),
        "account_id": ("account", "company", "customer", "customer name"),
        "contact_id": ("contact", "person", "buyer"),
        "total_minor": ("total", "amount", "order total", "value"),
        "owner_id": ("owner", "sales agent", "sales rep"),
        "status": ("order status",),
        "line_product_id": ("product", "item", "product name", "article", "description"),
        "line_quantity": ("quantity", "qty", "units", "pieces"),
        "line_price_minor": ("unit price", "price", "unitprice"),
        "line_discount_pct": ("discount", "discount %"),
        "line_tax_rate_pct": ("tax rate", "tax %", "vat rate", "vat %"),
        "line_billing": ("billing", "billing period", "billing frequency"),
        "line_periods": ("periods", "number of periods", "terms"),
    }
    notes = ("Rows with the same order number are lines of one order. An order that was there before keeps its lines.",)

    def begin(self, batch: "Batch") -> None:
        columns = {column.to for column in batch.plan.columns}
        self.with_lines = bool(columns & set(_LINE_KEYS))
        self.own_total = "total_minor" in columns or "total_minor" in batch.plan.constants
        self.usual_rate = usual_rate(batch.session, None)
        self.products: dict[int, Any] = {}

    def fill(self, batch: "Batch", values: dict[str, Any], old: Any | None) -> None:
        if old is None:
            values["currency"] = batch.actor.currency
        line = {key: values.pop(key, None) for key in _LINE_KEYS}
        if not self.with_lines:
            return
        if line["line_product_id"] is None and line["line_quantity"] is None and line["line_price_minor"] is None:
            return
        if old is not None and not batch.created_here(old.id):
            raise RowRefused(line_product_id=f"The order {old.number} was there before this import, so its lines stay as they are.")
        if line["line_product_id"] is None:
            raise RowRefused(line_product_id="The line names no product.")
        for key, field in (("line_price_minor", "price_minor"), ("line_tax_rate_pct", "tax_rate_pct")):
            if line[key] is None and batch.actor.masked("product", field):
                raise RowRefused(**{key: "The product’s own is hidden from your role, so the file must say it."})
        batch.attach(line)

    def wrote(self, batch: "Batch", created: Sequence[Written], updated: Sequence[Written]) -> None:
        self._codes(batch, updated)
        written = [(row, row.given["attached"]) for row in (*created, *updated) if row.given.get("attached")]
        if not written:
            return
        self._load_products(batch, {line["line_product_id"] for _, line in written})
        batch.session.execute(insert(_LINES), [self._line(batch, row, line) for row, line in written])
        self._total(batch, {row.id for row, _ in written})
        db.bump(batch.session, "order_line")

    def _codes(self, batch: "Batch", updated: Sequence[Written]) -> None:
        """Discount codes follow the orders that a file changed as they follow a person: given back with a cancelled one, and the customer's."""
        versions, _ = redeeming.follow_orders(batch.session, batch.actor, [row.id for row in updated])
        for row in updated:
            row.columns["version"] = versions.get(row.id, row.columns["version"])

    def restored(self, session: Session, actor: Actor, ids: Sequence[int]) -> dict[int, str]:
        _, said = redeeming.follow_orders(session, actor, ids)
        return {order_id: " ".join(words) for order_id, words in said.items()}

    def _total(self, batch: "Batch", ids: set[int]) -> None:
        """Tax and, unless the file has an own one, the total follow the lines; the days of the orders are marked here, since a bulk update would
        mark all there are."""
        follow = (
            {"tax_minor": _LINES.c.tax_minor}
            if self.own_total
            else {"tax_minor": _LINES.c.tax_minor, "total_minor": _LINES.c.total_minor}
        )
        of_order = _LINES.c.order_id == _ORDERS.c.id
        summed = {
            key: select(func.coalesce(func.sum(column), 0)).where(of_order).scalar_subquery() for key, column in follow.items()
        }
        statement = update(_ORDERS).where(_ORDERS.c.id.in_(ids)).values(**summed)
        batch.session.execute(statement, execution_options={"summaries": "marked"})
        zone = zone_of(batch.session)
        instants = batch.session.execute(select(_ORDERS.c.ordered_at).where(_ORDERS.c.id.in_(ids))).scalars()
        mark(batch.session, "order", {day_of(instant, zone) for instant in instants})

    def _load_products(self, batch: "Batch", ids: set[int]) -> None:
        missing = ids - set(self.products)
        if missing:
            rows = batch.session.execute(
                select(*(_PRODUCTS.c[key] for key in ("id", "name", "price_minor", "billing", "tax_rate_pct"))).where(
                    _PRODUCTS.c.id.in_(missing)
                )
            )
            self.products |= {row.id: row for row in rows}

    def _line(self, batch: "Batch", row: Written, line: dict[str, Any]) -> dict[str, Any]:
        product = self.products[line["line_product_id"]]
        quantity = Decimal(str(line["line_quantity"] if line["line_quantity"] is not None else 1)).quantize(Decimal("0.001"))
        price = line["line_price_minor"] if line["line_price_minor"] is not None else product.price_minor
        discount = Decimal(str(line["line_discount_pct"] or 0))
        billing = line["line_billing"] or product.billing
        periods = 1 if billing is Billing.ONE_TIME else line["line_periods"] or USUAL_PERIODS[billing]
        said = line["line_tax_rate_pct"] if line["line_tax_rate_pct"] is not None else product.tax_rate_pct
        rate = Decimal(str(self.usual_rate if said is None else said))
        net = line_total(quantity, price, discount)
        return batch.stamp(
            order_id=row.id,
            product_id=product.id,
            name=product.name,
            quantity=quantity,
            unit_price_minor=price,
            discount_pct=discount,
            billing=billing,
            periods=periods,
            tax_rate_pct=rate,
            total_minor=net * periods,
            tax_minor=tax_of(net, rate) * periods,
        )
