"""When somebody may be written to: quiet hours of ours, hours and weekdays of theirs, in whatever words they were noted."""

from datetime import UTC, datetime

import pytest

from crm_core.kit.best_time import days_of, hours_of, is_zone, next_instant

MON = datetime(2026, 6, 1, tzinfo=UTC)


def at(day, hour, minute=0):
    return MON.replace(day=day, hour=hour, minute=minute)


@pytest.mark.parametrize(
    ("now", "preferred", "expected"),
    [
        (at(1, 12), None, at(1, 12)),
        (at(1, 22), None, at(2, 8)),
        (at(1, 12), "15:00-17:00", at(1, 15)),
        (at(1, 10), "09:00-12:00", at(1, 10)),
        (at(1, 13, 5), "9-12 and 14-17", at(1, 14)),
        (at(1, 12), "2pm-4pm", at(1, 14)),
        (at(1, 12), "Tue-Thu 9-12", at(2, 9)),
        (at(4, 12), "Mon, Wed 9-12", at(8, 9)),
        (at(1, 12), "on Fridays", at(5, 8)),
        (at(1, 12), "21:00-23:00", at(1, 12)),  # never outside our quiet hours: theirs give way
        (at(1, 12), "in good weather", at(1, 12)),
    ],
)
def test_the_first_instant_that_suits_both(now, preferred, expected):
    assert next_instant(now, timezone="UTC", quiet_from="20:00", quiet_until="08:00", preferred=preferred) == expected


def test_weekends_and_the_readers_own_zone_count():
    say = {"quiet_from": "20:00", "quiet_until": "08:00"}
    assert next_instant(at(6, 12), timezone="UTC", days_off={5, 6}, **say) == at(8, 8)
    assert next_instant(at(4, 21), timezone="UTC", days_off={4, 5}, **say) == at(7, 8), "free on Friday and Saturday"
    assert next_instant(at(1, 19), timezone="Asia/Tokyo", **say) == at(1, 23), "it is four in the morning there"
    assert next_instant(at(1, 22), timezone="UTC", quiet_from="", quiet_until="") == at(1, 22)
    assert is_zone("Europe/Berlin") and not is_zone("Berlin")
    assert len(hours_of("9-12 and 14-17")) == 2 and days_of("Mon-Thu 9-12") == {0, 1, 2, 3}
