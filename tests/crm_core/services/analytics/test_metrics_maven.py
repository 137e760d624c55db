"""The published figures of a real pipeline: 8,800 opportunities of Maven's CRM sales data."""

import csv
from datetime import UTC, date, datetime

import pytest
from sqlmodel import insert, select

from crm_core import lists
from crm_core.db import read_session, write_session
from crm_core.kit.money import to_minor
from crm_core.lists import ListQuery
from crm_core.models import Deal, Product, Stage, User
from crm_core.services.analytics import breakdowns, metrics
from crm_core.vocabulary import Against, PeriodPreset, StageKind

STAGE = {"Prospecting": "Prospecting", "Engaging": "Qualified", "Won": "Won", "Lost": "Lost"}
QUARTERS = {
    "day_first": (1_134_672, 3_086_111, 2_982_255, 2_802_496),
    "month_first": (1_575_290, 2_902_036, 2_850_420, 2_677_788),
}
"""Won revenue by quarter of 2017. The file writes the day first, as its own column ``close_quarter`` confirms. The second line is often
quoted: it comes from reading the month first wherever that gives a date at all."""


def day(text):
    return datetime.strptime(text, "%d-%m-%y").replace(tzinfo=UTC).date() if text else None


def month_first(text):
    try:
        return datetime.strptime(text, "%m-%d-%y").replace(tzinfo=UTC).date()
    except ValueError:
        return day(text)


@pytest.fixture
def maven(cast, reference):
    """The pipeline as deals, with agents as people and products as main products."""
    return load(cast, reference, day)


def load(cast, reference, read_day):
    with reference("maven_crm/sales_pipeline.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with write_session() as session:
        stages = {stage.name: stage for stage in session.exec(select(Stage))}
        agents = {
            name: User(name=name, email=f"{n}@x.org", email_key=f"{n}@x.org")
            for n, name in enumerate({r["sales_agent"] for r in rows})
        }
        products = {name: Product(name=name) for name in {row["product"] for row in rows}}
        session.add_all([*agents.values(), *products.values()])
        session.flush()
        deals = [deal(row, stages[STAGE[row["deal_stage"]]], agents, products, read_day) for row in rows]
        session.execute(insert(Deal), [made.model_dump(exclude={"id"}) for made in deals])
    return cast["root"]


def deal(row, stage, agents, products, read_day):
    return Deal(
        name=row["opportunity_id"],
        pipeline_id=stage.pipeline_id,
        stage_id=stage.id,
        outcome=stage.kind,
        probability_pct=stage.probability_pct,
        owner_id=agents[row["sales_agent"]].id,
        product_id=products[row["product"]].id,
        amount_minor=to_minor(row["close_value"] or 0, "USD"),
        created_on=day(row["engage_date"]) or day("01-10-16"),
        closed_on=read_day(row["close_date"]),
        stage_since=datetime(2017, 1, 1, tzinfo=UTC),
    )


def figures(actor, preset=PeriodPreset.ALL, **days):
    with read_session() as session:
        selection = metrics.select(session, actor, preset, Against.NONE, **days)
        return {figure.key: figure for figure in metrics.overview(session, actor, "sales", selection)}


def test_the_published_figures_come_out_to_the_cent(maven):
    found = figures(maven)
    assert found["revenue_won"].value == 1_000_553_400
    assert (found["win_rate"].numerator, found["win_rate"].denominator) == (4_238, 4_238 + 2_473)
    assert round(found["win_rate"].value, 4) == 0.6315
    assert found["open_pipeline"].cases == 1_589 + 500
    with read_session() as session:
        query = ListQuery(filter=found["revenue_won"].filter)
        assert lists.totals(session, maven, "deal", query) == (4_238, {"amount_minor": 1_000_553_400})


@pytest.mark.parametrize(("reading", "read_day"), [("day_first", day), ("month_first", month_first)])
def test_the_quarters_of_2017_come_out_to_the_cent(cast, reference, reading, read_day):
    actor = load(cast, reference, read_day)
    ends = (date(2017, 3, 31), date(2017, 6, 30), date(2017, 9, 30), date(2017, 12, 31))
    periods = [{"start": end.replace(month=end.month - 2, day=1), "end": end} for end in ends]
    revenue = [figures(actor, PeriodPreset.CUSTOM, **days)["revenue_won"].value for days in periods]
    assert tuple(minor / 100 for minor in revenue) == QUARTERS[reading]


def test_agents_add_up_to_the_company_and_their_intervals_overlap_it(maven):
    whole = figures(maven)["win_rate"]
    with read_session() as session:
        selection = metrics.select(session, maven, PeriodPreset.ALL, Against.NONE)
        agents = breakdowns.breakdown(session, maven, "win_rate", "owner_id", selection, limit=50)
        products = breakdowns.breakdown(session, maven, "revenue_won", "product_id", selection)
    assert len(agents) == 30
    assert sum(agent.numerator for agent in agents) == whole.numerator
    assert all(0.54 < agent.value < 0.71 for agent in agents)
    assert sum(agent.low <= whole.value <= agent.high for agent in agents) >= 27
    assert sum(product.value for product in products) == 1_000_553_400


def test_only_won_deals_make_the_sales_cycle(maven):
    with read_session() as session:
        won = session.exec(select(Deal).where(Deal.outcome == StageKind.WON)).all()
    spans = sorted((d.closed_on - d.created_on).days for d in won)
    assert figures(maven)["sales_cycle"].value == (spans[2_118] + spans[2_119]) / 2
