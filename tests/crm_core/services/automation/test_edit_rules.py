"""Changing the steps of a flow: one place at a time, nothing lost, the given flow untouched."""

import random
from copy import deepcopy

from crm_core.services.automation import edit_rules as edit
from crm_core.services.automation import flow_rules

STEPS = [
    {"id": "a", "kind": "task"},
    {"id": "b", "kind": "branch", "if": None, "yes": [{"id": "y1", "kind": "tell"}, {"id": "y2", "kind": "tell"}], "no": []},
    {"id": "c", "kind": "end"},
]


def order(steps):
    """The shape in one line: a b(y1 y2 | ) c"""
    return " ".join(
        one["id"] + (f"({order(one.get('yes') or [])}|{order(one.get('no') or [])})" if one["kind"] == "branch" else "")
        for one in steps
    )


def test_a_step_goes_where_it_was_asked_to_and_to_the_end_when_that_place_is_gone():
    new = {"id": "n", "kind": "tell"}
    before = deepcopy(STEPS)
    for place, shape in (
        (("before", "a"), "n a b(y1 y2|) c"),
        (("after", "y1"), "a b(y1 n y2|) c"),
        (("yes", "b"), "a b(y1 y2 n|) c"),
        (("no", "b"), "a b(y1 y2|n) c"),
        (("end", ""), "a b(y1 y2|) c n"),
        (("after", "gone"), "a b(y1 y2|) c n"),
        (("no", "gone"), "a b(y1 y2|) c n"),
    ):
        assert order(edit.insert(STEPS, place, new)) == shape
    assert before == STEPS


def test_moving_goes_one_place_at_a_time_through_the_arms_of_branches():
    down, steps = [], STEPS
    for _ in range(6):
        steps = edit.move(steps, "a", 1)
        down.append(order(steps))
    assert down == [
        "b(a y1 y2|) c",
        "b(y1 a y2|) c",
        "b(y1 y2 a|) c",
        "b(y1 y2|a) c",
        "b(y1 y2|) a c",
        "b(y1 y2|) c a",
    ]
    assert not edit.may_move(steps, "a", 1) and edit.may_move(steps, "a", -1)
    for shape in [*reversed(down[:-1]), order(STEPS)]:
        steps = edit.move(steps, "a", -1)
        assert order(steps) == shape
    assert not edit.may_move(steps, "a", -1)
    assert order(edit.move(STEPS, "gone", 1)) == order(STEPS)


def test_removing_copying_and_wrapping():
    assert order(edit.remove(STEPS, "y1")) == "a b(y2|) c"
    assert order(edit.remove(STEPS, "b")) == "a c" and edit.remove(STEPS, "gone") == STEPS
    made, name = edit.duplicate(STEPS, "b")
    copy = made[2]
    names = [step["id"] for step, _ in flow_rules.walk(made)]
    assert copy["id"] == name and len(copy["yes"]) == 2 and len(set(names)) == len(names) == 8
    made, name = edit.wrap(STEPS, "c")
    assert made[2]["id"] == name and order(made[2]["yes"]) == "c" and made[2]["no"] == []
    assert order(edit.unwrap(made, name)) == order(STEPS) and order(edit.unwrap(STEPS, "b")) == "a y1 y2 c"
    assert order(edit.unwrap(STEPS, "a")) == order(STEPS)
    assert edit.duplicate(STEPS, "gone") == (STEPS, "") and edit.wrap(STEPS, "gone") == (STEPS, "")


def test_whatever_is_moved_nothing_gets_lost_and_back_is_where_it_was():
    chance = random.Random(7)
    steps = [
        *STEPS,
        {
            "id": "d",
            "kind": "branch",
            "yes": [{"id": "e", "kind": "branch", "yes": [], "no": []}],
            "no": [{"id": "f", "kind": "end"}],
        },
    ]
    names = sorted(step["id"] for step, _ in flow_rules.walk(steps))
    for _ in range(300):
        chosen, by = chance.choice(names), chance.choice((1, -1))
        moved = edit.move(steps, chosen, by)
        assert sorted(step["id"] for step, _ in flow_rules.walk(moved)) == names
        if moved != steps:
            assert edit.move(moved, chosen, -by) == steps
        steps = moved
