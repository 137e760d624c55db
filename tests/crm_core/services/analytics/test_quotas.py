"""Quotas: who sets them for whom, two editors, nothing twice."""

from datetime import date

import pytest

from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, Invalid, NotPermitted
from crm_core.services.analytics import quotas
from crm_core.services.analytics.periods import Period
from crm_core.services.analytics.quotas import Change

JAN, FEB = date(2026, 1, 1), date(2026, 2, 1)
QUARTER = Period(JAN, date(2026, 3, 31))


def save(actor, *changes):
    with write_session() as session:
        return quotas.save(session, actor, [Change(*change) for change in changes])


def shown(actor):
    with read_session() as session:
        return {row.name: (row.amounts, row.editable) for row in quotas.find(session, actor, [JAN, FEB])}


def test_a_manager_sets_quotas_for_the_team_and_each_sees_what_is_theirs_to_see(cast):
    alice, bob, charlie = (cast[who].user_id for who in ("alice", "bob", "charlie"))
    assert save(cast["bob"], (alice, JAN, None, 500_00), (alice, FEB, None, 700_00), (bob, JAN, None, 100_00)) == 3
    assert save(cast["root"], (charlie, JAN, None, 900_00)) == 1
    assert shown(cast["alice"]) == {"Alice Rep": ((500_00, 700_00), False)}
    assert shown(cast["bob"]) == {"Alice Rep": ((500_00, 700_00), True), "Bob Manager": ((100_00, None), True)}
    assert set(shown(cast["root"])) == {"Alice Rep", "Bob Manager", "Charlie Rep", "Root"}
    with read_session() as session:
        totals = {who: quotas.total(session, cast[who], QUARTER) for who in ("alice", "bob", "charlie", "root", "ana")}
        assert totals == {"alice": 1_200_00, "bob": 1_300_00, "charlie": 900_00, "root": 2_200_00, "ana": 2_200_00}
        assert quotas.total(session, cast["bob"], QUARTER, owner_id=charlie) is None


def test_saving_twice_changes_nothing_and_an_amount_can_be_cleared(cast):
    alice = cast["alice"].user_id
    assert save(cast["bob"], (alice, JAN, None, 5)) == 1
    assert save(cast["bob"], (alice, JAN, None, 5)) == 0
    assert save(cast["bob"], (alice, JAN, 5, None)) == 1
    assert shown(cast["alice"]) == {"Alice Rep": ((None, None), False)}


def test_a_cell_that_somebody_else_changed_is_a_conflict_and_nothing_of_the_grid_is_saved(cast):
    alice = cast["alice"].user_id
    save(cast["bob"], (alice, JAN, None, 5))
    save(cast["root"], (alice, JAN, 5, 6))
    with pytest.raises(Conflict, match="meanwhile"):
        save(cast["bob"], (alice, FEB, None, 9), (alice, JAN, 5, 7))
    assert shown(cast["alice"]) == {"Alice Rep": ((6, None), False)}


def test_what_cannot_be_a_quota_or_is_not_below_oneself_is_refused(cast):
    alice, charlie = cast["alice"].user_id, cast["charlie"].user_id
    for change in (
        (alice, date(2026, 1, 2), None, 5),
        (alice, JAN, None, -1),
        (alice, JAN, None, 10**17),
        (charlie, JAN, None, 5),
        (999, JAN, None, 5),
    ):
        with pytest.raises(Invalid):
            save(cast["bob"], change)
    for who in ("alice", "dana", "ana", "sam"):
        with pytest.raises(NotPermitted):
            save(cast[who], (alice, JAN, None, 5))
    with pytest.raises(NotPermitted), read_session() as session:
        quotas.find(session, cast["dana"], [JAN])
