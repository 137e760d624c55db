"""Personas: the names, the evidence and the test of usefulness, where they are planted and where they are not."""

import json

import numpy as np
import pandas as pd
import pytest

from ml import synthetic
from ml.clusters import fit_segments
from ml.errors import DataError
from ml.personas import build_personas
from ml.rules import matches
from ml.traits import traits, usefulness

PLANTED = ["age", "income", "visits_per_month", "discount_share"]


@pytest.fixture(scope="module")
def company():
    return synthetic.company(1_500, 1)


@pytest.fixture(scope="module")
def customers(company):
    """With a response that the bargain hunters give three times as often, and one that nobody gives more often."""
    rng = np.random.default_rng(0)
    hunters = (company.membership["segment"] == "bargain hunters").to_numpy()
    responded = rng.random(len(hunters)) < np.where(hunters, 0.3, 0.1)
    return company.customers.assign(responded=responded.astype(int), coin=rng.integers(0, 2, len(hunters)))


@pytest.fixture(scope="module")
def labels(customers):
    return fit_segments(customers[["customer_id", *PLANTED]], k=4, refits=2).labels


@pytest.fixture(scope="module")
def personas(company, customers, labels):
    return build_personas(
        customers,
        labels,
        held_out=("responded", "coin"),
        orders=company.order_lines,
        touchpoints=company.touchpoints,
        as_of=synthetic.END,
    )


def card_of(personas, phrase):
    return next(card for card in personas.cards if phrase in card.name.lower())


def test_each_segment_has_a_card_with_a_name_of_its_own(personas, labels):
    assert [card.segment for card in personas.cards] == [1, 2, 3, 4]
    assert len({card.name for card in personas.cards}) == 4
    assert sum(card.n for card in personas.cards) == len(labels)
    assert sum(card.share for card in personas.cards) == pytest.approx(1)


def test_the_names_say_what_was_planted(personas):
    assert "low" in card_of(personas, "high discount share").name
    assert card_of(personas, "high income")
    assert card_of(personas, "high age")


def test_noise_names_nobody(personas):
    assert not any("shoe" in card.name or "complaints" in card.name for card in personas.cards)
    shoes = personas.traits[personas.traits["attribute"] == "shoe_size"]
    assert not shoes["distinct"].any()
    assert ((shoes["low"] <= 0.1) & (shoes["high"] >= -0.1)).all()


def test_held_out_attributes_take_part_in_no_name_and_no_rule(personas):
    text = personas.to_json()
    rules = json.dumps(personas.rules)
    assert "responded" not in rules
    assert "responded" not in set(personas.traits["attribute"])
    assert '"responded"' in text  # but the evidence about them is kept


def test_usefulness_is_found_where_planted_and_denied_where_not(personas):
    useful = personas.usefulness.set_index("attribute")["useful"]
    assert useful["responded"]
    assert not useful["coin"]
    assert any("differ in responded" in sentence for sentence in personas.advice)


def test_a_persona_like_the_average_says_so(personas):
    hunters = card_of(personas, "high discount share")
    assert any("responded: " in s and "unlike the average" in s for s in hunters.held_out)
    assert all("can't be told from the average" in s for card in personas.cards for s in card.held_out if "coin" in s)


def test_the_rules_reproduce_the_assignment_and_fidelity_is_what_they_do(personas, customers, labels):
    expected = labels.reindex(customers["customer_id"]).to_numpy()
    agreed = np.zeros(len(customers), dtype=bool)
    for segment, rule in personas.rules.items():
        agreed |= matches(rule, customers) & (expected == segment)
    assert personas.fidelity.value == pytest.approx(agreed.mean())
    assert personas.fidelity.value > 0.93 > personas.baseline


def test_precision_and_recall_are_counts_of_the_rule(personas, customers, labels):
    card = personas.cards[0]
    hits = matches(card.rule, customers)
    inside = labels.reindex(customers["customer_id"]).to_numpy() == card.segment
    assert (card.precision.numerator, card.precision.denominator) == ((hits & inside).sum(), hits.sum())
    assert (card.recall.numerator, card.recall.denominator) == ((hits & inside).sum(), inside.sum())


def test_a_years_value_counts_those_who_bought_nothing(personas, company, labels):
    year = company.orders[company.orders["ordered_at"] > synthetic.END - pd.Timedelta(days=365)]
    spend = year.groupby("customer_id")["revenue"].sum().reindex(labels.index, fill_value=0)
    for card in personas.cards:
        assert card.value_12m.estimate == pytest.approx(spend[labels == card.segment].mean())
        assert card.value_12m.low < card.value_12m.estimate < card.value_12m.high


def test_the_as_of_date_hides_the_future(company, customers, labels):
    past = company.orders[company.orders["ordered_at"] <= "2024-01-01"]
    whole, cut = (
        build_personas(customers, labels, orders=orders, as_of="2024-01-01").to_json() for orders in (company.orders, past)
    )
    assert whole == cut


def test_row_order_changes_nothing(customers, labels, personas):
    mixed = customers.sample(frac=1, random_state=1)
    one, other = (build_personas(frame, labels, held_out=("responded",)) for frame in (customers, mixed))
    assert [card.name for card in one.cards] == [card.name for card in other.cards]
    assert one.rules == other.rules
    assert one.fidelity == other.fidelity


def test_everything_can_be_stored_as_json(personas):
    stored = json.loads(personas.to_json())
    assert len(stored["cards"]) == 4
    assert stored["cards"][0]["rule"]["op"] == "or"


class TestPreferences:
    """Two kinds of customers: one half buys coffee by mail, the other buys everything evenly."""

    @pytest.fixture(scope="class")
    def made(self):
        rng = np.random.default_rng(0)
        n = 400
        customers = pd.DataFrame({"customer_id": np.arange(n), "age": np.where(np.arange(n) < 200, 30, 60) + rng.normal(0, 3, n)})
        fond = np.arange(n) < 200
        rows = []
        for i in range(n):
            weights = [0.7, 0.15, 0.15] if fond[i] else [1 / 3] * 3
            rows.append(
                (
                    i,
                    rng.choice(["coffee", "toys", "books"], p=weights),
                    "mail" if rng.random() < (0.8 if fond[i] else 0.4) else "ads",
                )
            )
        events = pd.DataFrame(rows, columns=["customer_id", "category", "channel"])
        lines = events.assign(order_id=events.index, product_id="p", quantity=1, revenue=10.0, ordered_at="2024-05-01")
        touches = events.assign(at="2024-05-01")
        return build_personas(customers, np.where(fond, "fond", "even"), orders=lines, touchpoints=touches)

    def test_the_fond_ones_are_offered_coffee_by_mail(self, made):
        fond = next(card for card in made.cards if card.segment == "fond")
        assert [preference.name for preference in fond.top_categories] == ["coffee"]
        assert fond.preferred_channel.name == "mail"
        assert fond.preferred_channel.low > 1
        assert fond.suggestion.startswith("Offer coffee")
        assert "mail" in fond.suggestion

    def test_heavy_buyers_of_everything_prefer_nothing(self, personas):
        assert all(card.top_categories == () for card in personas.cards if card.value_12m.estimate > 500)


class TestTraits:
    def test_a_difference_of_one_standard_deviation_is_one(self):
        rng = np.random.default_rng(0)
        labels = np.repeat([0, 1], 4000)
        table = traits(pd.DataFrame({"x": rng.normal(labels, 1)}), labels)
        row = table[table["segment"] == 1].iloc[0]
        assert row["low"] < 1 < row["high"]
        assert row["high"] - row["low"] < 0.12

    def test_intervals_cover_the_truth_as_often_as_promised(self):
        rng = np.random.default_rng(1)
        labels = np.repeat([0, 1], [60, 40])
        hits = 0
        for _ in range(300):
            row = traits(pd.DataFrame({"x": rng.normal(0.5 * labels, 1)}), labels).query("segment == 1").iloc[0]
            hits += row["low"] <= 0.5 <= row["high"]
        assert 0.91 <= hits / 300 <= 0.985

    def test_lift_is_the_share_over_that_of_all(self):
        frame = pd.DataFrame({"plan": ["a"] * 30 + ["b"] * 10 + ["a"] * 10 + ["b"] * 50})
        table = traits(frame, np.repeat([0, 1], [40, 60]))
        row = table[(table["segment"] == 0) & (table["level"] == "a")].iloc[0]
        assert (row["value"], row["rest"], row["effect"]) == pytest.approx((0.75, 1 / 6, 0.75 / 0.4))

    def test_noise_is_rarely_called_distinct(self):
        rng = np.random.default_rng(2)
        frame = pd.DataFrame(rng.normal(size=(300, 20)), columns=[f"x{i}" for i in range(20)])
        assert traits(frame, rng.integers(0, 3, 300))["distinct"].sum() <= 2


class TestUsefulness:
    def test_noise_is_useless_in_nineteen_of_twenty(self):
        rng = np.random.default_rng(0)
        labels = rng.integers(0, 3, 200)
        found = [
            usefulness(pd.DataFrame({"x": rng.normal(size=200), "y": rng.integers(0, 2, 200)}), labels, ("x", "y"))[0][
                "useful"
            ].any()
            for _ in range(200)
        ]
        assert np.mean(found) < 0.1

    def test_constant_attributes_tell_nothing(self):
        table, _ = usefulness(pd.DataFrame({"x": [1] * 20}), np.arange(20) % 2, ("x",))
        assert table[["effect", "p_value", "useful"]].to_numpy().tolist() == [[0.0, 1.0, False]]


class TestBadInput:
    def test_one_segment(self, customers):
        with pytest.raises(DataError, match="at least 2 groups"):
            build_personas(customers, np.ones(len(customers)))

    def test_labels_that_miss_customers(self, customers, labels):
        with pytest.raises(DataError, match="1 customers without a label"):
            build_personas(customers, labels.iloc[1:])
        with pytest.raises(DataError, match="3 labels for 1500 customers"):
            build_personas(customers, [1, 2, 1])

    def test_held_out_attributes_that_are_not_there(self, customers, labels):
        with pytest.raises(DataError, match="no nps"):
            build_personas(customers, labels, held_out=("nps",))

    def test_infinite_values(self, customers, labels):
        with pytest.raises(DataError, match="infinite values in age"):
            build_personas(customers.assign(age=np.inf).assign(age=[1.0, 2.0, np.inf] * 500), labels)

    def test_a_segment_of_one_customer_is_described_without_traits(self, customers):
        alone = np.where(np.arange(len(customers)) == 0, 2, 1)
        made = build_personas(customers, alone)
        assert made.cards[1].traits == ()
        assert made.cards[1].rule is None
        assert "No short rule finds" in " ".join(made.advice)

    def test_nothing_held_out_is_said(self, customers, labels):
        assert "Nothing was held out" in build_personas(customers, labels).advice[-1]
