"""The ticket screens: every role, an empty database, answer, take, solve, harmful text."""

from functools import partial

import pytest
from streamlit.testing.v1.element_tree import TESTING_KEY

from crm_core.db import read_session, write_session
from crm_core.services.helpdesk import tickets
from crm_core.vocabulary import Action, MessageDirection, TicketKind
from tests.pages.app import draw_alone, open_screen, press, rare, words
from tests.pages.sales.test_sales_pages import EVIL
from tests.verbs import do
from ui.components import assign
from ui.components.answer_box import answer_box
from ui.navigation import screen_of, screens_for
from ui.session import current_actor


def new(actor, **values):
    with write_session() as session:
        return tickets.create(session, actor, {"subject": "Broken", **values}, message="It is broken")


def state(actor, ticket_id):
    with read_session() as session:
        return tickets.get(session, actor, ticket_id), tickets.messages(session, actor, ticket_id)


@pytest.mark.parametrize("who", ["root", "bob", "alice", "sam", "ana"])
def test_the_empty_list_says_what_to_do(cast, who):
    app = open_screen(cast[who], "tickets")
    assert not app.exception and not app.error and "No tickets yet" in words(app)
    assert ("New ticket" in words(app)) == cast[who].can("ticket", Action.CREATE)


def test_a_marketer_has_no_tickets(cast):
    assert screen_of("tickets") not in screens_for(cast["dana"])


def test_an_agent_takes_answers_and_solves(cast):
    sam = cast["sam"]
    ticket = new(sam, owner_id=None)
    app = open_screen(sam, "ticket", id=ticket.id)
    app.button(key="take").click().run()
    app.text_area(key=f"reply_{ticket.id}_text_0").set_value("We look into it")
    app.button(key=f"reply_{ticket.id}_send").click().run()
    assert not app.exception
    now, said = state(sam, ticket.id)
    assert (now.owner_id, now.status) == (sam.user_id, TicketKind.WAITING_CUSTOMER)
    assert [message.direction for message in said] == [MessageDirection.INBOUND, MessageDirection.OUTBOUND]
    app.button(key="solve").click().run()
    assert state(sam, ticket.id)[0].status is TicketKind.SOLVED
    app.button(key="reopen").click().run()
    assert not app.exception and state(sam, ticket.id)[0].status is TicketKind.OPEN


def _assign(record_id, version):
    assign._dialog(current_actor(), "ticket", record_id, version, None, tickets.assign)


def test_two_who_assign_a_ticket_to_different_people_are_asked_whose_choice_stays(cast, monkeypatch):
    monkeypatch.setattr(assign, "save_parts", partial(assign.save_parts, scope="app"))  # the test runner knows no fragment
    sam, root, ticket = cast["sam"], cast["root"], new(cast["sam"], owner_id=None)
    app = draw_alone(root, _assign, ticket.id, ticket.version)
    do(tickets.assign, sam, ticket.id, sam.user_id, base_version=ticket.version)
    app.selectbox[0].set_value(cast["bob"].user_id).run()
    app.button(key="assign_yes").click().run()
    assert "Choose what stays" in words(app) and not app.exception and state(sam, ticket.id)[0].owner_id == sam.user_id
    assert [label.partition(":")[0].rstrip("\\") for label in app.radio[0].options] == ["Mine", "Theirs", "Before"]
    app.button(key=f"assign_ticket_{ticket.id}_{ticket.version}_parts_save").click().run()
    assert state(root, ticket.id)[0].owner_id == cast["bob"].user_id and not app.exception

    ticket = state(root, ticket.id)[0]
    app = draw_alone(root, _assign, ticket.id, ticket.version)
    do(tickets.update, sam, ticket.id, {"subject": "Other"}, base_version=ticket.version)
    app.selectbox[0].set_value(root.user_id).run()
    app.button(key="assign_yes").click().run()
    now = state(root, ticket.id)[0]
    assert (now.owner_id, now.subject) == (root.user_id, "Other") and "Choose what stays" not in words(app)


def test_the_header_of_a_ticket_holds_four_actions_and_a_menu_with_the_rare_ones(cast):
    ticket = new(cast["sam"], owner_id=None)
    app = open_screen(cast["root"], "ticket", id=ticket.id)
    offered = {"solve", "take", "macro", "edit", "assign", "wait_waiting_customer", "wait_waiting_third", "merge", "delete"}
    assert not app.exception and offered <= rare(app)
    assert {button.key for button in app.button} & offered == {"solve", "take", "macro", "edit"}
    on_phones = app.menu_button(key="more_on_phones")
    assert {str(one) for one in app.session_state[TESTING_KEY][on_phones.id]["options"]} == offered - {"solve", "take"}
    on_phones.click("edit").run()
    assert not app.exception and f"edit_ticket_{ticket.id}_save" in {button.key for button in app.button}
    press(app, "wait_waiting_third").run()
    assert not app.exception and state(cast["root"], ticket.id)[0].status is TicketKind.WAITING_THIRD
    press(app, "merge").run()
    assert not app.exception and "merge_yes" in {button.key for button in app.button}


def test_an_empty_answer_is_refused_with_a_sentence(cast):
    ticket = new(cast["sam"])
    app = open_screen(cast["sam"], "ticket", id=ticket.id)
    app.button(key=f"reply_{ticket.id}_send").click().run()
    assert "Write an answer first." in words(app) and len(state(cast["sam"], ticket.id)[1]) == 1


def test_an_answer_waits_until_what_a_colleague_answered_meanwhile_was_read(cast):
    sam, root = cast["sam"], cast["root"]
    ticket = new(sam)
    read = state(sam, ticket.id)[1][-1].id
    app = draw_alone(sam, answer_box, ticket.id, TicketKind.OPEN, None, read)
    app.text_area(key=f"reply_{ticket.id}_text_0").set_value("It comes tomorrow").run()
    with write_session() as session:
        tickets.reply(session, root, ticket.id, "It is on its way")
    app.button(key=f"reply_{ticket.id}_send").click().run()
    assert f"{root.name} answered while you were writing" in words(app)
    assert app.text_area(key=f"reply_{ticket.id}_text_0").value == "It comes tomorrow" and len(state(sam, ticket.id)[1]) == 2
    app = open_screen(sam, "ticket", id=ticket.id)  # the page shows what was said, so that the next press sends
    app.text_area(key=f"reply_{ticket.id}_text_0").set_value("It comes tomorrow")
    app.button(key=f"reply_{ticket.id}_send").click().run()
    assert not app.exception and len(state(sam, ticket.id)[1]) == 3 and "while you were writing" not in words(app)


@pytest.mark.parametrize("who", ["alice", "ana"])
def test_who_only_reads_gets_no_buttons(cast, who):
    ticket = new(cast["sam"], subject=EVIL.strip()[:300])
    app = open_screen(cast[who], "ticket", id=ticket.id)
    assert not app.exception and app.title[0].value.removeprefix("\u2068").startswith("\\!\\[x\\]")
    assert not {"take", "assign", "solve", "edit", f"reply_{ticket.id}_send"} & {button.key for button in app.button}


def test_the_dialog_opens(cast):
    app = open_screen(cast["sam"], "tickets")
    app.button(key="new_ticket").click().run()
    assert not app.exception and "Open ticket" in words(app)
