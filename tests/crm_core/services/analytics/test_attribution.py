"""Attribution over the records: the published figures, exact sums, what is missing said by name, costs by days, nothing of others."""

import sqlite3
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

from crm_core.db import read_session, write_session
from crm_core.models import Campaign, CampaignChannel, CampaignMember, Contact, Order, Touchpoint
from crm_core.services.analytics import holdouts
from crm_core.services.analytics.methods import method
from crm_core.settings import settings
from crm_core.vocabulary import Channel, MemberStatus
from ml.errors import DataError

NOW = datetime(2026, 6, 1, tzinfo=UTC)
GREEK = {
    "alpha": "email", "beta": "phone", "gamma": "paid_search", "delta": "organic", "epsilon": "social", "zeta": "display",
    "eta": "event", "theta": "direct_mail", "iota": "referral", "kappa": "partner", "lambda": "sms", "mi": "web",
}  # fmt: skip
PER_PERSON = 100
BEGIN = datetime(2000, 1, 1, tzinfo=UTC)


def run(actor, **params):
    found = method("attribution")
    with read_session() as session:
        return found.compute(session, actor, found.normalise(params, session, actor), NOW, lambda *_: None)


def credit(outcome, model, column="conversions"):
    table = outcome.tables["credits"]
    return table[table.model == model].set_index("channel")[column]


# --- published figures ------------------------------------------------------------------------------------------------------


def test_pathdata_as_touches_and_orders_gives_the_published_credits(cast, reference):
    """Every journey of the published file, 100 to a person with 40 days between them, read back through the database."""
    load_journeys(pd.read_csv(reference("pathdata.csv")))
    outcome = run(cast["root"], conversion="orders", months="all", lookback_days=30, draws=0, direct="channel")
    label = {name: Channel(channel).label for name, channel in GREEK.items()}

    def of(model, names):
        return [round(credit(outcome, model)[label[name]], 2) for name in names.split()]

    assert of("first", "alpha iota eta beta") == [6308, 4606, 3164, 2831]
    assert of("last", "alpha iota eta beta") == [8447, 3355, 4167, 989]
    assert of("linear", "alpha iota eta beta") == pytest.approx([7574.7, 3857.1, 3540.0, 2083.5], abs=0.06)
    assert of("markov", "alpha iota eta beta theta lambda epsilon zeta kappa gamma delta mi") == [
        5344.95, 3884.61, 3340.85, 2527.35, 1971.91, 1282.85, 599.57, 381.06, 274.36, 171.15, 4.61, 1.72,
    ]  # fmt: skip
    assert of("shapley", "alpha eta iota beta") == pytest.approx([7627.9, 3613.7, 3505.0, 1982.7], abs=0.05)
    assert outcome.summary["conversion_probability"] == pytest.approx(19_785 / 88_387, abs=1e-12)


def load_journeys(paths):
    """Straight into the file: the ORM would take a minute for 378,209 touches."""
    stamps = [f"{BEGIN + timedelta(days=40 * k):%Y-%m-%d}" for k in range(PER_PERSON)]
    touches, orders, n = [], [], 0
    for path, converting, _value, nulls in paths.itertuples(index=False):
        channels = [GREEK[name] for name in path.split(" > ")]
        for k in range(int(converting) + int(nulls)):
            person, day = n // PER_PERSON + 1, stamps[n % PER_PERSON]
            touches += [
                (person, channel, f"{day} {step // 60:02d}:{step % 60:02d}:00.000000") for step, channel in enumerate(channels)
            ]
            if k < converting:
                orders.append((f"O{n}", person, f"{day} 20:00:00.000000"))
            n += 1
    with sqlite3.connect(settings().url.removeprefix("sqlite:///")) as file:
        people = [(f"C{person}",) for person in range(-(-n // PER_PERSON))]
        for table, columns, rows in (
            (
                "contact",
                "name, extra, preferred_channel, do_not_email, do_not_call",
                [(name, "{}", "any", 0, 0) for (name,) in people],
            ),
            ("touchpoint", "contact_id, channel, at, kind, cost_minor", [(*touch, "visit", 0) for touch in touches]),
            (
                "sales_order",
                "number, contact_id, ordered_at, status, total_minor, currency, extra",
                [(*order, "placed", 100, "USD", "{}") for order in orders],
            ),
        ):
            marks = ", ".join("?" * (columns.count(",") + 1))
            file.executemany(
                f"INSERT INTO {table} ({columns}, created_at, updated_at, version) VALUES ({marks}, '2026-01-01', '2026-01-01', 1)",
                rows,
            )


# --- a small company --------------------------------------------------------------------------------------------------------


@pytest.fixture
def company(cast):
    """Two campaigns of the same name, one with a hold-out; Alice's customers buy after its mails, Charlie's after searches."""
    owner = [cast["alice"].user_id, cast["charlie"].user_id]
    with write_session() as session:
        campaigns = [Campaign(name="Spring", starts_on=date(2026, 3, 1), ends_on=date(2026, 3, 10)) for _ in range(2)]
        contacts = [Contact(name=f"C{n}", owner_id=owner[n % 2]) for n in range(80)]
        session.add_all([*campaigns, *contacts])
        session.flush()
        first = campaigns[0].id
        for campaign, cost in ((campaigns[0], 300_00), (campaigns[1], 50_00)):
            session.add(CampaignChannel(campaign_id=campaign.id, channel=Channel.EMAIL, actual_cost_minor=cost))
        for n, contact in enumerate(contacts):
            held_out = n % 4 == 3
            at = datetime(2026, 3, 2, 9, n % 60, tzinfo=UTC)
            session.add(
                CampaignMember(
                    campaign_id=first, contact_id=contact.id, is_control=held_out, status=MemberStatus.SENT, created_at=at
                )
            )
            if not held_out:
                session.add(Touchpoint(contact_id=contact.id, channel=Channel.EMAIL, campaign_id=first, at=at, cost_minor=50))
            session.add(Touchpoint(contact_id=contact.id, channel=Channel.PAID_SEARCH, at=at + timedelta(days=1), cost_minor=200))
            if not held_out or n % 8 == 3:
                _order(session, contact, at + timedelta(days=2 + n % 5), 100_00, n)
    return cast, [campaign.id for campaign in campaigns]


def _order(session, contact, at, minor, n):
    session.add(Order(number=f"S{n}", contact_id=contact.id, owner_id=contact.owner_id, ordered_at=at, total_minor=minor))


@pytest.mark.parametrize("level", ["channel", "campaign"])
def test_credits_of_every_model_add_up_to_the_conversions_and_their_value(company, level):
    outcome = run(company[0]["root"], conversion="orders", level=level)
    sums = outcome.tables["credits"].groupby("model")[["conversions", "value"]].sum()
    assert len(sums) == 9
    assert sums["conversions"].to_numpy() == pytest.approx(70.0, abs=1e-9)
    assert sums["value"].to_numpy() == pytest.approx(7_000.0, abs=1e-6)


def test_two_campaigns_of_one_name_stay_two_and_cost_stands_at_the_right_one(company):
    cast, (first, second) = company
    outcome = run(cast["root"], conversion="orders", level="campaign")
    credits = outcome.tables["credits"]
    assert set(credits["channel"]) == {"Spring", "Paid search, no campaign"}
    assert credits.loc[credits.channel == "Spring", "campaign_id"].unique().tolist() == [first]
    costs = outcome.tables["costs"].set_index("campaign_id")
    assert costs.loc[first, "cost"] == 300 and costs.loc[first, "linear"] == pytest.approx(300 / 30)
    assert costs.loc[second, "cost"] == 50 and pd.isna(costs.loc[second, "linear"])
    assert any("touched nobody" in warning for warning in outcome.warnings)


def test_a_campaign_that_ran_half_outside_the_period_counts_half(company, monkeypatch):
    cast, _ids = company
    with write_session() as session:
        for campaign_id in _ids:
            campaign = session.get(Campaign, campaign_id)
            campaign.starts_on, campaign.ends_on = date(2026, 2, 26), date(2026, 3, 5)
    outcome = run(cast["root"], conversion="orders", months="3")  # begins on 1 March
    since = date.fromisoformat(outcome.summary["since"])
    inside = (date(2026, 3, 5) - since).days + 1
    assert outcome.tables["costs"]["cost"].tolist() == pytest.approx([350 * inside / 8])


def test_the_hold_out_measures_what_attribution_only_describes(company):
    cast, (first, _second) = company
    with read_session() as session:
        lifts = holdouts.measured(session, cast["root"], of="orders", since=None, until=NOW)
    row = lifts[lifts.outcome == "converted"].iloc[0]
    assert (row.campaign_id, row.n_treated, row.n_control, row.treated, row.control) == (first, 60, 20, 1.0, 0.5)
    assert row.low > 0 and row.conclusive and row.extra == 30
    assert "responded" not in set(lifts.outcome), "nobody held out can answer a mail, so the difference would be true by definition"
    low, high = holdouts.pooled(lifts, "converted")[1:]
    assert low < 0.5 < high


def test_others_orders_neither_count_nor_look_like_journeys_that_led_nowhere(company):
    outcome = run(company[0]["alice"], conversion="orders")
    assert outcome.summary["conversions"] == 40 and outcome.summary["nulls"] == 0 and outcome.summary["partial"]
    assert any("Only some of the conversions" in warning for warning in outcome.warnings)
    lifts = outcome.tables["holdouts"]
    assert lifts.loc[lifts.outcome == "converted", "treated"].iloc[0] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("params", "missing"), [({"conversion": "deals"}, "won deals"), ({"conversion": "orders", "months": "3"}, "touches")]
)
def test_an_empty_workspace_names_the_missing_input(cast, company, params, missing):
    if missing == "touches":
        with write_session() as session:
            session.execute(Touchpoint.__table__.delete())
    with pytest.raises(DataError, match=missing):
        run(cast["root"], **params)


def test_touches_before_the_period_count_only_where_they_led_into_it(cast):
    """The period begins on 2 March. One early touch leads to a sale in it, one to a sale before it, one nowhere."""
    early, since = datetime(2026, 2, 20, tzinfo=UTC), NOW - timedelta(days=3 * 30.4375)
    with write_session() as session:
        contacts = [Contact(name=f"C{n}") for n in range(3)]
        session.add_all(contacts)
        session.flush()
        session.add_all(Touchpoint(contact_id=contact.id, channel=Channel.EVENT, at=early) for contact in contacts)
        _order(session, contacts[0], since + timedelta(days=5), 100, 0)
        _order(session, contacts[1], early + timedelta(days=1), 100, 1)
    outcome = run(cast["root"], conversion="orders", months="3", lookback_days=30)
    assert (outcome.summary["conversions"], outcome.summary["nulls"]) == (1, 0)
