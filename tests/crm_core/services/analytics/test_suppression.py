"""Small groups on shared pages: hidden, and not to be worked out from what is left."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_core.services.analytics import suppression
from crm_core.services.analytics.breakdowns import Part
from crm_core.services.analytics.metrics import Figure
from crm_core.services.analytics.suppression_rules import FLOOR, hidden, hidden_cells
from crm_core.services.analytics.tiles import Tile
from crm_core.vocabulary import TileKind

COUNTS = st.lists(st.integers(0, 30), min_size=0, max_size=8)


@pytest.mark.parametrize(
    ("cases", "expected"),
    [
        ([10, 20, 30], set()),
        ([10, 20, 3], {2, 0}),  # alone it would be the total minus the others
        ([10, 2, 2], {1, 2, 0}),  # together they are four
        ([10, 3, 3], {1, 2}),
        ([4], {0}),
        ([0, 0, 7], set()),
        ([0, 1, 7], {1, 2}),
        ([], set()),
    ],
)
def test_the_smallest_neighbour_goes_along_until_nothing_can_be_worked_out(cases, expected):
    assert hidden(cases) == expected


@given(COUNTS)
def test_no_small_group_is_shown_and_none_follows_from_the_total(cases):
    gone = hidden(cases)
    assert not any(0 < count < FLOOR for n, count in enumerate(cases) if n not in gone)
    together = sum(cases[n] for n in gone)
    shown = [n for n in range(len(cases)) if n not in gone and cases[n] > 0]
    assert not gone or not shown or (len(gone) >= 2 and together >= FLOOR)


@given(st.integers(1, 5).flatmap(lambda width: st.lists(st.lists(st.integers(0, 20), min_size=width, max_size=width), max_size=5)))
def test_no_hidden_cell_stands_alone_in_its_row_or_column(cases):
    gone = hidden_cells(cases)
    assert not any(0 < count < FLOOR and (r, c) not in gone for r, row in enumerate(cases) for c, count in enumerate(row))
    lines = [[(r, c) for c in range(len(row))] for r, row in enumerate(cases)]
    lines += [[(r, c) for r in range(len(cases))] for c in range(len(cases[0]) if cases else 0)]
    for line in lines:
        here = [cell for cell in line if cell in gone]
        shown = [(r, c) for r, c in line if (r, c) not in gone and cases[r][c] > 0]
        assert not here or not shown or (len(here) >= 2 and sum(cases[r][c] for r, c in here) >= FLOOR)


def part(label, cases):
    return Part(label, label, cases * 100, cases, {"op": "and", "items": [{"field": "source", "cmp": "eq", "value": label}]})


def test_hidden_groups_lose_their_names_too_and_what_stays_leads_nowhere():
    tile = Tile(
        TileKind.FIGURE, "bars", "t", "revenue_won", "source", "deal", parts=(part("A", 20), part("B", 9), part("Secret", 1))
    )
    shown = suppression.shielded(tile)
    assert [each.label for each in shown.parts] == ["A"] and shown.suppressed == 2
    assert "Secret" not in repr(shown) and all(not each.filter for each in shown.parts)


def test_a_number_about_few_records_and_a_change_from_few_are_not_shown():
    figure = Figure("revenue_won", 100, 3, {}, before=50, change=50, before_cases=9)
    tile = Tile(TileKind.FIGURE, "number", "t", "revenue_won", "", "deal", figure=figure)
    assert suppression.shielded(tile).figure is None and suppression.shielded(tile).reason == suppression.FEW
    many = replace(tile, figure=replace(figure, cases=30, before_cases=2))
    shown = suppression.shielded(many).figure
    assert shown.value == 100 and shown.before is None and shown.change is None


def test_a_split_by_customers_people_is_not_shown_at_all():
    tile = Tile(TileKind.FIGURE, "bars", "t", "revenue_won", "contact_id", "deal", parts=(part("Ida Berg", 50),))
    assert suppression.shielded(tile).reason == suppression.NAMES
    assert "Ida" not in repr(suppression.shielded(tile))
