"""Pipelines and stages: what deals stand on can't be pulled away."""

from dataclasses import replace

import pytest

from crm_core.db import read_session
from crm_core.errors import Conflict, Invalid, NotPermitted
from crm_core.services.admin import pipelines
from crm_core.services.sales import deals
from crm_core.vocabulary import StageKind
from tests.verbs import do


def first(actor):
    with read_session() as session:
        return pipelines.find(session, actor)[0]


def test_stages_are_renamed_swapped_and_added_in_one_save(any_cast):
    root = any_cast["root"]
    before = first(root)
    a, b, *rest = before.stages
    new = pipelines.StageRow(None, "Demo", StageKind.OPEN, 40, 7, a.forecast_category)
    do(
        pipelines.set_stages,
        root,
        before.id,
        [replace(a, name=b.name), replace(b, name=a.name), new, *rest],
        base_version=before.version,
    )
    assert [stage.name for stage in first(root).stages][:3] == [b.name, a.name, "Demo"]
    with pytest.raises(Conflict):
        do(pipelines.set_stages, root, before.id, before.stages, base_version=before.version)


def test_a_new_probability_reaches_open_deals_unless_theirs_was_set_by_hand(any_cast):
    root = any_cast["root"]
    follows, own = (do(deals.create, root, {"name": name}) for name in ("follows", "own"))
    do(deals.update, root, own.id, {"probability_pct": 77})
    pipeline = first(root)
    stages = [replace(pipeline.stages[0], probability_pct=15), *pipeline.stages[1:]]
    do(pipelines.set_stages, root, pipeline.id, stages)
    with read_session() as session:
        assert [deals.get(session, root, deal.id).probability_pct for deal in (follows, own)] == [15, 77]


def test_a_stage_with_deals_or_history_stays_and_keeps_its_meaning(any_cast):
    root = any_cast["root"]
    deal = do(deals.create, root, {"name": "d"})
    pipeline = first(root)
    with pytest.raises(Conflict, match="Move them first"):
        do(pipelines.set_stages, root, pipeline.id, pipeline.stages[1:])
    with pytest.raises(Conflict, match="can't change"):
        do(pipelines.set_stages, root, pipeline.id, [replace(pipeline.stages[0], kind=StageKind.WON), *pipeline.stages[1:]])
    do(deals.move, root, deal.id, pipeline.stages[1].id)
    with pytest.raises(Conflict, match="history"):
        do(pipelines.set_stages, root, pipeline.id, pipeline.stages[1:])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s[:-1], "Lost"),
        (lambda s: [replace(s[0], name="Won"), *s[1:]], "same name"),
        (lambda s: [replace(s[0], name=" "), *s[1:]], "name"),
        (lambda s: [replace(s[0], probability_pct=101), *s[1:]], "between 0 and 100"),
        (lambda s: [replace(s[0], id=999), *s[1:]], "another pipeline"),
    ],
)
def test_contradictions_are_said(cast, change, words):
    pipeline = first(cast["root"])
    with pytest.raises(Invalid, match=words):
        do(pipelines.set_stages, cast["root"], pipeline.id, change(list(pipeline.stages)))


def test_one_pipeline_stays_the_default(cast):
    root = cast["root"]
    old = first(root)
    new = do(pipelines.create, root, "Partners")
    with pytest.raises(Invalid, match="default"):
        do(pipelines.update_pipeline, root, old.id, name="Sales", is_default=False, is_active=True)
    do(pipelines.update_pipeline, root, new.id, name="Partners", is_default=True, is_active=True)
    with read_session() as session:
        assert [row.is_default for row in pipelines.find(session, root)] == [True, False]


def test_only_administrators_change_pipelines(cast):
    for who in ("bob", "alice", "ana"):
        with pytest.raises(NotPermitted):
            do(pipelines.create, cast[who], "Mine")
