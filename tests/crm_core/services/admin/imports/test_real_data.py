"""Real pipelines of others go in whole: the Maven sales data and 2,240 customers of a food retailer."""

import pytest
from sqlalchemy import text

from crm_core import lists
from crm_core.db import read_session
from crm_core.lists import ListQuery
from crm_core.services.admin.imports import runs
from crm_core.vocabulary import ImportState


@pytest.fixture
def maven(any_cast, imports, reference):
    """The actors, after products, accounts and sales teams were imported as the wizard proposes it."""
    root = any_cast["root"]
    products = imports.run(root, "product", reference("maven_crm/products.csv"))
    accounts = imports.run(root, "account", reference("maven_crm/accounts.csv"), factors={"revenue": "1000000"})
    teams = imports.run(root, "user", reference("maven_crm/sales_teams.csv"))
    assert [(run.created, run.rejected) for run in (products, accounts, teams)] == [(7, 0), (85, 0), (35, 0)]
    return any_cast


@pytest.mark.slow
def test_the_maven_pipeline_comes_in_whole_and_agrees_with_its_source(maven, imports, reference):
    root = maven["root"]
    run = imports.run(root, "deal", reference("maven_crm/sales_pipeline.csv"))
    assert run.state is ImportState.DONE
    assert imports.counts(run) == {"created": 8800, "updated": 0, "unchanged": 0, "rejected": 0}
    won = imports.count(root, "deal", field="outcome", cmp="eq", value="won")
    lost = imports.count(root, "deal", field="outcome", cmp="eq", value="lost")
    assert (won, lost, round(100 * won / (won + lost), 2)) == (4238, 2473, 63.15)
    with read_session() as session:
        ast = {"field": "outcome", "cmp": "eq", "value": "won"}
        assert lists.totals(session, root, "deal", ListQuery(filter=ast)) == (4238, {"amount_minor": 10_005_534_00})
        stages = dict(
            session.execute(text("select s.name, count(*) from deal d join stage s on s.id = d.stage_id group by s.name"))
            .tuples()
            .all()
        )
        assert stages == {"Won": 4238, "Lost": 2473, "Engaging": 1589, "Prospecting": 500}
        assert session.execute(text("select count(*), count(distinct deal_id) from stage_event")).one() == (8800, 8800)
        assert session.execute(text("select count(*) from event_log where type = 'deal.created'")).scalar() == 8800
    assert imports.count(root, "deal", field="account_id", cmp="empty") == 1425
    assert imports.count(root, "deal", field="product_id", cmp="empty") == 0
    assert imports.count(root, "deal", field="closed_on", cmp="not_empty") == 6711
    assert imports.count(root, "product") == 7
    first = imports.find(
        root,
        "deal",
        ("created_on", "closed_on", "amount_minor", "owner_id", "product_id", "account_id"),
        field="x_opportunity_id",
        cmp="eq",
        value="Z063OYW0",
    )[0]
    assert (str(first["created_on"]), str(first["closed_on"]), first["amount_minor"]) == ("2016-10-25", "2017-03-11", 451_400)
    assert (first["owner_id.title"], first["product_id.title"], first["account_id.title"]) == (
        "Darcel Schlecht",
        "GTX Pro",
        "Isdom",
    )
    again = imports.run(root, "deal", reference("maven_crm/sales_pipeline.csv"))
    assert imports.counts(again) == {"created": 0, "updated": 0, "unchanged": 8800, "rejected": 0}


def test_typing_errors_in_the_source_are_recognised_and_shown(maven, imports, reference):
    root = maven["root"]
    assert imports.count(root, "account", field="industry", cmp="eq", value="Technology") == 12
    assert imports.count(root, "account", field="industry", cmp="eq", value="technolgy") == 0
    dry = imports.run(root, "deal", reference("maven_crm/sales_pipeline.csv"), dry_run=True)
    columns = {column.header: column for column in runs.plan_of(dry).columns}
    assert dict(columns["product"].values) == {"GTXPro": "GTX Pro"}
    assert runs.plan_of(dry).dropped == ("engage_quarter", "close_quarter")
    assert dry.report["check"]["outcomes"] == {"created": 8800, "updated": 0, "unchanged": 0, "rejected": 0}
    assert dry.report["check"]["linked"] == {"stage": {"count": 1, "names": ["Engaging"]}}
    assert imports.count(root, "deal") == 0


def test_accounts_know_their_parents_and_their_revenue(maven, imports):
    root = maven["root"]
    rows = {
        row["name"]: row for row in imports.find(root, "account", ("name", "parent_id", "revenue_minor", "founded_year", "country"))
    }
    assert rows["Acme Corporation"]["revenue_minor"] == 1_100_040_000_00
    assert rows["Acme Corporation"]["founded_year"] == 1996
    assert rows["Bluth Company"]["parent_id.title"] == "Acme Corporation"
    assert sum(row["parent_id"] is not None for row in rows.values()) == 15


def test_sales_teams_become_people_with_managers_in_offices(maven):
    with read_session() as session:
        people = session.execute(
            text("select count(*) from app_user where email like '%@imported.example' and password_hash is null and is_active")
        ).scalar()
        teams = dict(
            session.execute(
                text(
                    "select t.name, count(*) from app_user u join team t on t.id = u.team_id where u.email like '%imported%' group by t.name"
                )
            )
            .tuples()
            .all()
        )
        roles = dict(
            session.execute(
                text(
                    "select r.key, count(*) from user_role ur join role r on r.id = ur.role_id join app_user u on u.id = ur.user_id where u.email like '%imported%' group by r.key"
                )
            )
            .tuples()
            .all()
        )
        below = session.execute(
            text(
                "select count(*) from user_closure c join app_user u on u.id = c.ancestor_id where u.name = 'Dustin Brinkmann' and c.depth = 1"
            )
        ).scalar()
    assert people == 35 + 6
    assert teams == {"Central": 11 + 2, "East": 12 + 2, "West": 12 + 2}
    assert roles == {"sales_rep": 35, "manager": 6}
    assert below == 5


@pytest.mark.slow
def test_2240_customers_come_with_their_traits_as_typed_filterable_fields(any_cast, imports, reference):
    root = any_cast["root"]
    run = imports.run(
        root,
        "contact",
        reference("marketing_campaign_ifood.csv"),
        mapping={
            "Education": "new",
            "Marital_Status": "new",
            "Year_Birth": "new",
            "Income": "new",
            "Kidhome": "new",
            "Teenhome": "new",
            "Dt_Customer": "new",
        },
    )
    assert imports.counts(run) == {"created": 2240, "updated": 0, "unchanged": 0, "rejected": 0}
    fields = ("x_education", "x_marital_status", "x_year_birth", "x_income", "x_kidhome", "x_dt_customer")
    row = imports.find(root, "contact", ("name", *fields), field="x_id", cmp="eq", value="5524")[0]
    assert [str(row[key]) for key in ("name", *fields)] == [
        "Contact 5524",
        "Graduation",
        "Single",
        "1957",
        "5813800",
        "0",
        "2012-09-04",
    ]
    for leaf, expected in [
        ({"field": "x_education", "cmp": "eq", "value": "PhD"}, 486),
        ({"field": "x_marital_status", "cmp": "in", "value": ["YOLO", "Absurd"]}, 4),
        ({"field": "x_income", "cmp": "empty"}, 24),
        ({"field": "x_income", "cmp": "ge", "value": "600000"}, 1),
        ({"field": "x_year_birth", "cmp": "lt", "value": 1910}, 3),
        ({"field": "x_kidhome", "cmp": "eq", "value": 2}, 48),
        ({"field": "x_dt_customer", "cmp": "ge", "value": "2014-06-01"}, 74),
    ]:
        assert imports.count(root, "contact", **leaf) == expected, leaf
