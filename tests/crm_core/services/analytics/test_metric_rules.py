"""The registry: every figure has its words, its filter and its page; the arithmetic on counted facts."""

from pathlib import Path
from statistics import median as plain_median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_core.entities import ENTITIES
from crm_core.fields import builtin
from crm_core.kit.counted import Counted
from crm_core.services.analytics import metric_pages
from crm_core.services.analytics.attention import REMINDERS
from crm_core.services.analytics.breakdowns import _LOADERS, Part, towering
from crm_core.services.analytics.metric_rules import AREAS, METRICS, Facts, list_filter, median, ninetieth, ratio_minor, total
from crm_core.services.analytics.periods import Period
from ui.components.kpi_cards import ICONS

DOCS = Path(__file__).parents[4] / "docs" / "metrics.md"


def test_the_page_of_definitions_is_that_of_the_registry():
    assert DOCS.read_text(encoding="utf-8") == metric_pages.page()


def test_each_figure_and_reminder_stands_on_the_page_with_its_formula():
    page = DOCS.read_text(encoding="utf-8")
    for metric in METRICS.values():
        assert f"### {metric.label}\n" in page
        assert metric.formula in page and metric.note in page
    assert all(reminder.why.lower() in page for reminder in REMINDERS.values())


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.key)
def test_a_definition_is_complete_and_names_fields_that_exist(metric):
    assert metric.area in AREAS and metric.entity in ENTITIES and metric.key in ICONS
    assert metric.formula.endswith(".") and metric.note.endswith(".")
    assert metric.better in ("up", "down", "")
    assert metric.missing or metric.value(Facts()) == 0
    assert all(column in builtin(metric.entity) for column in metric.breakdowns)
    assert all(column in builtin(entity) for entity, column in metric.needs)
    assert bool(metric.breakdowns) == (metric.key in _LOADERS)
    filters = list_filter(metric, Period(), owner_id=1, pipeline_id=2)
    assert len(filters["items"]) >= 2


@given(st.lists(st.integers(-50, 50), max_size=60))
def test_the_median_of_counted_values_is_the_plain_median(values):
    assert median(Counted(values)) == (plain_median(values) if values else None)


@given(st.lists(st.integers(-50, 50), max_size=60))
def test_the_ninetieth_percentile_of_counted_values_is_that_of_numpy(values):
    found = ninetieth(Counted(values))
    assert found == (pytest.approx(np.quantile(values, 0.9), abs=1e-9) if values else None)


def test_an_average_is_rounded_once_half_to_even_and_never_through_floats():
    assert [ratio_minor(5, 2), ratio_minor(7, 2), ratio_minor(9_000_000_000_000_001, 1), ratio_minor(1, 0)] == [
        2,
        4,
        9_000_000_000_000_001,
        None,
    ]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 10**15), st.integers(0, 5)), max_size=8), st.integers(0, 8))
def test_facts_of_parts_add_up_in_any_split(parts, cut):
    facts = [Facts(won=won, won_minor=minor, cycle_days=Counted([days] * won)) for won, minor, days in parts]
    assert total([total(facts[:cut]), total(facts[cut:])]) == total(facts)


def test_a_sum_of_others_that_would_dwarf_the_groups_is_told_instead_of_drawn():
    def group(label, value, rest=False):
        return Part(label, label, value, 1, {}, rest=rest)

    groups = [group("Ada", 300), group("Ben", 200)]
    assert towering([*groups, group("51 others", 9_000, rest=True)]).label == "51 others"
    assert towering([*groups, group("2 others", 500, rest=True)]) is None
    assert towering(groups) is None and towering([]) is None
