"""Deals: each verb works; wrong state; missing; not yours; not permitted; twice."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlmodel import select

from crm_core import lists, records
from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.kit import clock
from crm_core.lists import ListQuery
from crm_core.models import Event, Order, Pipeline, Stage, StageEvent
from crm_core.services.admin import pick_lists
from crm_core.services.sales import board, deals
from crm_core.vocabulary import OrderStatus, StageKind, Stance
from tests.verbs import do, look


def new(actor, **values):
    return do(deals.create, actor, {"name": "Big one", "amount_minor": 100_00, **values})


def stage(name):
    with read_session() as session:
        return session.exec(select(Stage).where(Stage.name == name)).first()


def moves(deal_id):
    with read_session() as session:
        return list(session.exec(select(StageEvent).where(StageEvent.deal_id == deal_id).order_by(StageEvent.id)))


def test_a_new_deal_starts_in_the_first_stage_with_its_probability(any_cast):
    deal = new(any_cast["alice"])
    assert (deal.stage_id, deal.probability_pct, deal.outcome) == (stage("Prospecting").id, 10, StageKind.OPEN)
    assert deal.owner_id == any_cast["alice"].user_id
    assert [event.to_stage_id for event in moves(deal.id)] == [deal.stage_id]


def test_a_new_deal_can_not_start_closed_nor_in_another_pipelines_stage(cast):
    with pytest.raises(Invalid, match="open stage"):
        new(cast["alice"], stage_id=stage("Won").id)
    from crm_core.services.admin import setup

    with write_session() as session:
        other = setup.create_pipeline(session, "Partners")
    with pytest.raises(Invalid, match="another pipeline"):
        new(cast["alice"], stage_id=stage("Proposal").id, pipeline_id=other.id)


def test_moving_follows_the_stage_and_writes_history(any_cast):
    alice = any_cast["alice"]
    deal = new(alice)
    moved = do(deals.move, alice, deal.id, stage("Proposal").id, base_version=deal.version)
    assert (moved.probability_pct, moved.stage_id) == (50, stage("Proposal").id)
    history = moves(deal.id)
    assert (history[-1].from_stage_id, history[-1].to_stage_id) == (deal.stage_id, moved.stage_id)
    assert history[-1].seconds_in_from >= 0


def test_a_probability_set_by_hand_stays_until_the_deal_is_closed(cast):
    deal = new(cast["alice"])
    do(deals.update, cast["alice"], deal.id, {"probability_pct": 33})
    moved = do(deals.move, cast["alice"], deal.id, stage("Proposal").id)
    assert moved.probability_pct == 33
    assert do(deals.win, cast["alice"], deal.id).probability_pct == 100


def test_the_form_and_the_board_move_a_deal_alike(cast):
    one, two = new(cast["alice"]), new(cast["alice"])
    target = stage("Negotiation").id
    do(deals.move, cast["alice"], one.id, target)
    do(deals.update, cast["alice"], two.id, {"stage_id": target})
    with read_session() as session:
        a, b = (deals.get(session, cast["alice"], deal.id) for deal in (one, two))
    assert (a.stage_id, a.probability_pct) == (b.stage_id, b.probability_pct)
    assert len(moves(one.id)) == len(moves(two.id)) == 2


def test_winning_closes_the_deal_and_makes_an_order_of_its_lines_once(any_cast):
    alice = any_cast["alice"]
    deal = new(alice)
    do(deals.set_lines, alice, deal.id, [{"name": "Licence", "quantity": 2, "unit_price_minor": 50_05, "discount_pct": 10}])
    won = do(deals.win, alice, deal.id, reason="Price")
    assert (won.outcome, won.closed_on, won.won_reason) == (StageKind.WON, clock.today(), "Price")
    assert won.amount_minor == 90_09
    with read_session() as session:
        orders = list(session.exec(select(Order).where(Order.deal_id == deal.id)))
        kinds = [event.type for event in session.exec(select(Event).where(Event.entity == "deal", Event.record_id == deal.id))]
    assert [order.total_minor for order in orders] == [90_09]
    assert "deal.won" in kinds
    with pytest.raises(Conflict, match="already won"):
        do(deals.win, alice, deal.id)


def test_a_deal_won_again_becomes_an_order_again_only_when_the_first_one_no_longer_stands(any_cast):
    from crm_core.services.sales import orders

    alice = any_cast["alice"]
    deal = new(alice)

    def standing():
        with read_session() as session:
            return deals.standing_order(session, alice, deal.id)

    def numbers():
        with read_session() as session:
            return list(session.exec(select(Order.number).where(Order.deal_id == deal.id).order_by(Order.id)))

    do(deals.set_lines, alice, deal.id, [{"name": "Licence", "quantity": 1, "unit_price_minor": 50_00}])
    assert standing() is None
    do(deals.win, alice, deal.id)
    do(deals.reopen, alice, deal.id)
    assert standing() == numbers()[0]
    do(deals.win, alice, deal.id)
    assert len(numbers()) == 1, "the first one stands"
    do(deals.reopen, alice, deal.id)
    with read_session() as session:
        first = session.exec(select(Order.id).where(Order.deal_id == deal.id)).one()
    do(orders.move, alice, first, OrderStatus.CANCELLED)
    assert standing() is None
    do(deals.win, alice, deal.id)
    assert len(numbers()) == 2 and standing() == numbers()[1]


def test_a_deal_closes_neither_tomorrow_nor_before_it_was_opened(cast):
    deal = new(cast["alice"])
    with pytest.raises(Invalid, match="future"):
        do(deals.win, cast["alice"], deal.id, closed_on=clock.today() + timedelta(days=1))
    with pytest.raises(Invalid, match="before the day"):
        do(deals.win, cast["alice"], deal.id, closed_on=date(2001, 1, 1))


def test_losing_needs_a_reason_and_reopening_clears_it(any_cast):
    alice = any_cast["alice"]
    deal = new(alice)
    do(deals.move, alice, deal.id, stage("Proposal").id)
    with pytest.raises(Invalid, match="why"):
        do(deals.lose, alice, deal.id, reason="", competitor="Unknown")
    with pytest.raises(Invalid, match="who won it"):
        do(deals.lose, alice, deal.id, reason="Price")
    bound = replace(alice, locks=frozenset({("deal", "competitor")}))
    with pytest.raises(Invalid) as refused:  # nobody is asked for what their role can't write
        do(deals.lose, bound, deal.id, reason="")
    assert set(refused.value.fields) == {"lost_reason"}
    lost = do(deals.lose, alice, deal.id, reason="Price", competitor="Unknown")
    assert (lost.outcome, lost.lost_reason, lost.probability_pct) == (StageKind.LOST, "Price", 0)
    again = do(deals.reopen, alice, deal.id)
    assert (again.outcome, again.lost_reason, again.closed_on, again.stage_id) == (StageKind.OPEN, None, None, stage("Proposal").id)
    assert again.competitor is None, "nobody has won it any more"
    with pytest.raises(Conflict, match="already open"):
        do(deals.reopen, alice, deal.id)


def test_a_closed_deal_stays_closed_in_another_pipeline_that_knows_its_state(any_cast):
    alice = any_cast["alice"]
    with write_session() as session:
        other = Pipeline(name="Renewals", position=9)
        session.add(other)
        session.flush()
        for place, kind in enumerate((StageKind.OPEN, StageKind.WON)):
            session.add(Stage(pipeline_id=other.id, name=f"{kind.label} here", kind=kind, position=place))
    won, lost = new(alice), new(alice)
    do(deals.win, alice, won.id)
    do(deals.lose, alice, lost.id, reason="Price", competitor="None")
    moved = do(deals.update, alice, won.id, {"pipeline_id": other.id}).record
    assert (moved.outcome, moved.pipeline_id, moved.stage_id) == (StageKind.WON, other.id, stage("Won here").id)
    assert moved.closed_on is not None
    with pytest.raises(Invalid, match="no stage that means “Lost”"):
        do(deals.update, alice, lost.id, {"pipeline_id": other.id})
    with pytest.raises(Invalid, match="another pipeline"):
        do(deals.update, alice, new(alice).id, {"pipeline_id": other.id, "stage_id": stage("Proposal").id})


def test_an_open_deal_goes_to_another_pipeline_into_the_stage_that_is_said(cast):
    from crm_core.services.admin import setup

    alice = cast["alice"]
    with write_session() as session:
        there = setup.create_pipeline(session, "Partners").id
        wanted = session.exec(
            select(Stage).where(Stage.pipeline_id == there, Stage.kind == StageKind.OPEN).order_by(Stage.position)
        ).all()[1]
    deal = new(alice)
    with pytest.raises(Invalid, match="which stage of “Partners”"):
        do(deals.update, alice, deal.id, {"pipeline_id": there})
    moved = do(deals.move, alice, deal.id, wanted.id)
    assert (moved.pipeline_id, moved.stage_id, moved.probability_pct) == (there, wanted.id, wanted.probability_pct)
    with pytest.raises(Invalid, match="another pipeline"):
        do(deals.update, alice, deal.id, {"pipeline_id": there, "stage_id": deal.stage_id})


def test_a_probability_of_ones_own_says_whose_it_is_and_goes_back_to_the_stages(cast):
    alice, bob = cast["alice"], cast["bob"]
    given = new(alice, probability_pct=33)
    assert do(deals.by_hand, alice, given.id).who == "Alice Rep"
    deal = new(alice)
    assert do(deals.by_hand, alice, deal.id) is None
    do(deals.update, bob, deal.id, {"probability_pct": 77})
    do(deals.move, alice, deal.id, stage("Proposal").id)
    said = do(deals.by_hand, alice, deal.id)
    assert (said.who, said.stage_pct) == ("Bob Manager", 50) and said.at is not None
    with pytest.raises(NotFound):
        do(deals.follow_stage, cast["charlie"], deal.id)
    back = do(deals.follow_stage, alice, deal.id)
    assert (back.probability_pct, back.probability_own) == (50, False) and do(deals.by_hand, alice, deal.id) is None
    with pytest.raises(Conflict, match="already"):
        do(deals.follow_stage, alice, deal.id)


def test_products_out_of_sight_stay_on_a_deal_and_come_to_no_other(cast):
    alice = cast["alice"]
    product = do(records.create, cast["root"], "product", {"name": "Old thing", "price_minor": 100})
    deal, other = new(alice), new(alice)
    do(deals.set_lines, alice, deal.id, [{"product_id": product.id}])
    blind = replace(alice, grants={key: scopes for key, scopes in alice.grants.items() if key[0] != "product"})
    do(deals.set_lines, blind, deal.id, [{"product_id": product.id, "quantity": 2}, {"name": "By hand", "unit_price_minor": 5}])
    with pytest.raises(Invalid, match="Line 1: choose a product"):
        do(deals.set_lines, blind, other.id, [{"product_id": product.id}])
    masked = replace(alice, masks=frozenset({("deal", "amount_minor")}))
    with pytest.raises(Invalid, match="hidden from your role"):
        do(deals.set_lines, masked, deal.id, [])
    with read_session() as session:
        assert [(line.unit_price_minor, line.total_minor) for line in deals.lines(session, masked, deal.id)] == [(None, None)] * 2
        assert [line.total_minor for line in deals.lines(session, alice, deal.id)] == [200, 5]


def test_closing_through_the_form_is_refused_with_advice(cast):
    deal = new(cast["alice"])
    with pytest.raises(Invalid, match="Win"):
        do(deals.update, cast["alice"], deal.id, {"stage_id": stage("Won").id})


def test_a_stale_move_that_somebody_else_made_first_is_a_conflict(any_cast):
    deal = new(any_cast["alice"])
    do(deals.move, any_cast["bob"], deal.id, stage("Proposal").id, base_version=deal.version)
    with pytest.raises(Conflict):
        do(deals.move, any_cast["alice"], deal.id, stage("Qualified").id, base_version=deal.version)


def test_the_amount_follows_the_lines_until_it_is_set_by_hand(cast):
    alice = cast["alice"]
    deal = new(alice, amount_minor=0)
    rows = [{"name": "A", "quantity": 3, "unit_price_minor": 10_00}]
    assert do(deals.set_lines, alice, deal.id, rows).amount_minor == 30_00
    do(deals.update, alice, deal.id, {"amount_minor": 25_00})
    assert do(deals.set_lines, alice, deal.id, [*rows, *rows]).amount_minor == 25_00


@pytest.mark.parametrize(
    "row",
    [
        {"name": ""},
        {"name": "x", "quantity": 0},
        {"name": "x", "unit_price_minor": -1},
        {"name": "x", "discount_pct": 101},
        {"name": "x", "quantity": "lots"},
        {"product_id": 99},
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_kept(cast, row):
    deal = new(cast["alice"])
    with pytest.raises(Invalid, match="Line 2"):
        do(deals.set_lines, cast["alice"], deal.id, [{"name": "fine"}, row])
    with read_session() as session:
        assert deals.lines(session, cast["alice"], deal.id) == []


def test_who_may_not_see_a_deal_finds_nothing_and_who_may_only_read_changes_nothing(cast):
    deal = new(cast["alice"])
    with pytest.raises(NotFound), read_session() as session:
        deals.get(session, cast["charlie"], deal.id)
    for verb in (deals.win, deals.reopen):
        with pytest.raises(NotFound):
            do(verb, cast["charlie"], deal.id)
        with pytest.raises(NotPermitted):
            do(verb, cast["ana"], deal.id)
    with pytest.raises(NotPermitted):
        do(deals.create, cast["sam"], {"name": "x"})


def test_the_board_counts_what_the_list_counts(any_cast):
    alice, bob, charlie = any_cast["alice"], any_cast["bob"], any_cast["charlie"]
    for owner in (alice, alice, bob, charlie):
        new(owner)
    with read_session() as session:
        for actor, expected in ((alice, 2), (bob, 3), (charlie, 1), (any_cast["root"], 4)):
            found = board.columns(session, actor, stage("Prospecting").pipeline_id)
            assert sum(column.count for column in found) == expected == lists.count(session, actor, "deal", ListQuery())
            assert sum(column.weighted_minor for column in found) == expected * 10_00


def test_whoever_may_not_write_the_competitor_loses_a_deal_without_one(cast):
    alice, about = cast["alice"], frozenset({("deal", "competitor")})
    for bound in (replace(alice, locks=about), replace(alice, masks=about)):
        deal = new(alice, competitor="Unknown")
        assert do(deals.lose, bound, deal.id, reason="Price").outcome is StageKind.LOST
        assert look(deals.get, alice, deal.id).competitor == "Unknown", "what they can't write stays"


def test_nobody_won_a_lost_deal_also_where_the_list_of_competitors_lacks_that(cast):
    alice, root = cast["alice"], cast["root"]
    do(pick_lists.deactivate, root, "deal", "competitor", "None")
    deal = new(alice, competitor="Unknown")
    lost = do(deals.lose, alice, deal.id, reason="Price", competitor="None")
    assert (lost.outcome, lost.competitor) == (StageKind.LOST, None)
    with pytest.raises(Invalid, match="not one of the values"):
        do(deals.lose, alice, new(alice).id, reason="Price", competitor="Nobody at all")


def test_the_buying_committee_knows_each_person_once(cast):
    alice = cast["alice"]
    deal = new(alice)
    person = do(records.create, alice, "contact", {"name": "Maria"})
    do(deals.set_committee_member, alice, deal.id, person.id)
    do(deals.set_committee_member, alice, deal.id, person.id, influence=5)
    with read_session() as session:
        assert [member.influence for member in deals.committee(session, alice, deal.id)] == [5]
    do(deals.remove_committee_member, alice, deal.id, person.id)
    with pytest.raises(NotFound):
        do(deals.remove_committee_member, alice, deal.id, person.id)


def test_two_people_change_the_buying_committee_and_the_second_one_is_told(cast):
    alice, root = cast["alice"], cast["root"]
    deal = new(alice)
    person = do(records.create, alice, "contact", {"name": "Maria"})
    seen = do(deals.set_committee_member, alice, deal.id, person.id, base_version=0)
    with pytest.raises(Conflict, match="already"):  # whoever adds somebody overwrites no part
        do(deals.set_committee_member, root, deal.id, person.id, base_version=0)
    do(deals.set_committee_member, root, deal.id, person.id, influence=5, base_version=seen.version)
    for verb, more in ((deals.set_committee_member, {"stance": Stance.OPPONENT}), (deals.remove_committee_member, {})):
        with pytest.raises(Conflict) as refused:
            do(verb, alice, deal.id, person.id, base_version=seen.version, **more)
        assert [member.influence for member in refused.value.details["rows"]] == [5]
    do(deals.remove_committee_member, root, deal.id, person.id)
    with pytest.raises(Conflict, match="took this person out"):
        do(deals.set_committee_member, alice, deal.id, person.id, base_version=seen.version)
    with pytest.raises(NotFound, match="not in the buying committee"):  # whoever takes out is not told to add again
        do(deals.remove_committee_member, alice, deal.id, person.id, base_version=seen.version)
    with read_session() as session:
        log = session.exec(select(Event).where(Event.type == "deal.committee_changed").order_by(Event.id)).all()
    assert [event.changes for event in log[:2]] == [
        {"role": [None, "User"], "influence": [None, 3], "stance": [None, "Neutral"]},
        {"influence": [3, 5]},
    ]


@pytest.mark.parametrize(
    "row",
    [
        {"name": "x", "quantity": "nan"},
        {"name": "x", "unit_price_minor": float("inf")},
        {"name": "x", "quantity": 10**8, "unit_price_minor": 10**13},
    ],
)
def test_absurd_lines_are_refused_with_a_sentence(cast, row):
    deal = new(cast["alice"])
    with pytest.raises(Invalid, match="Line 1"):
        do(deals.set_lines, cast["alice"], deal.id, [row])


def test_junk_where_a_state_belongs_gets_a_sentence(cast):
    from crm_core.services.helpdesk import tickets
    from crm_core.services.sales import orders

    root = cast["root"]
    deal, order = new(root), do(orders.create, root, {})
    ticket = do(tickets.create, root, {"subject": "x"}, message="said\x00so")
    for verb, record_id, changes in (
        (deals.update, deal.id, {"stage_id": "x"}),
        (orders.update, order.id, {"status": "x"}),
        (tickets.update, ticket.id, {"status": "x"}),
    ):
        with pytest.raises(Invalid):
            do(verb, root, record_id, changes)
    with read_session() as session:
        assert tickets.messages(session, root, ticket.id)[0].body == "saidso"


def test_a_task_done_through_its_form_has_its_instant(cast):
    from crm_core.services.collaboration import tasks

    task = do(tasks.create, cast["alice"], {"subject": "x"})
    assert do(tasks.update, cast["alice"], task.id, {"status": "done"}).record.done_at is not None
    assert do(tasks.update, cast["alice"], task.id, {"status": "open"}).record.done_at is None


def test_the_board_shows_what_closes_next_first_and_of_the_closed_ones_those_of_ninety_days(any_cast):
    alice, day = any_cast["alice"], clock.today()
    for name, days in (("Later", 9), ("Next", 2), ("Whenever", None)):
        new(alice, name=name, expected_close_on=day + timedelta(days=days) if days is not None else None)
    for name, days in (("Last quarter", 89), ("Lately", 1), ("Long ago", 91)):
        won = new(alice, name=name, created_on=day - timedelta(days=100))
        do(deals.win, alice, won.id, closed_on=day - timedelta(days=days))
    with read_session() as session:
        shown = {column.stage.name: column for column in board.columns(session, alice, stage("Won").pipeline_id)}
    assert [card.name for card in shown["Prospecting"].cards] == ["Next", "Later", "Whenever"]
    assert ([card.name for card in shown["Won"].cards], shown["Won"].count) == (["Lately", "Last quarter"], 2)
