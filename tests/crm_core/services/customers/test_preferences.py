"""What a person asked for is obeyed: hours in their own time zone, channels, and what they do not want at all."""

from datetime import UTC, datetime, time

import pytest

from crm_core.db import read_session, write_session
from crm_core.errors import Invalid, NotFound
from crm_core.services.customers import contacts, preferences
from crm_core.services.customers.reach_rules import Wishes, days_of, hours_of, may_reach, next_time
from crm_core.vocabulary import PreferredChannel, Verdict, Way

NINE_UTC = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)  # a Wednesday: 10:00 in Berlin, 04:00 in New York


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("09:00-12:00", [(time(9), time(12))]),
        ("9–12.30, 14 to 17", [(time(9), time(12, 30)), (time(14), time(17))]),
        ("2-5 pm", [(time(14), time(17))]),
        ("9am - 1pm", [(time(9), time(13))]),
        ("10 - 2pm", [(time(10), time(14))]),
        ("9-12 Uhr", [(time(9), time(12))]),
        ("22:00-06:00", [(time(22), time(6))]),
        ("8-12pm", [(time(8), time(12))]),
        ("9am-5", [(time(9), time(17))]),
        ("9-17, not 12-13", [(time(9), time(17))]),
        ("after lunch", []),
        ("do not call before 10:00", [(time(10), time(21))]),
        ("not before 9, not after 17", [(time(9), time(17))]),
        ("after 2 pm", [(time(14), time(21))]),
        ("nicht vor 9 Uhr", [(time(9), time(21))]),
        ("after 3 attempts", []),
        ("25-99", []),
        ("", []),
    ],
)
def test_hours_are_read_as_people_write_them(text, spans):
    assert hours_of(text) == spans


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("Mon-Thu 9-12", {0, 1, 2, 3}), ("Tuesdays and Thursdays", {1, 3}), ("Mo, Do 9-11", {0, 3}), ("Montag bis Mittwoch", {0, 1, 2}),
        ("not Mondays", {1, 2, 3, 4, 5, 6}), ("nicht Fr", {0, 1, 2, 3, 5, 6}), ("Mon-Fri except Tue", {0, 2, 3, 4}), ("9-12, nie So", {0, 1, 2, 3, 4, 5}),
        ("Fri-Mon", {4, 5, 6, 0}), ("do not call before 9", set()), ("sunny mornings", set()), ("9-12", set()),
    ],
)  # fmt: skip
def test_days_are_read_as_people_write_them(text, days):
    assert days_of(text) == days


def test_a_day_that_does_not_suit_is_said_and_the_plan_waits_for_one_that_does():
    wishes = Wishes("Ida", hours="Tue 9-12", zones=("Europe/Berlin",))
    assert may_reach(wishes, Way.CALL, NINE_UTC).reasons == (
        "It is 10:00 AM where they are on Wednesday; the best time is Tue 9-12.",
    )
    assert next_time(wishes, NINE_UTC) == datetime(2026, 12, 1, 8, 0, tzinfo=UTC)


def test_the_hour_is_that_of_the_person_not_of_the_caller():
    berlin = Wishes("Ida", hours="09:00-12:00", zones=("Europe/Berlin",))
    new_york = Wishes("Ida", hours="09:00-12:00", zones=("America/New_York",))
    assert may_reach(berlin, Way.CALL, NINE_UTC).verdict is Verdict.YES
    answer = may_reach(new_york, Way.CALL, NINE_UTC)
    assert (answer.verdict, answer.reasons) == (Verdict.THINK, ("It is 4:00 AM where they are; the best time is 09:00-12:00.",))
    assert may_reach(new_york, Way.EMAIL, NINE_UTC).verdict is Verdict.YES, "an e-mail waits"


def test_night_is_no_time_to_call_even_without_preferred_hours():
    assert "night" in may_reach(Wishes("Ida", zones=("America/New_York",)), Way.CALL, NINE_UTC).reasons[0]
    assert may_reach(Wishes("Ida"), Way.CALL, NINE_UTC).verdict is Verdict.YES, "nothing is known of where they are"
    assert may_reach(Wishes("Ida", zones=("A", "B", "C", "D")), Way.CALL, NINE_UTC).local is None


@pytest.mark.parametrize(
    ("wishes", "way", "verdict"),
    [
        (Wishes("Ida", no_call=True), Way.CALL, Verdict.NO),
        (Wishes("Ida", no_call=True), Way.EMAIL, Verdict.YES),
        (Wishes("Ida", no_email=True), Way.EMAIL, Verdict.NO),
        (Wishes("Ida", PreferredChannel.NONE), Way.CALL, Verdict.NO),
        (Wishes("Ida", PreferredChannel.EMAIL), Way.CALL, Verdict.THINK),
        (Wishes("Ida", PreferredChannel.PHONE), Way.CALL, Verdict.YES),
        (Wishes("Ida", PreferredChannel.MEETING), Way.EMAIL, Verdict.THINK),
    ],
)
def test_a_no_is_a_no_and_another_channel_asks_to_think(wishes, way, verdict):
    assert may_reach(wishes, way, NINE_UTC).verdict is verdict


def test_the_next_good_moment_skips_the_weekend():
    friday_night = datetime(2026, 11, 27, 22, 0, tzinfo=UTC)
    found = next_time(Wishes("Ida", hours="09:00-12:00", zones=("Europe/Berlin",)), friday_night)
    assert found is not None and found.isoformat() == "2026-11-30T09:00:00+01:00"
    assert next_time(Wishes("Ida", hours="after lunch"), friday_night) is None


def test_the_area_of_the_number_tells_the_time_zone_unless_one_is_written_down(cast):
    with write_session() as session:
        ida = contacts.create(session, cast["alice"], {"name": "Ida", "phone": "+1 212 555 0100", "preferred_hours": "9-17"})
    with read_session() as session:
        found = preferences.of(session, cast["alice"], ida.id, now=NINE_UTC)
        assert found.call.verdict is Verdict.THINK and found.noted is not None and found.noted.who == "Alice Rep"
        masked = preferences.of(session, cast["ana"], ida.id, now=NINE_UTC)
        assert masked.wishes.zones == () and masked.wishes.name == "This person"
    with write_session() as session:
        contacts.update(session, cast["bob"], ida.id, {"timezone": "Europe/Berlin"})
    with read_session() as session:
        found = preferences.of(session, cast["alice"], ida.id, now=NINE_UTC)
        assert found.call.verdict is Verdict.YES and found.noted is not None and found.noted.who == "Bob Manager"
        assert preferences.of_some(session, cast["alice"], None) is None and preferences.of_some(session, cast["alice"], 99) is None
        with pytest.raises(NotFound):
            preferences.of(session, cast["alice"], 99)


def test_a_time_zone_that_does_not_exist_is_refused(cast):
    for wrong in ("Mars/Phobos", "../etc/passwd", "/etc/localtime"):
        with pytest.raises(Invalid) as caught, write_session() as session:
            contacts.create(session, cast["alice"], {"name": "Ida", "timezone": wrong})
        assert "Europe/Berlin" in caught.value.fields["timezone"]
