"""Working hours, and the days that forms propose by them."""

from datetime import UTC, date, datetime, time

import pytest

from crm_core.kit import clock
from crm_core.services.admin import organisation
from crm_core.services.helpdesk import calendars
from tests.verbs import do, look

NOON = time(12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("today", "days", "proposed"),
    [(date(2026, 11, 26), 1, date(2026, 11, 27)), (date(2026, 11, 27), 1, date(2026, 11, 30)), (date(2026, 11, 27), 7, date(2026, 12, 4)), (date(2026, 11, 28), 0, date(2026, 11, 30))],
)  # fmt: skip
def test_a_task_is_proposed_for_a_day_on_which_its_owner_works(cast, today, days, proposed):
    with clock.frozen(datetime.combine(today, NOON)):
        assert look(calendars.proposed_day, cast["alice"], days) == proposed


def test_the_proposed_day_keeps_the_working_week_of_the_workspace(cast):
    week = {str(n): [["09:00", "17:00"]] for n in (6, 0, 1, 2, 3)}
    do(organisation.update, cast["root"], {"working_hours": week})
    with clock.frozen(datetime(2026, 11, 26, 12, tzinfo=UTC)):  # a Thursday
        assert look(calendars.proposed_day, cast["alice"], 1) == date(2026, 11, 29), "Sunday begins the week here"
