"""A table that two people save: the second one is asked, and both answers lead on."""

from types import SimpleNamespace

import pytest

from crm_core.errors import Conflict
from ui.components import rows_clash


class Rerun(Exception):
    pass


@pytest.fixture
def state(monkeypatch):
    """A session without a browser; ``state["answer"]`` is what the person says to the question."""

    def rerun(scope="app"):
        raise Rerun(scope)

    kept: dict = {"answer": ""}
    monkeypatch.setattr(rows_clash, "st", SimpleNamespace(session_state=kept, rerun=rerun))
    monkeypatch.setattr(rows_clash, "hush", lambda: None)
    monkeypatch.setattr(rows_clash, "rows_clash", lambda *_args, **_more: kept["answer"])
    return kept


def words(rows):
    return ", ".join(rows)


def test_the_second_to_save_is_asked_and_mine_answers_what_they_saved(state):
    stored, saw = ["theirs"], []

    def save(seen):
        saw.append(list(seen))
        if seen != stored:
            state["_conflict"] = Conflict("meanwhile", rows=list(stored))
            return None
        return True

    rows_clash.begin("points", ["before"])
    assert not rows_clash.mine_stay("points", "these", words)
    with pytest.raises(Rerun, match="fragment"):
        rows_clash.save_rows("points", save)
    assert rows_clash.grid_of("points").theirs == ["theirs"] and not rows_clash.mine_stay("points", "these", words)
    state["answer"] = "mine"
    assert rows_clash.mine_stay("points", "these", words)
    with pytest.raises(Rerun, match="app"):
        rows_clash.save_rows("points", save)
    assert saw == [["before"], ["theirs"]]


def test_taking_theirs_begins_anew_with_them(state):
    rows_clash.begin("points", ["before"])
    grid = rows_clash.grid_of("points")
    grid.theirs, state["answer"] = ["theirs"], "theirs"
    with pytest.raises(Rerun, match="fragment"):
        rows_clash.mine_stay("points", "these", words)
    again = rows_clash.grid_of("points")
    assert (again.seen, again.theirs) == (["theirs"], None) and again.turn > grid.turn


def test_what_is_refused_for_another_reason_asks_nothing(state):
    rows_clash.begin("points", [])
    state["_conflict"] = None
    rows_clash.save_rows("points", lambda _seen: None)
    assert rows_clash.grid_of("points").theirs is None
