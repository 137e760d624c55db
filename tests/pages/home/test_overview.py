"""The overview: every role, an empty workspace, periods and areas in the address, numbers that equal their lists."""

import json
import re
from datetime import timedelta
from urllib.parse import parse_qs

import pytest
from sqlmodel import select
from streamlit.testing.v1 import AppTest

from crm_core import lists
from crm_core.access import load as load_actor
from crm_core.db import read_session, write_session
from crm_core.entities import RECORDS, entity
from crm_core.kit import clock
from crm_core.lists import ListQuery
from crm_core.models import Deal, RoleFieldMask, RolePermission, Stage
from crm_core.services.admin import sessions
from crm_core.services.analytics import metrics
from crm_core.vocabulary import Action, SigninMethod, StageKind
from tests.crm_core.services.analytics.company import fill
from tests.pages.app import ROOT, words
from ui import cache
from ui.navigation import screen_of

LABELS = {"sales": "Sales", "marketing": "Leads and marketing", "orders": "Orders", "service": "Service"}


def open_screen(actor, url, **params):
    """The screen as the first thing that this tab opens, so that its choices come from the address alone."""
    with write_session() as session:
        found = sessions.lookup(session, sessions.start(session, actor.user_id, SigninMethod.LOCAL))
    app = AppTest.from_file(str(ROOT / "ui" / "main.py"), default_timeout=60)
    app.user = {"id": str(actor.user_id), "sid": str(found.session_id), "is_logged_in": True}
    for name, value in params.items():
        app.query_params[name] = value
    app.switch_page(f"../pages/{screen_of(url).path}")
    return app.run()


@pytest.fixture(autouse=True)
def nothing_remembered():
    """Every test has a database of its own, while the cache of figures lives as long as the process."""
    cache.clear()


def labels(app):
    return [metric.label for metric in app.metric]


@pytest.mark.parametrize("who", ["root", "bob", "alice", "charlie", "dana", "sam", "ana"])
def test_an_empty_workspace_says_what_to_do_for_every_role(cast, who):
    app = open_screen(cast[who], "overview")
    assert not app.exception and not app.error
    assert "No figures yet" in words(app)
    assert not app.metric


NOTHING_TO_SHOW = ("acquisition_cost",)
"""A card for those alone who have it: no deal of this company names an account, so nobody became a customer."""


@pytest.mark.parametrize("who", ["root", "bob", "alice", "charlie", "dana", "sam", "ana"])
def test_each_role_gets_the_figures_of_each_of_its_areas(cast, who):
    fill(cast, 31, size=60)
    actor = cast[who]
    for area in metrics.areas(actor):
        app = open_screen(actor, "overview", area=LABELS[area], period="All")
        assert not app.exception and not app.error
        assert labels(app) == [
            metric.label for metric in metrics.offered(actor, area) if metric.card != "never" and metric.key not in NOTHING_TO_SHOW
        ]
        told = numbers_with_lists(app)
        assert told, area
        with read_session() as session:
            for number, entity_key, ast in told:
                assert lists.count(session, actor, entity_key, ListQuery(filter=ast)) == number, (who, area, entity_key, ast)


def numbers_with_lists(app):
    """What each link to a list promises: (how many, of what kind, filter)."""
    found = []
    for link in app.get("page_link"):
        asked, label = parse_qs(link.proto.query_string), link.proto.label.replace("\\", "")
        if "f" in asked and (number := re.match(r"[\d,]+(?= )", label)):
            kind = next(key for key in RECORDS if entity(key).address == link.proto.page)
            found.append((int(number[0].replace(",", "")), kind, json.loads(asked["f"][0])))
    return found


def test_who_looks_first_at_what(cast):
    fill(cast, 32, size=40)
    first = {who: labels(open_screen(cast[who], "overview"))[0] for who in ("alice", "dana", "sam")}
    assert first == {"alice": "Revenue won", "dana": "New leads", "sam": "Open tickets"}


def test_the_number_the_list_behind_it_and_the_address_say_the_same(cast):
    with write_session() as session:
        stages = {stage.kind: stage for stage in session.exec(select(Stage))}
        today = clock.today()
        for days, kind, amount in (
            (1, StageKind.WON, 123_45),
            (2, StageKind.LOST, 9_99),
            (40, StageKind.WON, 500_00),
            (3, StageKind.OPEN, 7_00),
        ):
            session.add(deal(stages[kind], cast["alice"], today - timedelta(days=days), amount))
    app = open_screen(cast["alice"], "overview", period="30D", against="No comparison")
    shown = {metric.label: metric.value for metric in app.metric}
    assert (shown["Revenue won"], shown["Open pipeline"], shown["Win rate"]) == ("$123", "$7", "50%")
    assert "Exactly: $123.45" in words(app)
    assert "95% interval 9.5% to 90.5%" in words(app)
    with read_session() as session:
        for figure, label, count, total in (
            ("Revenue won", "1 deal", 1, 123_45),
            ("Win rate", "2 deals", 2, 133_44),
            ("Open pipeline", "1 deal", 1, 7_00),
        ):
            shown_label, ast = card_links(app)[figure]
            assert shown_label == label
            assert lists.totals(session, cast["alice"], "deal", ListQuery(filter=ast)) == (count, {"amount_minor": total})


def card_links(app):
    """The links to lists in the cards, by figure: (label, filter). The cards come first on the page, one link in each."""
    found = [link for link in app.get("page_link") if "f" in parse_qs(link.proto.query_string)]
    return {
        metric.label: (link.proto.label.replace("\\", ""), json.loads(parse_qs(link.proto.query_string)["f"][0]))
        for metric, link in zip(app.metric, found, strict=False)
    }


def deal(stage, owner, day, amount, **more):
    closed = day if stage.kind is not StageKind.OPEN else None
    given = {"pipeline_id": stage.pipeline_id, "stage_id": stage.id, "outcome": stage.kind, "owner_id": owner.user_id}
    return Deal(name="d", **given, amount_minor=amount, created_on=day, closed_on=closed, stage_since=clock.utcnow(), **more)


def test_a_period_without_records_says_where_they_are_and_offers_them(cast):
    with write_session() as session:
        won = session.exec(select(Stage).where(Stage.kind == StageKind.WON)).first()
        session.add(deal(won, cast["alice"], clock.today() - timedelta(days=2_000), 5_00))
    app = open_screen(cast["alice"], "overview")
    assert "Nothing in this period. The records are from" in words(app)
    app.button(key="show_all_time").click().run()
    assert not app.exception
    assert {metric.label: metric.value for metric in app.metric}["Revenue won"] == "$5"
    assert "Nothing in this period" not in words(app)


def test_another_owner_and_an_impossible_address_are_taken_calmly(cast):
    fill(cast, 33, size=60)
    for broken in (
        {"period": "Yesterday"},
        {"area": "Weather"},
        {"owner": "999999"},
        {"pipeline": "x"},
        {"days": "zzz", "period": "Custom"},
    ):
        app = open_screen(cast["root"], "overview", **broken)
        assert not app.exception and not app.error, broken
        assert app.metric
    alone = open_screen(cast["root"], "overview", owner="Alice Rep", period="All")
    whole = open_screen(cast["alice"], "overview", period="All")
    assert [m.value for m in alone.metric] == [m.value for m in whole.metric]


def test_a_masked_amount_is_nowhere_on_the_page(cast):
    with write_session() as session:
        won = session.exec(select(Stage).where(Stage.kind == StageKind.WON)).first()
        session.add(deal(won, cast["alice"], clock.today(), 777_77))
        role = session.exec(
            select(RolePermission.role_id).where(RolePermission.entity == "deal", RolePermission.action == Action.READ)
        ).all()
        session.add_all(RoleFieldMask(role_id=role_id, entity="deal", field_key="amount_minor") for role_id in set(role))
    with read_session() as session:
        alice = load_actor(session, cast["alice"].user_id)
    app = open_screen(alice, "overview", period="All")
    assert not app.exception and not app.error
    assert "777" not in words(app)
    assert "Your role hides a field of deals" in words(app)


def test_names_that_mean_harm_stay_letters_on_the_overview(cast):
    evil = "![x](http://e/i.png) <b>x</b> :red[y]"
    with write_session() as session:
        opened = session.exec(select(Stage).where(Stage.kind == StageKind.OPEN)).first()
        won = session.exec(select(Stage).where(Stage.kind == StageKind.WON)).first()
        session.add(deal(won, cast["alice"], clock.today(), 100, source=evil))
        session.add(deal(opened, cast["alice"], clock.today(), 100, expected_close_on=clock.today(), source=evil))
    app = open_screen(cast["root"], "overview", split_sales="Revenue by source")
    assert not app.exception
    for element in (*app.markdown, *app.caption):
        assert "](http" not in element.value
    assert "&lt;b&gt;" in "".join(str(chart.proto) for chart in app.get("plotly_chart"))


def test_the_stages_open_when_asked_and_tell_what_became_of_their_deals(cast):
    fill(cast, 33, size=40)
    folded = open_screen(cast["bob"], "overview", period="All")
    assert "Through the stages" not in words(folded)
    app = open_screen(cast["bob"], "overview", period="All", stages_open="true")
    assert not app.exception and not app.error
    assert "Through the stages" in words(app) and "Sales velocity" in words(app)
