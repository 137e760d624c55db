"""The data of an analysis can be chosen: a filter that admits everybody changes nothing, a narrow one leaves only its records."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlmodel import select

from crm_core.db import read_session, write_session
from crm_core.errors import Conflict
from crm_core.frames import orders, series
from crm_core.models import Account, AnalysisRun, Contact, Deal, Order, OrderLine, Product, Touchpoint
from crm_core.services.analytics import journeys, pipeline_history, run_keys, score_fit, scores, snapshots
from crm_core.services.analytics.methods import kinds, method
from crm_core.services.analytics.methods.outlook import chosen
from crm_core.services.analytics.periods import Period
from crm_core.services.marketing import segments
from crm_core.vocabulary import Channel, RunState, StageKind
from tests.crm_core.services.analytics import company
from ui.components.segment_choice import chosen_segment, narrowed

EVERYBODY = {"op": "and", "items": [{"field": "id", "cmp": "gt", "value": 0}]}


@pytest.mark.parametrize("key", list(series.SERIES))
def test_a_series_of_all_records_is_the_same_from_the_records_as_from_the_summaries(cast, key):
    company.fill(cast, 3)
    owned = {"op": "or", "items": [{"field": "owner_id", "cmp": "empty"}, {"field": "owner_id", "cmp": "not_empty"}]}
    with read_session() as session:
        plain, filtered = (
            series.series(session, cast["root"], key, grain="month", until=date(2026, 3, 14), rule=rule) for rule in (None, owned)
        )
        mine = {"field": "owner_id", "cmp": "eq", "value": cast["alice"].user_id}
        narrow = series.series(session, cast["root"], key, grain="month", until=date(2026, 3, 14), rule=mine)
    assert len(plain) and plain.equals(filtered)
    assert 0 < narrow["y"].sum() < plain["y"].sum()


def test_journeys_and_baskets_are_those_of_the_chosen_people(cast):
    at = datetime(2026, 3, 2, 9, tzinfo=UTC)
    with write_session() as session:
        people = [Contact(name=name) for name in ("In", "Out")]
        product = Product(name="Thing")
        session.add_all([*people, product])
        session.flush()
        for n, person in enumerate(people):
            session.add(Touchpoint(contact_id=person.id, channel=Channel.EMAIL, at=at))
            order = Order(number=f"S{n}", contact_id=person.id, ordered_at=at + timedelta(days=1), total_minor=100)
            session.add(order)
            session.flush()
            session.add(OrderLine(order_id=order.id, product_id=product.id, name="Thing", quantity=1, total_minor=100))
        inside = people[0].id
    rule = {"op": "and", "items": [{"field": "name", "cmp": "eq", "value": "In"}]}
    now = at + timedelta(days=9)
    with read_session() as session:
        chosen = method("attribution").normalise({"conversion": "orders", "months": "all", "filter": rule}, session, cast["root"])
        assert journeys.cut(session, cast["root"], chosen, now).paths["conversions"].sum() == 1
        basket = method("basket")
        asked = basket.normalise({"filter": rule}, session, cast["root"])
        from crm_core.services.analytics.methods.basket import _among

        lines = orders.order_lines(session, cast["root"], until=now, among=_among(session, cast["root"], asked, now))
        assert lines["customer_id"].tolist() == [inside]
        assert run_keys.chooses_rows(basket, asked) and not run_keys.chooses_rows(basket, {})


def test_every_analysis_of_records_can_be_narrowed_by_a_filter():
    assert [kind for kind, found in kinds().items() if not any(param.kind == "filter" for param in found.params)] == []


def test_a_score_of_some_records_is_not_switched_on_for_all(cast):
    with write_session() as session:
        found = method("lead_score")
        params = {**found.normalise({}, session, cast["root"]), "filter": EVERYBODY}
        run = AnalysisRun(
            kind="lead_score", name="", key="k", code_version="1", params=params, scope=run_keys.scope(session, cast["root"], found, params),
            data_versions={}, as_of=date(2026, 3, 1), state=RunState.DONE, job_id="", verdict="", warnings=[], result={"summary": {"usable": True}},
        )  # fmt: skip
        session.add(run)
        session.flush()
        run_id = run.id
    with write_session() as session, pytest.raises(Conflict, match="can't stand on all"):
        scores.publish(session, cast["root"], run_id)


def test_the_period_of_a_score_leaves_out_older_outcomes_and_keeps_what_is_open(cast):
    company.fill(cast, 5)
    as_of = company.NOW
    with read_session() as session:
        known = score_fit.outcomes(session, cast["root"], "deal", as_of, 0)
        short = score_fit._narrowed(session, cast["root"], score_fit.DEALS, known, {"months": "12", "filter": None}, as_of)
        mine = {"field": "owner_id", "cmp": "eq", "value": cast["alice"].user_id}
        own = score_fit._narrowed(session, cast["root"], score_fit.DEALS, known, {"months": "0", "filter": mine}, as_of)
    assert 0 < short.rows["outcome"].notna().sum() < known.rows["outcome"].notna().sum()
    assert short.rows["outcome"].isna().sum() == known.rows["outcome"].isna().sum()
    assert 0 < len(own.rows) < len(known.rows)


def test_a_segment_is_the_first_condition_of_the_filter_and_can_be_changed_and_taken_away():
    leaf = {"field": "city", "cmp": "eq", "value": "Rome"}
    either = {"op": "or", "items": [leaf, leaf]}
    inside = narrowed(leaf, (7, ""))
    assert inside == {"op": "and", "items": [{"segment": 7, "cmp": "in"}, leaf]} and chosen_segment(inside) == (7, "")
    assert narrowed(inside, (8, ""))["items"][0]["segment"] == 8 and len(narrowed(inside, (8, ""))["items"]) == 2
    assert narrowed(inside, None) == {"op": "and", "items": [leaf]}
    assert narrowed(either, (7, "")) == {"op": "and", "items": [{"segment": 7, "cmp": "in"}, either]}
    assert narrowed(None, None) is None and chosen_segment(None) is None and chosen_segment(either) is None
    behind = narrowed(leaf, (7, "account"))
    assert behind["items"][0] == {"segment": 7, "cmp": "in", "on": "account"} and chosen_segment(behind) == (7, "account")
    assert narrowed(behind, None) == {"op": "and", "items": [leaf]}


def test_the_outlook_of_some_deals_leaves_the_others_out_now_and_on_past_evenings(cast):
    company.fill(cast, 5)
    root, day = cast["root"], company.NOW.date()
    period = Period(day - timedelta(days=400), day + timedelta(days=400))
    with write_session() as session:
        session.add(account := Account(name="Rich"))
        session.flush()
        rich = account.id
        segment = segments.create(session, root, name="One", entity="account", kind="static", record_ids=[rich])
        for outcome, number in ((StageKind.OPEN, 3), (StageKind.WON, 2)):
            for deal in session.exec(select(Deal).where(Deal.outcome == outcome)).all()[:number]:
                deal.account_id, deal.expected_close_on, deal.amount_minor = rich, day, 100_00
        snapshots.take(session, day)
    rules = [
        None,
        narrowed(None, (segment, "account")),
        narrowed({"field": "name", "cmp": "eq", "value": "?"}, (segment, "account")),
    ]
    with read_session() as session:
        stands = [[pipeline_history.standing(session, root, period, on, rule=rule).deals for on in (None, day)] for rule in rules]
        won = [pipeline_history.won(session, root, period, rule=rule) for rule in rules]
        outlook = method("outlook")
        asked = outlook.normalise({"filter": rules[1]}, session, root)
        assert chosen(asked)["rule"] == rules[1] and run_keys.chooses_rows(outlook, asked)
    assert stands[0][0] > stands[1][0] == stands[1][1] == 3 and stands[2] == [0, 0]
    assert won[0] > won[1] >= won[2] == 0
