"""What the workspace's row says of its clock and its week."""

from datetime import UTC, datetime

from crm_core import house
from crm_core.db import read_session
from crm_core.services.admin import organisation
from crm_core.services.collaboration import notifications
from tests.verbs import do


def test_letters_tell_instants_by_the_clock_of_the_workspace_and_its_week_says_what_days_are_off(cast):
    root, at = cast["root"], datetime(2026, 11, 27, 12, 16, 28, tzinfo=UTC)
    with read_session() as session:
        assert house.written(session, at) == "2026-11-27 12:16 (UTC)" and house.days_off(session) == {5, 6}
    hours = {str(day): [["08:00", "16:00"]] for day in (6, 0, 1, 2, 3)}
    do(organisation.update, root, {"timezone": "America/St_Johns", "working_hours": hours})
    with read_session() as session:
        assert house.written(session, at) == "2026-11-27 08:46 (America/St Johns)" and house.days_off(session) == {4, 5}
        assert notifications.preference(session, root).first_weekday == 6, (
            "the calendar of whoever chose nothing begins with Sunday"
        )
