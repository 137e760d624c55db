"""Frames are what ml's contracts ask for, the same from both databases and by both ways, within the reader's scope."""

from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest
from sqlalchemy import select
from sqlmodel import select as load

from crm_core import records
from crm_core.db import read_session, write_session
from crm_core.errors import NotPermitted
from crm_core.frames import deals, orders, read, touchpoints
from crm_core.frames.read import read_frame
from crm_core.kit import clock
from crm_core.models import Campaign, Contact, Deal, Order, OrderLine, Product, ProductCategory, Stage, Touchpoint
from crm_core.vocabulary import Channel, OrderStatus, StageKind
from ml import contracts
from ml.lead_snapshots import snapshots

AT = datetime(2024, 5, 1, 10, 30, 0, 123456, tzinfo=UTC)


@pytest.fixture
def world(any_cast):
    alice, charlie = any_cast["alice"].user_id, any_cast["charlie"].user_id
    with write_session() as session:
        contacts = [Contact(name=f"C{n}", owner_id=alice) for n in range(2)]
        category = ProductCategory(name="Beans; 100% “good”")
        session.add_all([*contacts, category])
        session.flush()
        products = [Product(name="Mocha", category_id=category.id), Product(name="Bare")]
        campaign = Campaign(name="Spring")
        session.add_all([*products, campaign])
        session.flush()
        for n, (contact, owner, status) in enumerate(
            [
                (contacts[0], alice, OrderStatus.PLACED),
                (contacts[1], charlie, OrderStatus.FULFILLED),
                (contacts[0], alice, OrderStatus.CANCELLED),
                (None, alice, OrderStatus.PLACED),
            ]
        ):
            order = Order(
                number=f"O{n}",
                contact_id=contact and contact.id,
                owner_id=owner,
                status=status,
                ordered_at=AT + timedelta(days=n),
                total_minor=1050 + n,
            )
            session.add(order)
            session.flush()
            session.add(
                OrderLine(
                    order_id=order.id,
                    product_id=products[n % 2].id,
                    name="x",
                    quantity="1.500",
                    unit_price_minor=700,
                    total_minor=1050 + n,
                )
            )
        session.add(Touchpoint(contact_id=contacts[0].id, channel=Channel.EMAIL, campaign_id=campaign.id, at=AT, cost_minor=250))
        session.add(Touchpoint(contact_id=contacts[1].id, channel=Channel.WEB, at=AT))
        session.add(Touchpoint(anonymous_id="nobody", channel=Channel.WEB, at=AT))
    return any_cast


def test_orders_meet_their_contract(world):
    with read_session() as session:
        frame = orders.orders(session, world["root"])
    clean = contracts.ORDERS.check(frame)
    assert clean["revenue"].tolist() == [10.50, 10.51]
    assert clean["ordered_at"].tolist() == [pd.Timestamp(AT), pd.Timestamp(AT + timedelta(days=1))]


def test_order_lines_meet_their_contract(world):
    with read_session() as session:
        frame = orders.order_lines(session, world["root"])
        assert orders.product_names(session, world["root"]) == {1: "Mocha", 2: "Bare"}
    clean = contracts.ORDER_LINES.check(frame, require=("customer_id", "ordered_at", "category", "unit_price"))
    assert clean["quantity"].tolist() == [1.5, 1.5]
    assert clean["category"].tolist() == ["Beans; 100% “good”", "No category"]
    assert clean["unit_price"].tolist() == [7.0, 7.0]


def test_touchpoints_and_conversions_meet_their_contracts(world):
    with read_session() as session:
        touches, bought = touchpoints.touchpoints(session, world["root"]), orders.conversions(session, world["root"])
    clean = contracts.TOUCHPOINTS.check(touches, require=("campaign", "cost"))
    assert clean[["channel", "campaign", "cost"]].to_numpy().tolist() == [["email", "Spring", 2.5], ["web", "No campaign", 0.0]]
    assert contracts.CONVERSIONS.check(bought)["value"].tolist() == [10.50, 10.51]


def test_a_period_is_half_open(world):
    with read_session() as session:
        assert len(orders.orders(session, world["root"], since=AT, until=AT + timedelta(days=1))) == 1
        assert len(touchpoints.touchpoints(session, world["root"], until=AT)) == 0


def test_only_what_the_reader_may_see_is_in_the_frame(world):
    with read_session() as session:
        assert len(orders.orders(session, world["alice"])) == 1
        assert len(orders.order_lines(session, world["charlie"])) == 1
        assert len(orders.orders(session, world["ana"])) == 2
        with pytest.raises(NotPermitted):
            deals.deals(session, world["sam"])


def test_both_ways_of_reading_give_the_same_frame(world, monkeypatch):
    with read_session() as session:
        statements = [select(model.__table__) for model in (Order, OrderLine, Deal, Contact, Touchpoint)]
        quick = [read._typed(read._through_arrow(session, each), each) for each in statements]
        monkeypatch.setattr(read, "_through_arrow", lambda *_: 1 / 0)
        for ours, statement in zip(quick, statements, strict=True):
            slow = read_frame(session, statement)
            columns = [name for name in slow.columns if name != "extra"]
            pd.testing.assert_frame_equal(ours[columns], slow[columns], check_dtype=False)


def test_a_column_that_is_empty_at_first_and_filled_later_is_read(any_cast):
    """The SQLite driver would take the type of its first batch for the type of all."""
    with write_session() as session:
        session.add_all(Contact(name=f"C{n}", city="Oslo" if n > 2_990 else None) for n in range(3_000))
    with read_session() as session:
        table = Contact.__table__
        statement = select(table.c.id, table.c.city, table.c.account_id).order_by(table.c.id)
        frame = read._typed(read._through_arrow(session, statement), statement)
    assert frame["city"].notna().sum() == 9
    assert frame["account_id"].isna().all()


def test_text_of_any_kind_in_a_condition_stays_a_value(any_cast):
    nasty = "100% o'Hara \\ :x ; drop table account; -- “%s”"
    with write_session() as session:
        session.add(Contact(name=nasty))
    with read_session() as session:
        table = Contact.__table__
        assert len(read._through_arrow(session, select(table.c.id).where(table.c.name == nasty))) == 1
        assert (
            len(read._through_arrow(session, select(table.c.id).where(table.c.created_at > AT, table.c.do_not_call.is_(False))))
            == 1
        )


def test_an_empty_result_keeps_its_columns_and_kinds(any_cast):
    with read_session() as session:
        frame = orders.orders(session, any_cast["root"])
    assert list(frame.columns) == ["order_id", "customer_id", "ordered_at", "revenue"]
    assert str(frame["ordered_at"].dtype) == "datetime64[us, UTC]"


def test_deals_as_they_were_are_rebuilt_from_the_log(any_cast):
    with write_session() as session:
        stage = session.exec(load(Stage).where(Stage.kind == StageKind.OPEN)).first()
        deal = Deal(
            name="D",
            pipeline_id=stage.pipeline_id,
            stage_id=stage.id,
            stage_since=AT,
            created_on=date(2024, 5, 1),
            created_at=AT,
            amount_minor=100,
        )
        session.add(deal)
    for days, amount in ((5, 300), (9, 900)):
        with clock.frozen(AT + timedelta(days=days)), write_session() as session:
            records.update(session, any_cast["root"], "deal", deal.id, {"amount_minor": amount / 100})
    with read_session() as session:
        log = deals.changes(session, any_cast["root"], ["amount_minor", "name"])
        now = deals.deals(session, any_cast["root"])
    moments = pd.DataFrame({"record_id": deal.id, "at": [AT + timedelta(days=days) for days in (0, 6, 20)]})
    assert snapshots(log, moments)["amount_minor"].tolist() == [100, 300, 900]
    assert now["amount"].tolist() == [9.0]
    assert now["closed_on"].isna().all()
