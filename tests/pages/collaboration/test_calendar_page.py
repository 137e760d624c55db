"""The page of the calendar."""

from crm_core.db import write_session
from crm_core.kit import clock
from crm_core.services.collaboration import agenda
from tests.pages.app import open_screen


def test_every_view_opens_for_every_role_and_a_plan_is_made(cast):
    with write_session() as session:
        agenda.meet(session, cast["alice"], {"subject": "![x](http://e) <script>", "at": clock.utcnow()})
    for who in ("root", "dana", "sam", "ana"):
        app = open_screen(cast[who], "calendar")
        assert not app.exception
    app = open_screen(cast["alice"], "calendar", day="2026-13-99")
    for view in ("Day", "Month", "Agenda"):
        app.button_group(key="view").set_value([view]).run() if hasattr(app, "button_group") else None
        assert not app.exception
    app.button(key="cal_on").click().run()
    assert not app.exception and app.query_params["day"]
    app.button(key="cal_plan").click().run()
    assert not app.exception and any(field.key == "plan_subject" for field in app.text_input)
    app = open_screen(cast["alice"], "calendar")
    app.button(key="cal_settings").click().run()
    assert not app.exception and any(button.key == "feed_new" for button in app.button)
