"""Today on screen: every role, an empty database, tick a task off, open what waits."""

import pytest

from crm_core.db import read_session, write_session
from crm_core.services import crud
from crm_core.services.collaboration import tasks
from tests.pages.app import open_screen, words
from tests.pages.sales.test_sales_pages import EVIL


@pytest.mark.parametrize("who", ["root", "bob", "alice", "charlie", "dana", "sam", "ana"])
def test_the_page_stands_for_every_role_with_nothing_in_it(cast, who):
    app = open_screen(cast[who], "today")
    assert not app.exception and not app.error
    assert "My tasks" in words(app) and "Nobody else touched your records" in words(app)
    assert ("First steps" in words(app)) is (who not in ("sam", "ana")), "agents and analysts bring nothing in"


def test_a_task_is_ticked_off_and_another_added(cast):
    alice = cast["alice"]
    with write_session() as session:
        deal = crud.create(session, alice, "deal", {"name": EVIL.strip()[:300]})
        task = tasks.create(session, alice, {"subject": EVIL.strip()[:300], "deal_id": deal.id})
    app = open_screen(alice, "today")
    assert not app.exception and "Deals that wait for me" in words(app) and "First steps" not in words(app)
    app.text_input(key="today_new_0").set_value("Call Maria")
    app.button(key="today_add").click().run()
    box = next(found for found in app.checkbox if found.key == f"today_{task.id}_{task.version}")
    assert box.label.removeprefix("\u2068").startswith("\\!\\[x\\]")
    box.check().run()
    assert not app.exception
    with read_session() as session:
        assert [found.subject for found in tasks.mine(session, alice)] == ["Call Maria"]
    told = words(open_screen(cast["bob"], "today"))
    assert "Needs attention in the team" in told and "nobody wrote down what comes next" in told
    assert "in the team" not in words(open_screen(alice, "today")), "nobody reports to her"
