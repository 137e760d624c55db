"""Lists as one wants them: saved views, columns, rows per page; each as an address."""

import csv
import io
import json
from types import SimpleNamespace

from crm_core.db import read_session, write_session
from crm_core.services import bulk, crud
from crm_core.services.collaboration import view_choices, views
from crm_core.services.helpdesk import tickets
from crm_core.services.sales import leads
from crm_core.vocabulary import TicketKind
from tests.pages.app import open_screen, words
from ui.components import status_board
from ui.components.bulk_bar import may_bulk


def make(actor, **values):
    with write_session() as session:
        return crud.create(session, actor, "lead", values)


def save(actor, **options):
    layout = {"filter": {"field": "company", "cmp": "eq", "value": "Alfreds"}, "columns": ["name", "city"], "size": 25}
    with write_session() as session:
        return views.create(session, actor, "lead", name="Hot", layout=layout, **options)


def test_a_view_is_an_address_and_shapes_the_list(cast):
    alice = cast["alice"]
    make(alice, name="Maria", company="Alfreds")
    make(alice, name="Other", company="Else")
    view = save(alice)
    app = open_screen(alice, "leads", view=view.id)
    assert not app.exception and "1 lead" in words(app)
    assert "view_update" in {button.key for button in app.button}
    assert app.query_params["cols"] == "name,city" and app.query_params["size"] == "25"
    app.button(key="view_none").click().run()
    assert not app.exception and "2 leads" in words(app) and "view" not in app.query_params


def test_the_default_view_opens_the_list(cast):
    alice = cast["alice"]
    make(alice, name="Maria", company="Alfreds")
    make(alice, name="Other", company="Else")
    save(alice, is_default=True)
    app = open_screen(alice, "leads")
    assert not app.exception and "1 lead" in words(app)


def test_anothers_private_view_is_said_to_be_missing(cast):
    make(cast["charlie"], name="Maria")
    view = save(cast["alice"])
    app = open_screen(cast["charlie"], "leads", view=view.id)
    assert not app.exception and "does not exist" in words(app) and "Hot" not in words(app)


def test_a_view_that_is_deleted_while_it_is_open_says_so_and_leaves_the_list_as_it_was(cast):
    make(cast["bob"], name="Maria", company="Alfreds")
    make(cast["bob"], name="Other", company="Else")
    view = save(cast["root"], shared=True)
    app = open_screen(cast["bob"], "leads", view=view.id)
    assert "1 lead" in words(app)
    with write_session() as session:
        views.remove(session, cast["root"], view.id)
    app.button(key="view_columns").click().run()
    assert not app.exception and "was deleted, or is no longer shared with you" in words(app)
    assert "1 lead" in words(app) and app.query_params["cols"] == "name,city" and "view" not in app.query_params


def test_what_the_address_asks_wrongly_falls_back(cast):
    make(cast["alice"], name="Maria")
    app = open_screen(cast["alice"], "leads", cols="nope,,name", size="7", view="abc", sort="nope")
    assert not app.exception and "1 lead" in words(app)


def test_the_file_holds_what_the_list_counts_and_adds_up_on_all_its_pages(cast, monkeypatch):
    alice = cast["alice"]
    with write_session() as session:
        for n in range(28):
            crud.create(session, alice, "deal", {"name": f"Lamp {n}", "amount_minor": (n + 1) * 100_00})
        crud.create(session, alice, "deal", {"name": "Chair", "amount_minor": 900_00})
        crud.create(session, cast["charlie"], "deal", {"name": "Lamp of another team", "amount_minor": 900_00})
    files = []
    monkeypatch.setattr("ui.components.export.table_buttons", lambda make, name, key: files.append(make))
    above = {"field": "amount_minor", "cmp": "ge", "value": 200_00}
    app = open_screen(alice, "deals", f=json.dumps(above), q="lamp", sort="-amount_minor", cols="amount_minor,name", size="25")
    assert not app.exception and "27 deals · $40,500 in total" in words(app)
    rows = list(csv.reader(io.StringIO(files[-1]("csv").decode("utf-8-sig"))))
    assert rows[0] == ["ID", "Amount", "Deal"] and len(rows) == 28 and sum(float(row[1]) for row in rows[1:]) == 40_500
    assert [row[2] for row in rows[1:3]] == ["Lamp 27", "Lamp 26"]


def test_the_list_is_saved_as_a_view_by_its_dialog(cast):
    alice = cast["alice"]
    make(alice, name="Maria")
    app = open_screen(alice, "leads", cols="name,email")
    app.button(key="view_new").click().run()
    assert not app.exception and "Save as a view" in words(app)
    assert "view_shared" not in {toggle.key for toggle in app.toggle}
    with read_session() as session:
        assert views.find(session, alice, "lead") == []


def test_a_bulk_change_is_taken_back_from_the_menu_of_the_list(cast):
    alice = cast["alice"]
    lead = make(alice, name="Maria")
    with write_session() as session:
        done = bulk.change(session, alice, "lead", {lead.id: lead.version}, "city", "Berlin")
    app = open_screen(alice, "leads")
    app.button(key=f"bulk_undo_{done.operation_id}").click().run()
    assert not app.exception and "1 lead put back as before" in words(app)
    with read_session() as session:
        assert crud.records.get(session, alice, "lead", lead.id).city is None
    assert not [button.key for button in app.button if str(button.key).startswith("bulk_undo_")]


def test_who_may_not_change_gets_no_checkboxes(cast):
    assert may_bulk(cast["alice"], "lead") and not may_bulk(cast["ana"], "lead") and not may_bulk(cast["sam"], "order")


def test_a_view_is_deleted_only_after_a_second_word(cast):
    with write_session() as session:
        view = views.create(session, cast["alice"], "lead", name="Mine", layout={"columns": ["name"]})
    app = open_screen(cast["alice"], "leads", view=view.id)
    app.button(key="view_edit").click().run()
    app.button(key="view_delete").click().run()
    with read_session() as session:
        assert len(views.find(session, cast["alice"], "lead")) == 1
    assert not app.exception


def test_lists_are_laid_out_as_boards_and_groups_and_pinned_views_stand_at_hand(cast):
    root = cast["root"]
    lead = make(root, name="Maria", company="Alfreds")
    for entity_key, url, by in (("lead", "leads", "status_id"), ("ticket", "tickets", "status"), ("deal", "deals", "stage_id")):
        with write_session() as session:
            if entity_key != "lead":
                crud.create(session, root, entity_key, {"subject" if entity_key == "ticket" else "name": "Lamp"})
            board = views.create(
                session, root, entity_key, name=f"Board of {url}", layout={"columns": ["owner_id"], "show": "board"}
            )
            view_choices.pin(session, root, board.id)
        app = open_screen(root, url, view=board.id)
        assert not app.exception and app.query_params["show"] == "board" and f"pinned_{board.id}" in {one.key for one in app.button}
        grouped = open_screen(root, url, show="groups", group=by)
        assert not grouped.exception and len(grouped.expander) == 1 and "**" in grouped.expander[0].label
        assert f"All 1 {entity_key} as a list" in words(grouped)
    assert "Pinned" in words(app) and lead.id
    today = open_screen(root, "today")
    assert not today.exception and [one.value for one in today.caption].count("Pinned") == 2


def dropped(monkeypatch, record, origin, target, times=1):
    """The next drawings of the board find that this card, drawn with this version, was dropped on another column."""
    moves = [{"id": record.id, "version": record.version, "from": origin, "to": target}] * times
    drop = lambda *_args, **_more: SimpleNamespace(moved=moves.pop() if moves else None, opened=None, more=None)  # noqa: E731
    monkeypatch.setattr(status_board, "board", drop)


def test_a_card_that_a_colleague_moved_too_asks_whose_move_counts(cast, monkeypatch):
    root = cast["root"]
    with write_session() as session:
        new, working, qualified = [one.id for one in leads.statuses(session, root)][:3]
        lead = crud.create(session, root, "lead", {"name": "Maria", "company": "Alfreds"})
        ticket = crud.create(session, root, "ticket", {"subject": "Lamp"})
    with write_session() as session:
        leads.move(session, cast["dana"], lead.id, working)
        tickets.move(session, root, ticket.id, TicketKind.OPEN)
    steps = (
        ("leads", lead, new, qualified, leads.get, "status_id", working),
        ("tickets", ticket, TicketKind.NEW.value, TicketKind.WAITING_THIRD.value, tickets.get, "status", TicketKind.OPEN),
    )
    for url, record, origin, target, get, field, theirs in steps:
        dropped(monkeypatch, record, origin, target, times=2)  # the question is drawn once more for its answer
        app = open_screen(root, url, show="board")
        with read_session() as session:
            assert getattr(get(session, root, record.id), field) == theirs
        app.button(key="clash_mine").click().run()
        with read_session() as session:
            assert getattr(get(session, root, record.id), field) == target and not app.exception, url


def test_a_card_is_moved_all_the_same_when_a_colleague_changed_something_else(cast, monkeypatch):
    root = cast["root"]
    with write_session() as session:
        ticket = crud.create(session, root, "ticket", {"subject": "Lamp"})
    with write_session() as session:
        crud.update(session, root, "ticket", ticket.id, {"subject": "Two lamps"}, base_version=ticket.version)
    dropped(monkeypatch, ticket, TicketKind.NEW.value, TicketKind.WAITING_THIRD.value)
    app = open_screen(root, "tickets", show="board")
    with read_session() as session:
        found = tickets.get(session, root, ticket.id)
    assert (found.status, found.subject) == (TicketKind.WAITING_THIRD, "Two lamps") and not app.exception
    assert "clash_mine" not in {one.key for one in app.button} and "meanwhile" not in words(app)
