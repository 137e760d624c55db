"""The sales screens: every role, an empty database, the main action, a name that means harm."""

from datetime import timedelta

import pytest
import streamlit as st
from sqlmodel import select

from crm_core.db import read_session, write_session
from crm_core.errors import NotFound
from crm_core.kit import clock
from crm_core.models import Activity, Stage
from crm_core.services import crud
from crm_core.services.admin.pipelines import set_gate
from crm_core.services.sales import deals
from crm_core.services.sales.gates import Unmet
from crm_core.vocabulary import Action, GateStrictness, Scope, StageKind
from tests.pages.app import draw_alone, open_screen, words
from ui.components import record_page
from ui.navigation import screen_of, screens_for

EVIL = "![x](http://e/i.png) <script>alert(1)</script> **b** =1+1 $x$ :red[y] مرحبا 😀 " + "long " * 40


def make(actor, entity, **values):
    with write_session() as session:
        return crud.create(session, actor, entity, values)


def press(app, opener, button):
    """Press a button in a dialog: the test runner draws whole pages, so that the dialog must be opened with it."""
    app.button(key=button).click()
    app.button(key=opener).click().run()


@pytest.mark.parametrize("who", ["root", "bob", "alice", "dana", "sam", "ana"])
@pytest.mark.parametrize("url", ["deals", "pipeline", "accounts", "contacts"])
def test_an_empty_list_says_what_to_do_for_every_role(cast, who, url):
    if screen_of(url) not in screens_for(cast[who]):
        pytest.skip("this role does not have the screen")
    app = open_screen(cast[who], url)
    assert not app.exception and not app.error
    assert "No " in words(app)
    may_create = cast[who].can({"pipeline": "deal"}.get(url, url.rstrip("s")), Action.CREATE)
    assert any("New" in button.label for button in app.button) == may_create
    assert sum(button.proto.type == "primary" for button in app.button) <= 1  # one thing to do first
    if url == "pipeline":
        assert "Won and lost deals stand here" in words(app)
        narrowed = open_screen(cast[who], url, f='{"field": "name", "cmp": "contains", "value": "oil"}')
        assert "No deals match" in words(narrowed)
        assert bool(narrowed.toggle) == (
            cast[who].scopes("deal", Action.READ) != {Scope.OWN}
        )  # "Only mine", where there are others


def test_a_harmful_name_is_shown_letter_by_letter(cast):
    account = make(cast["alice"], "account", name=EVIL.strip()[:300])
    past = clock.today("UTC") - timedelta(days=2)
    deal = make(
        cast["alice"], "deal", name=EVIL.strip()[:300], account_id=account.id, amount_minor=5_00, next_step=EVIL.strip()[:200], expected_close_on=past,
    )  # fmt: skip
    for url, record in (("deal", deal), ("account", account)):
        app = open_screen(cast["alice"], url, id=record.id)
        assert not app.exception
        assert app.title[0].value.removeprefix("\u2068").startswith("\\!\\[x\\]\\(http\\:")
        for element in (*app.markdown, *app.caption):
            assert "](http" not in element.value.replace("\\", "\x00")
        if url == "deal":  # what was agreed stands where the next steps are, and a closing day that is over says so
            assert any(element.value.endswith("No task for it yet.") and "alert" in element.value for element in app.caption)
            assert any(metric.delta == f"{past.year} · passed" for metric in app.metric)


def test_a_stranger_guessing_ids_finds_nothing(cast):
    deal = make(cast["alice"], "deal", name="Secret")
    for raw in (deal.id, 999999, "abc", "-1", "1 or 1=1"):
        app = open_screen(cast["charlie"], "deal", id=raw)
        assert "Secret" not in words(app)
        assert app.error, raw


def test_the_stage_path_moves_the_deal_by_the_same_service(cast):
    deal = make(cast["alice"], "deal", name="Big one")
    app = open_screen(cast["alice"], "deal", id=deal.id)
    with read_session() as session:
        target = deals.stages(session, cast["alice"])[2]
    control = next(group for group in app.get("button_group") if group.key == f"stage_{deal.id}_{deal.version}")
    control.set_value(target.id).run()
    assert not app.exception
    with read_session() as session:
        assert deals.get(session, cast["alice"], deal.id).stage_id == target.id


def test_a_click_on_a_stage_that_came_too_late_asks_whose_move_counts(cast):
    deal = make(cast["alice"], "deal", name="Big one")
    app = open_screen(cast["alice"], "deal", id=deal.id)
    with write_session() as session:
        there = deals.stages(session, cast["alice"])
        _, second, third = [stage.id for stage in there][:3]
        deals.move(session, cast["root"], deal.id, second, base_version=deal.version)
    control = next(group for group in app.get("button_group") if group.key == f"stage_{deal.id}_{deal.version}")
    control.set_value(third).run()
    assert next(button for button in app.button if button.key == "clash_mine").label == f"Move to {there[2].name}"
    with read_session() as session:
        assert deals.get(session, cast["alice"], deal.id).stage_id == second


def test_a_click_on_a_stage_does_not_reopen_what_a_colleague_won_meanwhile(cast):
    deal = make(cast["alice"], "deal", name="Big one")
    app = open_screen(cast["alice"], "deal", id=deal.id)
    with write_session() as session:
        target = deals.stages(session, cast["alice"])[2]
        deals.win(session, cast["root"], deal.id, base_version=deal.version)
    control = next(group for group in app.get("button_group") if group.key == f"stage_{deal.id}_{deal.version}")
    control.set_value(target.id).run()
    assert any("closed meanwhile" in toast.value for toast in app.toast)
    with read_session() as session:
        assert deals.get(session, cast["alice"], deal.id).outcome is StageKind.WON


def test_what_somebody_changed_meanwhile_is_not_deleted_unseen_not_even_in_ones_own_second_tab(cast, monkeypatch):
    again, alice = st.rerun, cast["alice"]
    monkeypatch.setattr(
        st, "rerun", lambda scope="app": again()
    )  # a dialog that is drawn alone is drawn anew with the script around it
    deal = make(alice, "deal", name="Big one")
    tabs = [draw_alone(alice, record_page._deleting, "deal", deal.id, deal.version, "Big one", "deals") for _ in range(2)]
    with write_session() as session:
        changed = crud.update(session, alice, "deal", deal.id, {"next_step": "Visit"}).record.version
    tabs[0].button(key="delete_yes").click().run()
    assert "You changed it in another tab" in words(tabs[0]) and "**Visit**" in words(tabs[0])
    with read_session() as session:
        assert deals.get(session, alice, deal.id).next_step == "Visit"
    app = draw_alone(alice, record_page._deleting, "deal", deal.id, changed, "Big one", "deals")
    app.button(key="delete_yes").click().run()
    with read_session() as session, pytest.raises(NotFound):
        deals.get(session, alice, deal.id)
    tabs[1].button(key="delete_yes").click().run()
    assert "in the bin" in str(tabs[1].session_state["_toasts"])


def test_what_a_dialog_refused_is_said_in_it_once(cast):
    """Of a field and of the record as a whole: both would else wait, unseen, for the next full run."""
    deal = make(cast["alice"], "deal", name="Big one")
    app = open_screen(cast["alice"], "deal", id=deal.id)
    app.button(key="win").click().run()
    app.date_input(key="win_on").set_value(clock.today("UTC") + timedelta(days=9))
    press(app, "win", "win_yes")
    assert [error.value for error in app.error] == ["The closing day can't lie in the future."]
    with write_session() as session:
        for stage in session.exec(select(Stage).where(Stage.kind == StageKind.WON)):
            stage.kind = StageKind.LOST
    app.date_input(key="win_on").set_value(clock.today("UTC"))
    press(app, "win", "win_yes")
    assert len(app.error) == 1 and "no stage that means" in app.error[0].value and not app.toast


def test_a_won_deal_leads_to_its_order_and_wants_no_next_step(cast):
    deal = make(cast["root"], "deal", name="Big one")
    assert "grows cold" in words(open_screen(cast["root"], "deal", id=deal.id))
    with write_session() as session:
        deals.set_lines(session, cast["root"], deal.id, [{"name": "Advice", "quantity": 1, "unit_price_minor": 100_00}])
        deals.win(session, cast["root"], deal.id, create_order=True)
    app = open_screen(cast["root"], "deal", id=deal.id)
    assert not app.exception and "**Orders**  :gray[1]" in [one.value for one in app.markdown] and "grows cold" not in words(app)


def test_a_call_is_logged_from_the_record(cast):
    deal = make(cast["alice"], "deal", name="Big one")
    app = open_screen(cast["alice"], "deal", id=deal.id)
    app.text_area(key=f"log_deal_{deal.id}_text_0").set_value("Talked about terms")
    app.button(key=f"log_deal_{deal.id}_save").click().run()
    assert not app.exception
    assert "Talked about terms" in words(app)


def test_minutes_that_no_day_has_are_refused_and_nothing_of_the_call_is_lost(cast):
    deal = make(cast["alice"], "deal", name="Big one")
    app = open_screen(cast["alice"], "deal", id=deal.id)
    name = f"log_deal_{deal.id}"
    app.text_area(key=f"{name}_text_0").set_value("Maria wants the offer")
    app.number_input(key=f"{name}_min_0").set_value(99_999.0)
    app.button(key=f"{name}_save").click().run()
    assert any("1,440" in said.value or "1440" in said.value for said in app.error)
    assert app.text_area(key=f"{name}_text_0").value == "Maria wants the offer"
    with read_session() as session:
        assert not session.exec(select(Activity)).all()


def test_a_filter_in_the_address_is_obeyed_and_a_broken_one_is_said(cast):
    make(cast["alice"], "deal", name="Small", amount_minor=1_00)
    make(cast["alice"], "deal", name="Large", amount_minor=900_00)
    app = open_screen(cast["alice"], "deals", f='{"field":"amount_minor","cmp":"gt","value":50000}')
    assert "1 deal " in words(app) and "$900 in total" in words(app)
    for broken in ("{", '{"field":"nope"}', "[1]", '{"op":"and","items":[{"field":"amount_minor","cmp":"eq","value":"x"}]}'):
        app = open_screen(cast["alice"], "deals", f=broken)
        assert app.warning and not app.exception, broken


def test_an_analyst_reads_masked_people_and_changes_nothing(cast):
    person = make(cast["root"], "contact", name="Maria Anders", email="maria@example.com", phone="+4930123456")
    app = open_screen(cast["ana"], "contact", id=person.id)
    shown = words(app)
    assert not app.exception
    assert "maria@example.com" not in shown and "Maria" not in shown
    assert not [button for button in app.button if button.key in ("edit", "delete", "edit_points")]


def test_two_people_who_see_everything_get_their_own_count_of_what_is_theirs(cast):
    for who, count in (("root", 3), ("dana", 1)):
        for n in range(count):
            make(cast["root"], "contact", name=f"{who} {n}", owner_id=cast[who].user_id)
    mine = '{"field":"owner_id","cmp":"eq","value":"@me"}'
    for who, count in (("root", "3 contacts"), ("dana", "1 contact"), ("root", "3 contacts")):
        assert count in words(open_screen(cast[who], "contacts", f=mine))


@pytest.mark.parametrize("raw", ['""', "0", "null", "[]", "1" * 5_000, '{"field":"name","cmp":"contains","value":"\\ud800"}'])
def test_a_broken_filter_in_the_address_leaves_the_list_standing(cast, raw):
    make(cast["root"], "account", name="Here")
    app = open_screen(cast["root"], "accounts", f=raw)
    assert not app.exception and "1 account" in words(app)


def test_digits_that_are_none_are_no_record(cast):
    app = open_screen(cast["root"], "account", id="²")
    assert not app.exception and app.error


def _gated(cast, strictness=GateStrictness.REFUSE, name="Proposal"):
    asked = {"op": "and", "items": [{"field": "next_step", "cmp": "not_empty"}]}
    with write_session() as session:
        found = session.exec(select(Stage).where(Stage.name == name)).one()
        set_gate(session, cast["root"], found.id, asked, message="Say *what* comes next.", strictness=strictness)
        return found.id


def _stage_of(actor, deal):
    with read_session() as session:
        return deals.get(session, actor, deal.id).stage_id


def _click_stage(app, deal, stage_id):
    next(group for group in app.get("button_group") if group.key == f"stage_{deal.id}_{deal.version}").set_value(stage_id).run()


def test_a_stage_that_asks_for_more_says_so_beforehand_and_keeps_the_deal_outside(cast):
    target = _gated(cast)
    deal = make(cast["alice"], "deal", name="Big one")
    app = open_screen(cast["alice"], "deal", id=deal.id)
    assert any("Say \\*what\\* comes next" in (caption.help or "") for caption in app.caption)
    _click_stage(app, deal, target)
    assert ["Say \\*what\\* comes next" in error.value for error in app.error] == [True] and not app.toast
    assert not {"gate_go", "gate_reason_move"} & {one.key for one in (*app.button, *app.text_input)}, "a rep has no way round"
    assert _stage_of(cast["alice"], deal) == deal.stage_id


def test_a_manager_is_asked_for_a_reason_and_a_warning_asks_everybody(cast):
    target = _gated(cast)
    deal = make(cast["alice"], "deal", name="Big one")
    for who, strictness, keys in (("bob", "refuse", {"gate_go", "gate_reason_move"}), ("alice", "warn", {"gate_go"})):
        _gated(cast, GateStrictness(strictness))
        app = open_screen(cast[who], "deal", id=deal.id)
        _click_stage(app, deal, target)
        assert keys == {"gate_go", "gate_reason_move"} & {one.key for one in (*app.button, *app.text_input)}


def test_filling_in_what_a_stage_asks_for_goes_on_towards_that_stage(cast):
    """The form that “Fill it in” opens says what is missing, holds the stage that was wanted, and keeps the reason that was typed."""
    target = _gated(cast)
    deal = make(cast["alice"], "deal", name="Big one")
    app = open_screen(cast["bob"], "deal", id=deal.id)
    app.session_state["_fill_in"] = (deal.id, target)
    app.session_state["_gate__fill_in"] = Unmet(target, "Proposal", "Say *what* comes next.", GateStrictness.REFUSE, True)
    app.session_state["gate_reason__fill_in"] = "They signed"
    app.run()
    form = f"edit_deal_{deal.id}"
    assert app.selectbox(key=f"{form}_{deal.version}_stage_id_{deal.pipeline_id}").value == target
    assert ["Say \\*what\\* comes next" in error.value for error in app.error] == [True]
    assert app.text_input(key=f"gate_reason_{form}").value == "They signed" and not app.exception


def test_products_at_a_customer_beyond_the_first_ones_are_drawn_when_somebody_unfolds_them(cast):
    root = cast["root"]
    account = make(root, "account", name="Aurora")
    for n in range(7):
        product = make(root, "product", name=f"Pump {n}", price_minor=100)
        make(root, "ticket", subject="It leaks", account_id=account.id, product_id=product.id)
    app = open_screen(root, "account", id=account.id)
    links = [link for link in app.get("page_link") if "Pump" in link.label]
    assert not app.exception and len(links) == 3 and "4 more" in [fold.label for fold in app.expander]
    app.session_state[f"installed_more_{account.id}"] = True
    links = [link for link in app.run().get("page_link") if "Pump" in link.label]
    assert not app.exception and len(links) == 7


def test_a_long_name_leaves_room_for_the_record_and_is_a_press_away(cast):
    for name, key in (
        ("Short", None),
        ("long " * 20, "narrow_title"),
        (EVIL.strip()[:300], "whole_title"),
        ("漢" * 90, "whole_title"),
    ):
        deal = make(cast["alice"], "deal", name=name)
        app = open_screen(cast["alice"], "deal", id=deal.id)
        boxes = [one for one in app.get("popover") if one.proto.popover.label == "Whole name"]
        assert [one.value for box in boxes for one in box.text] == ([name.strip()] if key else [])
        assert app.title[0].value.replace("\\", "").strip("\u2068\u2069") == name.strip() or key == "whole_title"
