"""Figures from the summaries equal what the records say, at every moment, whatever wrote them."""

from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import load_only
from sqlmodel import select as load

from crm_core import summaries
from crm_core.db import read_session, write_session
from crm_core.models import (
    Deal,
    DealDaily,
    Order,
    OrderLine,
    Organisation,
    Pipeline,
    Product,
    ProductCategory,
    Stage,
    SummaryDirty,
    Ticket,
    TicketDaily,
)
from crm_core.summary_marks import mark_tickets
from crm_core.vocabulary import SOLD, OrderStatus, PromiseOutcome, StageKind, TicketKind

DAY = date(2024, 3, 30)  # the last night of March changes the clock in Berlin
AT = datetime(2024, 3, 30, 12, tzinfo=UTC)
NUMBERS = count()


# --- what the records say, counted in Python ----------------------------------------------------------------------------------


def by_hand(session):
    zone = ZoneInfo(session.exec(load(Organisation)).one().timezone)
    deals, orders, sales, products = Counter(), Counter(), Counter(), Counter()
    for deal in session.exec(load(Deal)):
        if deal.deleted_at is None and deal.closed_on is not None and deal.outcome in (StageKind.WON, StageKind.LOST):
            cycle = (deal.closed_on - deal.created_on).days
            key = (deal.closed_on, deal.owner_id, deal.pipeline_id, deal.product_id, deal.source, deal.outcome)
            deals[key, "deals"] += 1
            deals[key, "amount_minor"] += deal.amount_minor
            deals[key, "cycle_days"] += max(0, cycle)
            deals[key, "with_cycle"] += cycle >= 0
    category = {product.id: product.category_id for product in session.exec(load(Product))}
    counted = {order.id: order for order in session.exec(load(Order)) if order.deleted_at is None and order.status in SOLD}
    for order in counted.values():
        key = (order.ordered_at.astimezone(zone).date(), order.owner_id, order.source)
        orders[key, "orders"] += 1
        orders[key, "revenue_minor"] += order.total_minor
    for line in session.exec(load(OrderLine)):
        if line.order_id in counted:
            order = counted[line.order_id]
            key = (order.ordered_at.astimezone(zone).date(), order.owner_id, category.get(line.product_id))
            sales[key, "lines"] += 1
            sales[key, "revenue_minor"] += line.total_minor
            if line.product_id is not None:
                key = (key[0], line.product_id)
                products[key, "quantity_milli"] += int(line.quantity * 1000)
                products[key, "revenue_minor"] += line.total_minor
    for day, product in {(key[0], key[1]) for key, _ in products}:
        of = {line.order_id for line in session.exec(load(OrderLine)) if line.product_id == product and line.order_id in counted}
        products[(day, product), "orders"] = sum(counted[each].ordered_at.astimezone(zone).date() == day for each in of)
    counted = [Counter({key: value for key, value in found.items() if value}) for found in (deals, orders, sales, products)]
    return [*counted, tickets_by_hand(session, zone)]


def tickets_by_hand(session, zone):
    """Day, owner and measure → every number that counts: a one for each ticket, or its minutes."""
    found = defaultdict(list)
    done = (TicketKind.SOLVED, TicketKind.CLOSED)

    def put(at, ticket, name, value=1):
        if at is not None and value is not None and value is not False:
            found[at.astimezone(zone).date(), ticket.owner_id, name].append(int(value))

    def minutes(later, ticket):
        return None if later is None else round((later - ticket.opened_at).total_seconds() / 60)

    for ticket in session.exec(load(Ticket).where(Ticket.deleted_at.is_(None))):
        opened, solved, first, told = ticket.opened_at, ticket.solved_at, ticket.first_solved_at, ticket.status in done
        put(opened, ticket, "response_minutes", minutes(ticket.first_response_at, ticket))
        put(opened, ticket, "response_work", ticket.response_minutes)
        for name in ("response", "resolution"):
            promise = getattr(ticket, f"{name}_promise")
            put(opened, ticket, f"{name}_promised", promise is not None)
            put(opened, ticket, f"{name}_kept", promise is PromiseOutcome.KEPT)
        put(opened, ticket, "came", not told or solved is not None)
        put(solved, ticket, "went", told)
        if told and first is not None:
            put(solved, ticket, "resolution_minutes", minutes(solved, ticket))
            put(solved, ticket, "resolution_work", ticket.resolution_minutes)
        put(first, ticket, "first_solved")
        put(first, ticket, "reopened", ticket.reopened_count > 0)
        put(first, ticket, "answered_solved", ticket.answer_count > 0)
        put(first, ticket, "first_contact", ticket.answer_count == 1 and ticket.reopened_count == 0)
        put(ticket.rated_at, ticket, "rated")
        put(ticket.rated_at, ticket, "satisfied", (ticket.satisfaction or 0) >= 4)
    return {key: sorted(values) for key, values in found.items()}


def tickets_from_summaries(session):
    found = defaultdict(list)
    for part in summaries.ticket_daily_parts(session):
        for row in session.execute(select(part)).mappings():
            for name, value in row.items():
                if name not in ("day", "owner_id") and value:
                    numbers = map(int, value.split(",")) if isinstance(value, str) else [1] * value
                    found[row["day"], row["owner_id"], name] += numbers
    return {key: sorted(values) for key, values in found.items()}


def from_summaries(session):
    found = []
    for figures in (
        summaries.deal_daily_exact(),
        summaries.order_daily_exact(),
        summaries.sale_daily_exact(),
        summaries.product_daily_exact(),
    ):
        values = [column.key for column in figures.c if column.key in summaries._VALUES]
        counter = Counter()
        for row in session.execute(select(figures)):
            mapping = row._mapping
            key = tuple(mapping[column.key] for column in figures.c if column.key not in values)
            counter.update({(key, name): mapping[name] for name in values if mapping[name]})
        found.append(counter)
    return [*found, tickets_from_summaries(session)]


def assert_exact():
    with read_session() as session:
        for ours, theirs in zip(from_summaries(session), by_hand(session), strict=True):
            assert ours == theirs
        assert summaries.differences(session) == {"deal": 0, "order": 0, "sale": 0, "product": 0, "ticket": 0}


# --- the world of the tests ---------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def many_days_from_the_records(monkeypatch):
    monkeypatch.setattr(summaries, "MOST_LIVE", 400)


@pytest.fixture
def world(any_cast):
    with write_session() as session:
        categories = [ProductCategory(name=name) for name in ("Red", "Blue")]
        session.add_all(categories)
        session.flush()
        products = [Product(name=f"P{n}", category_id=categories[n % 2].id) for n in range(3)]
        session.add_all(products)
        session.flush()
        return {
            "owners": [any_cast["alice"].user_id, any_cast["charlie"].user_id, None],
            "products": [product.id for product in products] + [None],
            "categories": [category.id for category in categories] + [None],
            "pipeline": session.exec(load(Pipeline)).first().id,
            "stages": {stage.kind: stage.id for stage in session.exec(load(Stage))},
        }


class Writer:
    """Applies one random operation through one of the paths by which rows change."""

    def __init__(self, world, session):
        self.world, self.session = world, session

    def any(self, model, n):
        rows = self.session.exec(load(model).order_by(model.id)).all()
        return rows[n % len(rows)] if rows else None

    def deal_values(self, n):
        outcome = (StageKind.OPEN, StageKind.WON, StageKind.LOST, StageKind.WON)[n % 4]
        return {
            "name": f"D{n}", "pipeline_id": self.world["pipeline"], "stage_id": self.world["stages"][outcome], "outcome": outcome,
            "owner_id": self.world["owners"][n % 3], "product_id": self.world["products"][n % 4], "source": ("Web", None)[n % 2],
            "amount_minor": n * 100, "created_on": DAY - timedelta(days=n % 7), "stage_since": AT,
            "closed_on": None if outcome is StageKind.OPEN else DAY + timedelta(days=n % 5 - 2),
        }  # fmt: skip

    def order_values(self, n):
        return {
            "number": f"O-{next(NUMBERS)}", "ordered_at": AT + timedelta(hours=5 * (n % 17)),
            "owner_id": self.world["owners"][n % 3], "status": list(OrderStatus)[n % 4], "total_minor": n * 10,
            "source": ("Shop", None)[n % 2],
        }  # fmt: skip

    def line_values(self, n):
        order = self.any(Order, n)
        return order and {"order_id": order.id, "product_id": self.world["products"][n % 4], "name": "x", "total_minor": n}

    def ticket_values(self, n):
        opened, kind = AT + timedelta(hours=7 * (n % 19)), list(TicketKind)[n % 6]
        solved = opened + timedelta(minutes=37 * n + 1) if kind in (TicketKind.SOLVED, TicketKind.CLOSED) and n % 5 else None
        return {
            "number": f"T-{next(NUMBERS)}", "subject": "x", "opened_at": opened, "status": kind, "owner_id": self.world["owners"][n % 3],
            "first_response_at": opened + timedelta(minutes=n) if n % 4 else None, "solved_at": solved,
            "first_solved_at": solved if n % 3 else None, "reopened_count": n % 2, "answer_count": n % 3,
            "response_promise": (None, *PromiseOutcome)[n % 3], "resolution_promise": (None, *PromiseOutcome)[n % 2],
            "response_minutes": n if n % 2 else None, "resolution_minutes": 3 * n if n % 3 else None,
            "satisfaction": 1 + n % 5 if n % 2 else None, "rated_at": opened + timedelta(hours=n) if n % 2 else None,
        }  # fmt: skip

    def create_ticket(self, n):
        self.session.add_all([Ticket(**self.ticket_values(n + k)) for k in range(3)])

    def change_ticket(self, n):
        if ticket := self.any(Ticket, n):
            for name, value in self.ticket_values(n + 1).items():
                if name != "number":
                    setattr(ticket, name, value)

    def change_a_ticket_that_is_read_in_part(self, n):
        self.session.expire_all()
        few = load(Ticket).options(load_only(Ticket.id, Ticket.version, Ticket.satisfaction)).order_by(Ticket.id)
        if rows := self.session.exec(few).all():
            rows[n % len(rows)].satisfaction = 1 + n % 5

    def bulk_of_tickets(self, n):
        some = select(Ticket.__table__.c.id).where(Ticket.__table__.c.id % 3 == n % 3)
        if n % 2:
            self.session.execute(
                update(Ticket.__table__).where(Ticket.__table__.c.id.in_(some)).values(rated_at=AT, satisfaction=5)
            )
            return
        change = update(Ticket.__table__).where(Ticket.__table__.c.id.in_(some)).values(solved_at=AT + timedelta(days=n))
        mark_tickets(self.session, some)
        self.session.execute(change, execution_options={"summaries": "marked"})
        mark_tickets(self.session, some)

    def core_insert_of_tickets(self, n):
        now = {"created_at": AT, "updated_at": AT, "version": 1, "extra": {}}
        self.session.execute(insert(Ticket.__table__), [{**self.ticket_values(n), **now}])

    def create_deal(self, n):
        self.session.add(Deal(**self.deal_values(n)))

    def create_order(self, n):
        order = Order(**self.order_values(n))
        self.session.add(order)
        self.session.flush()
        self.session.add(OrderLine(order_id=order.id, product_id=self.world["products"][n % 4], name="x", total_minor=n * 10))

    def change_deal(self, n):
        if deal := self.any(Deal, n):
            deal.outcome, deal.closed_on = ((StageKind.OPEN, None), (StageKind.WON, DAY + timedelta(days=n % 3)))[n % 2]
            deal.amount_minor = n

    def change_owner(self, n):
        for model in (Deal, Order):
            if row := self.any(model, n):
                row.owner_id = self.world["owners"][(n + 1) % 3]

    def move_order(self, n):
        if order := self.any(Order, n):
            order.ordered_at, order.status = order.ordered_at + timedelta(hours=9), list(OrderStatus)[n % 4]

    def change_line(self, n):
        if line := self.any(OrderLine, n):
            line.total_minor, line.product_id, line.order_id = n, self.world["products"][n % 4], self.any(Order, n + 1).id
            line.quantity = Decimal(n) / 8

    def bin_it(self, n):
        for model in (Deal, Order, Ticket):
            if row := self.any(model, n):
                row.deleted_at = None if row.deleted_at else AT

    def remove(self, n):
        if row := self.any((Deal, Order, OrderLine, Ticket)[n % 4], n):
            self.session.delete(row)

    def bulk_update(self, n):
        self.session.execute(
            update(Deal).where(Deal.id > n % 3).values(closed_on=DAY + timedelta(days=n % 40), version=Deal.version + 1)
        )

    def bulk_delete(self, n):
        self.session.execute(delete(OrderLine).where(OrderLine.total_minor < n))

    def core_insert(self, n):
        now = {"created_at": AT, "updated_at": AT, "version": 1, "extra": {}}
        self.session.execute(insert(Deal.__table__), [{**self.deal_values(n + k), **now} for k in range(2)])
        self.session.execute(insert(Order.__table__), [{**self.order_values(n + 1000), **now}])
        if values := self.line_values(n):
            now.pop("extra")
            self.session.execute(insert(OrderLine.__table__), [{**values, **now, "quantity": 1}])

    def recategorise(self, n):
        self.any(Product, n).category_id = self.world["categories"][n % 3]

    def savepoint_undone(self, n):
        nested = self.session.begin_nested()
        self.create_deal(n)
        self.session.flush()
        nested.rollback()
        self.create_deal(n)

    def other_timezone(self, n):
        self.session.exec(load(Organisation)).one().timezone = ("UTC", "Europe/Berlin", "Pacific/Auckland", "America/St_Johns")[
            n % 4
        ]


HELPERS = {"any", "deal_values", "order_values", "line_values", "ticket_values"}
KINDS = [name for name, value in vars(Writer).items() if callable(value) and not name.startswith("_") and name not in HELPERS]
OPERATIONS = st.lists(st.tuples(st.sampled_from([*KINDS, "refresh"]), st.integers(0, 30)), min_size=1, max_size=12)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(OPERATIONS)
def test_figures_are_exact_after_any_writes_before_and_after_the_refresh(world, operations):
    for name, n in operations:
        if name == "refresh":
            summaries.refresh()
            continue
        with write_session() as session:
            getattr(Writer(world, session), name)(n)
    assert_exact()
    summaries.refresh()
    assert_exact()
    with read_session() as session:
        assert summaries.pending(session) == 0


def test_a_deleted_category_moves_its_sales_to_none(world):
    with write_session() as session:
        Writer(world, session).create_order(4)
    summaries.refresh()
    with write_session() as session:
        session.delete(session.get(ProductCategory, world["categories"][0]))
    assert_exact()


def test_a_rolled_back_write_leaves_no_mark(world):
    with pytest.raises(ZeroDivisionError), write_session() as session:
        Writer(world, session).create_deal(1)
        session.flush()
        raise ZeroDivisionError
    with read_session() as session:
        assert summaries.pending(session) == 0


def test_a_change_that_no_figure_depends_on_leaves_no_mark(world):
    with write_session() as session:
        Writer(world, session).create_deal(1)
    summaries.refresh()
    with write_session() as session:
        session.exec(load(Deal)).one().next_step = "Call"
    with read_session() as session:
        assert summaries.pending(session) == 0


def test_a_mark_of_a_write_under_way_survives_the_refresh(world):
    """The race that a shared mark per day would lose: the refresh runs between a write and its commit."""
    with write_session() as session:
        Writer(world, session).create_deal(1)
    if session.get_bind().dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    with write_session() as session:
        Writer(world, session).create_deal(5)  # the same day
        session.flush()
        summaries.refresh()
    with read_session() as session:
        assert summaries.pending(session) == 1
    assert_exact()


def test_a_rebuild_restores_a_summary_that_was_tampered_with(world):
    with write_session() as session:
        Writer(world, session).create_deal(1)
    summaries.refresh()
    with write_session() as session:
        session.execute(update(DealDaily.__table__).values(amount_minor=1))
        assert summaries.differences(session)["deal"] > 0
    summaries.rebuild()
    assert_exact()


def test_a_summary_row_that_stands_twice_is_noticed(world):
    with write_session() as session:
        Writer(world, session).create_deal(1)
    summaries.refresh()
    with write_session() as session:
        row = session.execute(select(DealDaily.__table__)).one()._asdict()
        session.execute(insert(DealDaily.__table__), [{key: value for key, value in row.items() if key != "id"}])
        assert summaries.differences(session)["deal"] > 0


def test_a_bulk_writer_may_mark_by_itself(world):
    with write_session() as session:
        Writer(world, session).create_deal(1)
    summaries.refresh()
    with write_session() as session:
        session.execute(
            update(Deal).values(amount_minor=77), execution_options={"summaries": "marked", "synchronize_session": False}
        )
        assert session.exec(load(SummaryDirty)).all() == []
        summaries.mark_all(session, "deal")
    assert_exact()


def test_tickets_have_exact_days_whatever_writes_them(world):
    """One after the other what the random tests above may not have drawn."""
    names = [name for name in KINDS if "ticket" in name] + ["bin_it", "remove", "other_timezone"]
    for n in (4, 7, 11):
        for name in ("create_ticket", *names):
            with write_session() as session:
                getattr(Writer(world, session), name)(n)
            assert_exact()
            if n == 7:
                summaries.refresh()
    summaries.refresh()
    assert_exact()


def test_a_change_of_a_ticket_that_no_figure_depends_on_leaves_no_mark(world):
    with write_session() as session:
        Writer(world, session).create_ticket(1)
    summaries.refresh()
    with write_session() as session:
        session.exec(load(Ticket)).first().subject = "y"
        session.execute(update(Ticket.__table__).values(category="Other"))
    with read_session() as session:
        assert summaries.pending(session) == 0


def test_a_summary_of_tickets_that_was_tampered_with_is_noticed(world):
    with write_session() as session:
        Writer(world, session).create_ticket(1)
    summaries.refresh()
    with write_session() as session:
        some = session.execute(select(TicketDaily.__table__).where(TicketDaily.__table__.c.response_minutes.is_not(None))).first()
        other = update(TicketDaily.__table__).where(TicketDaily.__table__.c.id == some.id).values(response_minutes="12345")
        session.execute(other)
        assert summaries.differences(session)["ticket"] == 1


def test_days_of_tickets_are_read_from_the_records_only_while_few_wait(world, monkeypatch):
    with write_session() as session:
        Writer(world, session).create_ticket(1)
    with read_session() as session:
        assert len(summaries.ticket_daily_parts(session)) == 2
    monkeypatch.setattr(summaries, "MOST_LIVE", 1)
    with read_session() as session:
        assert summaries.ticket_daily_parts(session) is None
    summaries.refresh()
    with read_session() as session:
        assert len(summaries.ticket_daily_parts(session)) == 1
