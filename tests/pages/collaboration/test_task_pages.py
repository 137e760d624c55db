"""Tasks on screen: every role, nothing in it, words that look like Markdown, done with one click."""

import pytest

from crm_core.db import read_session, write_session
from crm_core.kit import clock
from crm_core.models import Task
from crm_core.services.collaboration import tasks
from crm_core.vocabulary import TaskStatus
from tests.pages.app import open_screen, words
from tests.pages.sales.test_sales_pages import EVIL


def make(actor, **values):
    with write_session() as session:
        return tasks.create(session, actor, {"subject": EVIL.strip()[:300], **values})


@pytest.mark.parametrize("who", ["root", "bob", "alice", "dana", "sam", "ana"])
def test_the_list_stands_for_every_role(cast, who):
    app = open_screen(cast[who], "tasks")
    assert not app.exception and not app.error
    assert ("Nothing planned for you" in words(app)) == (who in ("root", "bob")), "whoever sees nothing but their own has no switch"
    make(cast["alice"])
    assert not open_screen(cast[who], "tasks").exception


def test_a_task_is_done_put_off_and_opened_again_on_its_page(cast):
    alice = cast["alice"]
    task = make(alice, due_at=clock.today(alice.timezone), body="**not bold**")
    app = open_screen(alice, "task", id=task.id)
    assert (
        not app.exception and EVIL.strip()[:20] in words(app) and app.title[0].value.removeprefix("\u2068").startswith("\\!\\[x\\]")
    )
    app.menu_button(key="more_on_phones").click("later:Next Monday").run()
    with read_session() as session:
        moved = session.get(Task, task.id)
        assert moved.due_at > task.due_at and moved.due_at.weekday() == 0
    app.button(key="complete").click().run()
    assert not app.exception
    with read_session() as session:
        assert session.get(Task, task.id).status is TaskStatus.DONE
    app.button(key="reopen").click().run()
    with read_session() as session:
        assert session.get(Task, task.id).status is TaskStatus.OPEN


def test_somebody_elses_task_looks_like_one_that_does_not_exist(cast):
    task = make(cast["alice"])
    app = open_screen(cast["charlie"], "task", id=task.id)
    assert "does not exist" in app.error[0].value
