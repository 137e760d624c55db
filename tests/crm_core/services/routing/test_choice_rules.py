"""Whose turn it is: exact turns, fair weights, the fewest open, the most capable; success that is pulled towards the mean."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_core.services.routing.choice_rules import WHY_NOT, Candidate, choose, shrink, territory_of, turn
from crm_core.vocabulary import RouteMethod

AT = datetime(2026, 6, 1, 8, tzinfo=UTC)
QUIETLY = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
WEIGHTS = st.dictionaries(st.integers(1, 40), st.integers(1, 9), min_size=1, max_size=8)


def deal_out(members, turns, state=None):
    state, got = dict(state or {}), []
    for _ in range(turns):
        user_id, state = turn(members, state)
        got.append(user_id)
    return got, state


@QUIETLY
@given(WEIGHTS, st.integers(0, 200))
def test_every_round_gives_everybody_exactly_their_weight(members, ahead):
    _, state = deal_out(members, ahead)
    got, _ = deal_out(members, sum(members.values()), state)
    assert Counter(got) == Counter(members)


@QUIETLY
@given(WEIGHTS, st.integers(1, 120))
def test_at_every_moment_nobody_is_a_whole_turn_from_their_share(members, turns):
    got, _ = deal_out(members, turns)
    total = sum(members.values())
    for user_id, weight in members.items():
        assert abs(got.count(user_id) - turns * weight / total) < len(members)


@QUIETLY
@given(WEIGHTS, st.lists(st.sets(st.integers(0, 7), max_size=6), max_size=60))
def test_who_was_away_does_not_catch_up(members, absences):
    names, state = sorted(members), {}
    for gone in absences:
        free = {user_id: members[user_id] for at, user_id in enumerate(names) if at not in gone}
        chosen, state = turn(free, state)
        assert chosen in free if free else chosen is None
    got, _ = deal_out(members, 3 * sum(members.values()), state)
    assert all(abs(got.count(user_id) - 3 * weight) <= 2 * weight + len(members) for user_id, weight in members.items())


def test_turns_of_equals_go_round_in_order():
    assert deal_out({3: 1, 1: 1, 2: 1}, 7)[0] == [1, 2, 3, 1, 2, 3, 1]
    assert deal_out({1: 2, 2: 1}, 6)[0] == [1, 2, 1, 1, 2, 1]


@pytest.mark.parametrize("method", list(RouteMethod))
@pytest.mark.parametrize("why_not", list(WHY_NOT))
def test_no_method_gives_work_to_who_is_not_free(method, why_not):
    busy, free = Candidate(1, why_not=why_not, weight=9), Candidate(2, load=50)
    assert choose(method, [busy, free], {}).user_id == 2
    nobody = choose(method, [busy], {"1": 3})
    assert nobody.user_id is None
    assert nobody.state == {"1": 3}
    assert choose(method, [], {}).user_id is None


def test_the_fewest_open_and_among_equals_who_waited_longest():
    people = [
        Candidate(1, load=3, last_at=AT),
        Candidate(2, load=2, last_at=AT),
        Candidate(3, load=2, last_at=AT - timedelta(hours=1)),
    ]
    assert choose(RouteMethod.LEAST, people, {}).user_id == 3


def test_the_most_capable_weighs_skill_success_and_room():
    skilled = Candidate(1, skill=5, success=0.6, load=9, capacity=10)
    idle = Candidate(2, skill=3, success=0.7, load=0, capacity=10)
    assert choose(RouteMethod.CAPABLE, [skilled, idle], {}).user_id == 2  # 0.70 against 0.71
    found = choose(RouteMethod.CAPABLE, [skilled, idle], {}, {"skill": 1, "success": 0, "room": 0})
    assert found.user_id == 1
    assert found.candidates[0].score == 1.0


def test_success_is_pulled_towards_the_mean_of_all_by_how_little_is_known():
    found = shrink({1: (3, 3), 2: (180, 300), 3: (0, 0)})
    mean = 183 / 303
    assert found[3] == pytest.approx(mean)
    assert mean < found[1] < 0.95
    assert abs(found[2] - 0.6) < 0.02
    assert shrink({1: (0, 0), 2: (0, 0)}) == {1: 0.5, 2: 0.5}
    apart = shrink({1: (95, 100), 2: (20, 100), 3: (50, 100)})
    assert abs(apart[1] - 0.95) < 0.03, "people who differ for certain are hardly pulled"


def test_territories_match_texts_beginnings_and_the_rest():
    rows = [
        {"values": ["80*", "81*"], "user_id": 1},
        {"values": ["8012", "*"], "user_id": 2},
        {"values": ["Germany"], "user_id": 3},
    ]
    assert territory_of(rows, "80333") == [1]
    assert territory_of(rows, "8012") == [2]
    assert territory_of(rows, " germany ") == [3]
    assert territory_of(rows, None) == [2]
    assert territory_of([], "x") == []
