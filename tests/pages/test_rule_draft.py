"""The tree of a rule being edited: there and back without loss, and moving things about."""

from hypothesis import given
from hypothesis import strategies as st

from ui.components.rule_draft import (
    Numbers,
    draft_of,
    duplicate,
    groups,
    home_of,
    lift,
    remove,
    rule_of,
    shift,
    unfinished,
    unwrap,
    wrap,
)

LEAF = st.sampled_from(
    [
        {"field": "city", "cmp": "eq", "value": "Berlin"},
        {"field": "email", "cmp": "empty"},
        {"agg": "count", "rel": "orders", "where": {"field": "ordered_at", "cmp": "ge", "value": "-90d"}, "cmp": "ge", "value": 3},
        {"agg": "sum", "rel": "deals", "field": "amount_minor", "cmp": "lt", "value": 5},
        {"segment": 7, "cmp": "not_in"},
        {"segment": 7, "cmp": "in", "on": "account"},
        {"mark": "persona", "cmp": "in", "value": ["A"]},
        {"mark": "churn_risk", "cmp": "ge", "value": 0.5},
        {"event": "deal.won", "within": "-30d", "cmp": "ge", "value": 1},
    ]
)
NODE = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"op": st.sampled_from(["and", "or"]), "items": st.lists(inner, min_size=2, max_size=3)}),
        st.fixed_dictionaries({"op": st.just("not"), "items": st.lists(inner, min_size=1, max_size=1)}),
    ),
    max_leaves=6,
)


def same(rule):
    """A rule in the one way in which the editor writes it: a group of one is its item, not(x) and not(or(x)) are the same."""
    return rule_of(draft_of(rule, Numbers()))


@given(NODE)
def test_there_and_back_again_loses_nothing(rule):
    once = same(rule)
    assert same(once) == once
    assert str(sorted(_leaves(once))) == str(sorted(_leaves(rule)))


def _leaves(rule):
    return [leaf for item in rule["items"] for leaf in _leaves(item)] if "op" in rule else [str(sorted(rule.items()))]


def tree(*items, op="and"):
    numbers = Numbers()
    root = draft_of({"op": op, "items": list(items)}, numbers)
    return root, numbers


A, B, C = ({"field": name, "cmp": "empty"} for name in "abc")


def test_moving_negating_grouping_and_copying():
    root, numbers = tree(A, B, C)
    first, second, third = (item["n"] for item in root["items"])
    shift(root, first, 1)
    assert rule_of(root) == {"op": "and", "items": [B, A, C]}
    shift(root, third, 9)
    wrap(root, third, "none", numbers)
    assert rule_of(root) == {"op": "and", "items": [B, A, {"op": "not", "items": [C]}]}
    lift(root, third)
    assert rule_of(root) == {"op": "and", "items": [B, A, C]}, "the empty group is gone"
    duplicate(root, second, numbers)
    assert rule_of(root)["items"][:2] == [B, B]
    assert len({item["n"] for item in root["items"]}) == 4
    remove(root, second)
    wrap(root, first, "or", numbers)
    unwrap(root, home_of(root, first)[0]["n"])
    assert rule_of(root) == {"op": "and", "items": [B, A, C]}
    lift(root, first)
    assert len(list(groups(root))) == 1


def test_none_of_several_means_not_any_of_them():
    root, _numbers = tree(A, B, op="or")
    root["op"] = "none"
    rule = rule_of(root)
    assert rule == {"op": "not", "items": [{"op": "or", "items": [A, B]}]}
    assert draft_of(rule, Numbers())["op"] == "none"
    assert same({"op": "not", "items": [A, B]}) == {"op": "not", "items": [{"op": "and", "items": [A, B]}]}


def test_what_is_unfinished_is_left_out_and_counted():
    root, _numbers = tree(A)
    root["items"] += [{"n": 50, "what": None}, {"n": 51, "what": "field:city", "cmp": "eq", "value": ""}]
    root["items"].append({"n": 52, "what": "score:churn_risk", "cmp": "between", "value": [1, None]})
    assert rule_of(root) == A and unfinished(root) == 3
