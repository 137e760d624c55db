"""Tiles: the same number by every way of counting, equal to the list behind it; past days; reports; what must be refused."""

import pytest

from crm_core import lists
from crm_core.db import read_session
from crm_core.kit import clock
from crm_core.lists import ListQuery
from crm_core.services.analytics import metrics, tiles
from crm_core.services.analytics.metric_rules import METRICS
from crm_core.services.analytics.tiles import Look
from crm_core.vocabulary import Action, PeriodPreset, TileKind
from tests.crm_core.services.analytics.company import NOW, fill

PEOPLE = ("root", "bob", "alice", "charlie", "dana", "sam", "ana")


@pytest.fixture
def company(cast):
    with clock.frozen(NOW):
        fill(cast, 5, size=160)
        yield cast


def everything(entity_key):
    """A filter that all records pass: the tile then takes the way by the records instead of the quick one."""
    field = {"deal": "amount_minor", "lead": "status_id", "order": "total_minor", "ticket": "opened_at", "campaign": "name"}[
        entity_key
    ]
    return {"op": "and", "items": [{"op": "or", "items": [{"field": field, "cmp": "empty"}, {"field": field, "cmp": "not_empty"}]}]}


def look(session, actor, preset=PeriodPreset.MONTHS_12, **more):
    return Look(metrics.select(session, actor, preset, **more))


def figure(session, actor, metric, seen, **spec):
    return tiles.evaluate(session, actor, TileKind.FIGURE, {"metric": metric, **spec}, seen)


@pytest.mark.parametrize("preset", [PeriodPreset.MONTHS_12, PeriodPreset.DAYS_30, PeriodPreset.ALL])
def test_counting_the_records_gives_what_the_quick_way_gives_for_every_figure_and_person(company, preset):
    with read_session() as session:
        for who in PEOPLE:
            actor = company[who]
            seen = look(session, actor, preset)
            for key, metric in METRICS.items():
                if not actor.can(metric.entity, Action.READ) or key == "campaign_return":
                    continue
                quick = figure(session, actor, key, seen)
                slow = figure(session, actor, key, seen, filter=everything(metric.entity))
                assert slow.reason == quick.reason == "", (who, key, slow.reason)
                if quick.figure is None:
                    continue
                assert slow.figure.value == quick.figure.value, (who, key)
                assert slow.figure.cases == quick.figure.cases and slow.figure.before == quick.figure.before, (who, key)
                assert [p.value for p in slow.figure.points] == [p.value for p in quick.figure.points], (who, key)
                for by in metric.breakdowns:
                    a = figure(session, actor, key, seen, by=by)
                    b = figure(session, actor, key, seen, by=by, filter=everything(metric.entity))
                    assert [(p.label, p.value, p.cases) for p in a.parts] == [(p.label, p.value, p.cases) for p in b.parts], (
                        who,
                        key,
                        by,
                    )


def test_every_group_by_every_field_has_as_many_cases_as_its_list(company):
    from crm_core.services.analytics import dimensions

    with read_session() as session:
        actor = company["bob"]
        seen = look(session, actor, PeriodPreset.ALL)
        checked = 0
        for key in ("revenue_won", "open_pipeline", "new_leads", "order_revenue", "open_tickets"):
            metric = METRICS[key]
            for path in dimensions.find(session, actor, metric.entity):
                found = figure(session, actor, key, seen, by=path, filter=everything(metric.entity))
                assert not found.reason
                for part in found.parts:
                    query = ListQuery(filter=part.filter)
                    assert lists.count(session, actor, metric.entity, query) == part.cases, (key, path, part.label)
                    checked += 1
        assert checked > 50
