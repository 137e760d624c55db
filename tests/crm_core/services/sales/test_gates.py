"""Gates of stages: every door asks, on the values after the change; who may go on all the same, and what the timeline says then."""

import pytest
from sqlmodel import select

from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, Invalid, NotPermitted
from crm_core.events import sentence_of
from crm_core.models import CustomField, Event, Stage
from crm_core.services import bulk, crud
from crm_core.services.admin import pipelines
from crm_core.services.sales import deals, gates
from crm_core.services.sales.gates import Answer
from crm_core.vocabulary import FieldKind, GateStrictness, StageKind, Via
from tests.verbs import do, look

NEXT_STEP = {"op": "and", "items": [{"field": "next_step", "cmp": "not_empty"}]}
SAID = "Write down the next step first."


def stage(name):
    with read_session() as session:
        return session.exec(select(Stage).where(Stage.name == name)).first()


def gated(root, name="Negotiation", gate=NEXT_STEP, strictness=GateStrictness.REFUSE):
    found = stage(name)
    do(pipelines.set_gate, root, found.id, gate, message=SAID, strictness=strictness, base_version=found.version)
    return found.id


def new(actor, **values):
    return do(deals.create, actor, {"name": "Big one", "amount_minor": 100_00, **values})


def state(deal_id):
    with read_session() as session:
        found = session.get(deals.Deal, deal_id)
        return found.stage_id, found.next_step


def told(deal_id):
    with read_session() as session:
        log = session.exec(select(Event).where(Event.entity == "deal", Event.record_id == deal_id).order_by(Event.id))
        return [(one.type, sentence_of(one.type).format(**one.data)) for one in log if one.type.startswith("deal.gate")]


def test_every_door_refuses_with_the_administrators_sentence_and_changes_nothing(cast):
    alice, target = cast["alice"], gated(cast["root"])
    deal = new(alice)
    for actor in (alice, alice.through(Via.API), alice.through(Via.WORKER)):
        for door in (
            lambda actor=actor: do(deals.move, actor, deal.id, target),
            lambda actor=actor: do(crud.update, actor, "deal", deal.id, {"stage_id": target, "name": "Renamed"}),
            lambda actor=actor: do(deals.create, actor, {"name": "New", "stage_id": target}),
        ):
            with pytest.raises(Invalid) as refused:
                door()
            assert refused.value.fields == {"stage_id": SAID} and refused.value.details["gate"].stage == "Negotiation"
    assert state(deal.id) == (deal.stage_id, None) and look(deals.get, alice, deal.id).name == "Big one"
    assert told(deal.id) == []


def test_the_values_after_the_change_count_and_also_those_that_leave(cast):
    alice, target = cast["alice"], gated(cast["root"])
    deal = new(alice)
    do(deals.update, alice, deal.id, {"stage_id": target, "next_step": "Call Ida"})
    assert state(deal.id) == (target, "Call Ida")
    do(deals.update, alice, deal.id, {"next_step": ""})  # whoever is in stays in
    do(deals.move, alice, deal.id, deal.stage_id)
    with pytest.raises(Invalid, match=SAID):
        do(deals.move, alice, deal.id, target)
    assert do(deals.create, alice, {"name": "New", "stage_id": target, "next_step": "Call"}).stage_id == target


def test_conditions_of_every_kind_are_asked_of_a_deal_that_no_statement_has_written_yet(any_cast):
    """Behind references, custom fields, days, days that move along, choices, related records and what happened."""
    root, alice = any_cast["root"], any_cast["alice"]
    with write_session() as session:
        session.add(CustomField(entity="deal", key="x_signed", label="Signed", kind=FieldKind.DATE))
        session.add(CustomField(entity="deal", key="x_seats", label="Seats", kind=FieldKind.INTEGER))
    account = do(crud.create, root, "account", {"name": "Acme", "industry": "Retail"})
    met = [
        {"field": "account.industry", "cmp": "eq", "value": "retail"},
        {"field": "x_signed", "cmp": "ge", "value": "2026-01-01"},
        {"field": "x_seats", "cmp": "gt", "value": 2},
        {"field": "expected_close_on", "cmp": "ge", "value": "today"},
        {"field": "outcome", "cmp": "eq", "value": "open"},
        {"field": "closed_on", "cmp": "empty"},
        {"field": "amount_minor", "cmp": "between", "value": [1, 100_00]},
        {"field": "owner_id", "cmp": "eq", "value": "@me"},
        {"field": "probability_pct", "cmp": "eq", "value": 75},
        {"field": "stage_id", "cmp": "eq", "value": stage("Negotiation").id},
        {"field": "created_at", "cmp": "ge", "value": "-2d"},
        {"agg": "count", "rel": "tasks", "cmp": "eq", "value": 0},
        {"agg": "count", "rel": "orders", "cmp": "lt", "value": 1},
        {"event": "deal.created", "cmp": "ge", "value": 1},
    ]
    target = gated(root, gate={"op": "and", "items": met})
    values = {"x_signed": "2026-03-04", "x_seats": 3, "expected_close_on": "2999-01-01", "account_id": account.id}
    assert do(deals.update, alice, new(alice).id, {**values, "stage_id": target}).record.stage_id == target
    deal = new(alice, **values)
    for one in met:
        gated(root, gate={"op": "not", "items": [one]})
        with pytest.raises(Invalid, match=SAID):
            do(deals.move, alice, deal.id, target)
        assert look(gates.unmet, alice, [deal.id], target) == (SAID, GateStrictness.REFUSE, {deal.id}), one


def test_who_works_on_deals_of_others_lets_one_in_with_a_reason_that_the_timeline_tells(cast):
    alice, bob, target = cast["alice"], cast["bob"], gated(cast["root"])
    deal = new(alice)
    with pytest.raises(NotPermitted, match="with a reason"):
        do(gates.answering(deals.move, Answer(reason="I want to")), alice, deal.id, target)
    with pytest.raises(Invalid, match=SAID):
        do(gates.answering(deals.move, Answer(reason="  ", anyway=True)), bob, deal.id, target)
    do(gates.answering(deals.move, Answer(reason="Signed on paper")), bob, deal.id, target)
    assert state(deal.id)[0] == target
    assert told(deal.id) == [
        ("deal.gate_overridden", f"let the deal into Negotiation all the same: Signed on paper (missing: {SAID})")
    ]


def test_a_warning_asks_people_and_lets_everybody_else_through_with_a_word(cast):
    alice, target = cast["alice"], gated(cast["root"], strictness=GateStrictness.WARN)
    one, two = new(alice), new(alice)
    with pytest.raises(Invalid, match=SAID):
        do(deals.move, alice, one.id, target)
    do(gates.answering(deals.move, Answer(anyway=True)), alice, one.id, target)
    do(deals.move, alice.through(Via.API), two.id, target)
    for deal in (one, two):
        assert state(deal.id)[0] == target
        assert told(deal.id) == [("deal.gate_warned", f"moved the deal on to Negotiation in spite of the warning: {SAID}")]


def test_winning_and_reopening_ask_too_but_losing_and_the_first_stage_of_a_new_deal_do_not(cast):
    root, alice = cast["root"], cast["alice"]
    gated(root, "Won"), gated(root, "Prospecting")
    deal = new(alice)  # converted leads and web forms begin there: nobody chose it
    with pytest.raises(Invalid, match=SAID):
        do(deals.win, alice, deal.id)
    assert look(deals.get, alice, deal.id).outcome is StageKind.OPEN
    do(deals.lose, alice, deal.id, reason="Price", competitor="None")
    with pytest.raises(Invalid, match=SAID):
        do(deals.reopen, alice, deal.id, stage_id=stage("Prospecting").id)
    do(deals.update, alice, deal.id, {"next_step": "Call again"})
    do(deals.reopen, alice, deal.id, stage_id=stage("Prospecting").id)
    assert do(deals.win, alice, deal.id).outcome is StageKind.WON
    with pytest.raises(Invalid, match="whatever it lacks"):
        gated(root, "Lost")


def test_a_bulk_change_says_beforehand_which_deals_stay_and_its_undo_asks_nothing(cast):
    root, alice = cast["root"], cast["alice"]
    target = gated(root)
    ready, bare = new(alice, next_step="Call"), new(alice, name="Bare")
    seen = look(bulk.preview, alice, "deal", [ready.id, bare.id], "stage_id", target)
    assert (set(seen.versions), seen.gated, seen.asked, seen.warned) == ({ready.id}, ("Bare",), SAID, 0)
    outcome = do(bulk.change, alice, "deal", {**seen.versions, bare.id: bare.version}, "stage_id", target)
    assert (outcome.done, outcome.refused) == (1, (("Bare", SAID),))
    do(deals.update, alice, ready.id, {"next_step": ""})
    gated(root, "Prospecting")
    assert do(bulk.undo, alice, outcome.operation_id).done == 1
    gated(root, strictness=GateStrictness.WARN)
    seen = look(bulk.preview, alice, "deal", [ready.id, bare.id], "stage_id", target)
    assert (len(seen.versions), seen.gated, seen.warned) == (2, (), 2)
    assert do(bulk.change, alice, "deal", seen.versions, "stage_id", target).done == 2


def test_what_a_stage_asks_is_checked_when_it_is_saved_and_keeps_nobody_out_once_it_is_broken(cast):
    root, alice = cast["root"], cast["alice"]
    found = stage("Negotiation")
    with pytest.raises(NotPermitted):
        gated(alice)
    with pytest.raises(Invalid, match="sentence"):
        do(pipelines.set_gate, root, found.id, NEXT_STEP, message=" ")
    with pytest.raises(Invalid):
        gated(root, gate={"field": "nonsense", "cmp": "eq", "value": 1})
    gated(root)
    with pytest.raises(Conflict):
        do(pipelines.set_gate, root, found.id, None, base_version=found.version)
    asked = {one.name: one.asks for one in look(deals.stages, alice)}
    assert asked["Negotiation"] == SAID and not asked["Won"]
    rows = look(pipelines.find, root)[0]
    do(pipelines.set_stages, root, rows.id, rows.stages)  # saving the table leaves it as it is
    assert stage("Negotiation").gate == NEXT_STEP
    with write_session() as session:
        session.get(Stage, found.id).gate = {"field": "x_gone", "cmp": "not_empty"}
    assert next(one.broken for one in look(pipelines.find, root)[0].stages if one.name == "Negotiation")
    do(deals.move, alice, new(alice).id, found.id)
    do(pipelines.set_gate, root, found.id, None)
    assert stage("Negotiation").gate_message is None


def test_a_word_to_one_stage_is_none_to_another_nor_to_another_sentence(cast):
    """Whoever read a warning, or gave a reason, and then chose another stage, or found the gate changed, has not read the other one."""
    root, alice, bob = cast["root"], cast["alice"], cast["bob"]
    first, second = (gated(root, name, strictness=GateStrictness.WARN) for name in ("Proposal", "Negotiation"))
    deal = new(alice)
    read = Answer(anyway=True, read=(first, SAID))
    with pytest.raises(Invalid, match=SAID):
        do(gates.answering(deals.move, read), alice, deal.id, second)
    found = stage("Proposal")
    do(
        pipelines.set_gate,
        root,
        first,
        NEXT_STEP,
        message="Now the budget too.",
        strictness=GateStrictness.WARN,
        base_version=found.version,
    )
    with pytest.raises(Invalid, match="Now the budget too"):
        do(gates.answering(deals.move, read), alice, deal.id, first)
    gated(root, "Negotiation")
    with pytest.raises(Invalid, match=SAID):
        do(gates.answering(deals.move, Answer(reason="Signed on paper", read=(first, SAID))), bob, deal.id, second)
    assert told(deal.id) == [] and state(deal.id)[0] == deal.stage_id
    do(gates.answering(deals.move, Answer(reason="Signed on paper", read=(second, SAID))), bob, deal.id, second)
    assert state(deal.id)[0] == second


def test_a_bulk_change_lets_only_through_what_its_preview_warned_of(cast):
    root, alice, target = cast["root"], cast["alice"], stage("Negotiation").id
    ids = [new(alice).id, new(alice, next_step="Call").id]
    seen = look(bulk.preview, alice, "deal", ids, "stage_id", target)
    assert (seen.asked, seen.warned) == ("", 0)
    gated(root, strictness=GateStrictness.WARN)  # between the look and the click
    done = do(bulk.change, alice, "deal", seen.versions, "stage_id", target, asked=seen.asked)
    assert done.done == 1 and done.refused == (("Big one", SAID),) and told(ids[0]) == []
    seen = look(bulk.preview, alice, "deal", ids, "stage_id", target)
    assert do(bulk.change, alice, "deal", seen.versions, "stage_id", target, asked=seen.asked).done == 1
