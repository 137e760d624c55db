"""A dialog that two people save: different parts are merged, and of the same part it is asked whose stays."""

from types import SimpleNamespace

import pytest

from crm_core.db import read_session, write_session
from crm_core.errors import Conflict
from crm_core.services.collaboration import webhooks
from crm_core.services.helpdesk import macros
from crm_core.services.marketing import lead_forms, lead_sources
from crm_core.services.routing import people, points, queues, rules
from crm_core.services.routing.point_rules import SIGNALS
from crm_core.services.sales import shops
from crm_core.vocabulary import LeadPointKind, RouteMethod
from tests.pages.app import open_screen
from tests.verbs import do, look
from ui.components import assignment_people, assignment_rules, macro_dialogs, parts_clash
from ui.components.parts_clash import Part, columns_of, merged, save_parts


@pytest.mark.parametrize(
    ("seen", "theirs", "mine", "values", "both"),
    [
        ({"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 1, "b": 3}, {"a": 2, "b": 3}, []),
        ({"a": 1}, {"a": 2}, {"a": 3}, {"a": 3}, ["a"]),
        ({"a": 1}, {"a": 2}, {"a": 2}, {"a": 2}, []),
        ({"a": ((1, 2),)}, {"a": [[1, 3]]}, {"a": [[1, 2]]}, {"a": [[1, 3]]}, []),
        ({"a": None}, {"a": "x"}, {"a": ""}, {"a": "x"}, []),
        ({"a": True}, {"a": True}, {"a": False}, {"a": False}, []),
        ({"a": 0}, {"a": 1}, {"a": None}, {"a": None}, ["a"]),
        ({"a": {"field": "x"}}, {"a": {"field": "y"}}, {"a": {"op": "and", "items": [{"field": "x"}]}}, {"a": {"field": "y"}}, []),
    ],
)
def test_each_part_is_as_whoever_changed_it_left_it(seen, theirs, mine, values, both):
    assert merged(seen, theirs, mine) == (values, both)


class Rerun(Exception):
    pass


@pytest.fixture
def state(monkeypatch):
    """A session without a browser; ``state["answer"]`` is what the person chooses to save, None while they think."""

    def rerun(scope="app"):
        raise Rerun(scope)

    kept: dict = {"answer": None}
    monkeypatch.setattr(parts_clash, "st", SimpleNamespace(session_state=kept, rerun=rerun))
    monkeypatch.setattr(parts_clash, "hush", lambda: None)
    monkeypatch.setattr(parts_clash, "_ask", lambda *_args: kept["answer"])
    return kept


class Store:
    """A row of which each save makes a new one; older bases are refused as services do it."""

    def __init__(self, state, **values):
        self.state, self.row = state, SimpleNamespace(version=1, values=values)

    def save(self, values, base):
        if base.version != self.row.version:
            self.state["_conflict"] = Conflict("meanwhile", rows=[self.row])
            return None
        self.row = SimpleNamespace(version=base.version + 1, values=dict(values))
        return True

    def save_parts(self, seen, mine, pressed=True):
        parts = {key: Part(key.title()) for key in mine}
        return save_parts("x", pressed, seen=seen, mine=mine, parts=parts, values_of=lambda row: row.values, save=self.save)


def test_what_two_people_changed_in_different_parts_is_saved_together_and_said(state):
    store = Store(state, a=1, b=1)
    seen = store.row
    store.save({"a": 2, "b": 1}, seen)
    assert store.save_parts(seen, {"a": 1, "b": 3})
    assert store.row.values == {"a": 2, "b": 3}
    assert state["_toasts"] == [("ok", "Kept what somebody else changed meanwhile: A.")] and not parts_clash.clashing("x")


def test_who_changed_the_same_part_is_asked_and_the_answer_is_saved_even_if_a_third_one_saved_something_else(state):
    store = Store(state, a=1, b=1)
    seen = store.row
    store.save({"a": 2, "b": 1}, seen)
    with pytest.raises(Rerun, match="fragment"):
        store.save_parts(seen, {"a": 3, "b": 1})
    assert parts_clash.clashing("x") and store.row.values == {"a": 2, "b": 1}
    assert not store.save_parts(seen, {"a": 3, "b": 1}, pressed=False), "nothing happens while they think"
    store.save({"a": 2, "b": 5}, store.row)
    state["answer"] = {"a": 3, "b": 1}
    assert store.save_parts(seen, {"a": 3, "b": 1}, pressed=False)
    assert store.row.values == {"a": 3, "b": 5} and not parts_clash.clashing("x")


def test_a_refusal_of_another_kind_asks_nothing(state):
    assert not save_parts("x", True, seen=None, mine={"a": 1}, parts={}, values_of=dict, save=lambda *_: None)
    assert not parts_clash.clashing("x")


def test_each_service_says_how_the_row_stands_and_its_dialog_reads_it(cast):
    root, sam = cast["root"], cast["sam"].user_id
    given = {"name": "First", "entity": "ticket", "method": RouteMethod.TURNS, "people": [(sam, 1)]}
    made = do(rules.save, root, None, **given)
    do(rules.save, root, made.id, **{**given, "name": "Theirs"}, base_version=made.version)
    with pytest.raises(Conflict) as refused:
        do(rules.save, root, made.id, **given, base_version=made.version)
    stands = assignment_rules._stored(refused.value.details["rows"][0])
    assert (stands["name"], stands["chosen"]["people"], stands["chosen"]["method"]) == ("Theirs", ((sam, 1),), RouteMethod.TURNS)

    profile = {"takes_work": True, "skills": {"Billing": 3}, "capacity": {}, "calendar_id": None}
    do(people.save, root, sam, **profile, base_version=0)
    with pytest.raises(Conflict, match="Sam Agent") as refused:
        do(people.save, root, sam, **{**profile, "skills": {}}, base_version=0)
    now = refused.value.details["rows"][0]
    assert assignment_people._profile(now) == profile
    do(people.save, root, sam, **{**profile, "skills": {}}, base_version=now.version)
    assert [one.version for one in look(people.find, root) if one.id == sam] == [now.version + 1]

    steps = [{"do": "note", "text": "Look"}, {"do": "answer", "text": "Hello"}, {"do": "status", "value": "solved"}]
    macro = do(macros.save, root, None, {"name": "Greet", "steps": steps})
    do(macros.save, root, macro.id, {"name": "Greet them"})
    with pytest.raises(Conflict) as refused:
        do(macros.save, root, macro.id, {"name": "Mine"}, base_version=macro.version)
    stands = macro_dialogs._stored(refused.value.details["rows"][0])
    assert (stands["name"], stands["note"], stands["answer"]) == ("Greet them", "Look", "Hello")
    assert macro_dialogs._steps(stands) == steps, "what nobody changed is saved as it was"


def test_dialogs_of_rows_read_what_stands_there_and_never_a_secret(cast):
    root = cast["root"]
    queue = do(queues.save, root, None, name="Desk")
    do(queues.save, root, queue.id, name="Front desk", max_wait_minutes=30)
    with pytest.raises(Conflict) as refused:
        do(queues.save, root, queue.id, name="Mine", base_version=queue.version)
    assert columns_of(["name", "max_wait_minutes"])(refused.value.details["rows"][0]) == {
        "name": "Front desk",
        "max_wait_minutes": 30,
    }
    values = {"name": "News", "url": "https://example.com/hook", "events": ["deal.won"]}
    hook = do(webhooks.save, root, None, values)
    do(webhooks.save, root, hook.id, {"url": "https://example.com/other"})
    shop = do(shops.save, root, None, {"name": "Web shop"})
    do(shops.save, root, shop.id, {"cart_minutes": 90})
    for verb, row, given, there in (
        (webhooks.save, hook, {"name": "Mine"}, {"url": "https://example.com/other"}),
        (shops.save, shop, {"secret": "new secret of mine"}, {"cart_minutes": 90, "secret": ""}),
    ):
        with pytest.raises(Conflict) as refused:
            do(verb, root, row.id, given, base_version=row.version)
        assert columns_of(there)(refused.value.details["rows"][0]) == there
    assert columns_of(["name"])(None) == {}


def test_dialogs_save_what_nobody_else_changed(cast):
    root = cast["root"]
    queue = do(queues.save, root, None, name="Desk")
    fit = do(points.save, root, None, name="Big", kind=LeadPointKind.FIT, points=5, filter={"field": "city", "cmp": "not_empty"})
    done = do(
        points.save,
        root,
        None,
        name="Wrote",
        kind=LeadPointKind.BEHAVIOUR,
        points=5,
        signal=next(iter(SIGNALS)),
        cap=30,
        half_life_days=30,
    )
    form = do(lead_forms.save, root, None, {"name": "Ads", "fields": [{"key": "name", "required": True}]})
    given = {
        "name": "Spring",
        "form_id": form.id,
        "url": "https://ads.example.com/v1",
        "header": "",
        "id_path": "id",
        "mapping": {"name": "name"},
    }
    source = do(lead_sources.save, root, None, given)
    for screen, more, opener, name, row in (
        ("assignment", {"tab": "Waiting"}, f"q_edit_{queue.id}", "q", queue),
        ("assignment", {"tab": "Lead points"}, f"pt_edit_{fit.id}", "pt", fit),
        ("assignment", {"tab": "Lead points"}, f"pt_edit_{done.id}", "pt", done),
        ("forms", {}, f"source_change_{source.id}", "ls", source),
    ):  # fmt: skip
        app = open_screen(root, screen, **more)
        app.button(key=opener).click().run()
        tag = f"{row.id}_{row.version}"
        app.text_input(key=f"{name}_name_{tag}").set_value("Another name")
        app.button(key=opener).click()
        app.button(key=f"{name}_save_{tag}").click().run()
        assert not app.exception and not app.error, opener
        with read_session() as session:
            assert session.get(type(row), row.id).name == "Another name"
        with write_session() as session:
            session.get(type(row), row.id).name = f"Row of {opener}"
