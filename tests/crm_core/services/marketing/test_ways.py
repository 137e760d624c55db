"""A campaign that goes out by several ways: people of their own, one draw per person, lists, costs and results by way."""

from datetime import date, timedelta

import pytest

from crm_core import errors
from crm_core.db import write_session
from crm_core.kit import clock
from crm_core.models import CampaignMember, Contact
from crm_core.services.marketing import all_ways, audience, campaigns, handouts, launching, outcomes, plans, segments, sending, ways
from crm_core.vocabulary import Gate, Outlet, RecipientStep
from tests.crm_core.services.marketing.outreach import campaign, launch, members, no_quiet_hours, people, run
from tests.verbs import do, look

MAIL, CALLS = Outlet.EMAIL, Outlet.CALL_LIST


def funnels(actor, campaign_id):
    def ask(session, asker):
        found = ways.find(session, asker, plans.get(session, asker, campaign_id))
        return {way.outlet: audience.funnel(session, asker, way.aim) for way in found}, all_ways.whole(
            session, asker, [way.aim for way in found]
        )

    return look(ask, actor)


@pytest.fixture
def planned(cast):
    """40 people by e-mail; by phone the last 10 of them and 10 more, one of whom is another record of the first one."""
    dana = cast["dana"]
    no_quiet_hours(cast["root"])
    mailed = people(40, phone="+1 555 0100")
    called = people(10, first=50, phone="+1 555 0101")
    with write_session() as session:
        session.get(Contact, called[0]).email = "IDA0@example.com"
    made = campaign(dana, mailed, holdout_pct=20, subject="Hi", body="Hello\n\n{{#only 1 Loyal}}\nthanks\n{{/only}}")
    with pytest.raises(errors.Invalid):
        do(ways.choose, dana, made, [])
    do(campaigns.set_channels, dana, made, [{"channel": "phone", "planned_cost_minor": 900, "actual_cost_minor": 700}])
    do(ways.choose, dana, made, [CALLS, MAIL])
    own = do(segments.create, dana, name="Callers", entity="contact", kind="static", record_ids=[*mailed[30:], *called])
    do(ways.change, dana, made, CALLS, {"segment_ids": [own], "exclude_ids": []})
    return made, mailed, called


def test_each_way_has_its_own_people_and_chance_holds_a_person_out_of_all_or_none(cast, planned):
    dana, (made, mailed, called) = cast["dana"], planned
    by_way, whole = funnels(dana, made)
    assert {way: found.eligible for way, found in by_way.items()} == {MAIL: 40, CALLS: 20}
    assert (whole.total, whole.eligible, whole.held_out, whole.lost) == (50, 49, 10, {Gate.UNREACHED: 1})
    assert launch(dana, made).receive == 39
    rows = {row.contact_id: row for row in members(made)}
    assert len(rows) == 49 and called[0] not in rows and sum(row.is_control for row in rows.values()) == 10
    drawn = sorted(rows, key=lambda one: (audience.draw_of(one, look(plans.get, dana, made).seed), one))[:10]
    assert {one for one, row in rows.items() if row.is_control} == set(drawn)
    assert {rows[one].ways for one in mailed[:30]} == {",email,"} and {rows[one].ways for one in mailed[30:]} == {
        ",email,call_list,"
    }
    assert {rows[one].step for one in called[1:]} <= {RecipientStep.LISTED, RecipientStep.HOLDOUT}
    assert {rows[one].variant for one in called[1:]} == {None} and rows[mailed[0]].inside == ",1,"
    kept = {
        way.outlet: way for way in look(lambda session, actor: ways.find(session, actor, plans.get(session, actor, made)), dana)
    }
    held = sum(rows[one].is_control for one in [*mailed[30:], *called[1:]])
    assert kept[CALLS].funnel == [20, {"same_address": 1}, 19, held] and kept[MAIL].funnel[2] == 40
    with pytest.raises(errors.Conflict):
        do(ways.change, dana, made, CALLS, {"segment_ids": None})
    with pytest.raises(errors.Conflict):
        do(ways.choose, dana, made, [MAIL])


def test_a_list_leaves_without_the_held_out_and_results_and_costs_stand_by_way(cast, planned):
    dana, (made, mailed, called) = cast["dana"], planned
    launch(dana, made)
    listed = do(handouts.export, dana, made, outlet=CALLS).decode()
    rows = {row.contact_id: row for row in members(made)}
    treated = [one for one in [*mailed[30:], *called[1:]] if not rows[one].is_control]
    assert listed.count("Person") == len(treated)
    with pytest.raises(errors.NotFound):
        do(handouts.export, dana, made, outlet=Outlet.EVENT)
    run(made)
    assert look(sending.progress, dana, made).total == sum(
        row.step is not RecipientStep.HOLDOUT and "email" in row.ways for row in rows.values()
    )
    with write_session() as session:
        for one in treated[:3]:
            session.get(CampaignMember, rows[one].id).responded_at = clock.utcnow()
    do(ways.change, dana, made, CALLS, {"actual_cost_minor": 1_000, "ends_on": date(2030, 1, 1)})
    with write_session() as session:
        plans.stored(session, dana, made).goal = "response"
    found = look(outcomes.get, dana, made, at=clock.utcnow() + timedelta(hours=1))
    by_way = {one.outlet: one for one in found.by_way}
    assert (by_way[CALLS].treated.people, by_way[CALLS].treated.converted, by_way[CALLS].control.people) == (
        len(treated),
        3,
        19 - len(treated),
    )
    assert by_way[MAIL].treated.people + by_way[MAIL].control.people == 40 and found.treated.people == 39
    assert (by_way[CALLS].planned_minor, by_way[CALLS].cost_minor, found.cost_minor) == (900, 1_000, 1_000)


def test_a_way_keeps_its_people_when_costs_are_written_and_bad_input_is_told(cast, planned):
    dana, (made, *_) = cast["dana"], planned
    do(
        campaigns.set_channels,
        dana,
        made,
        [{"channel": "phone", "planned_cost_minor": 5}, {"channel": "email"}, {"channel": "sms"}],
    )
    assert funnels(dana, made)[0][CALLS].eligible == 20
    with pytest.raises(errors.Invalid, match="Take it out under Audience"):
        do(campaigns.set_channels, dana, made, [{"channel": "email"}])
    for wrong in ({"planned_cost_minor": -1}, {"starts_on": "soon"}, {"segment_ids": [1], "exclude_ids": [1]}, {"nonsense": 1}):
        with pytest.raises(errors.Invalid):
            do(ways.change, dana, made, CALLS, wrong)
    for who in ("alice", "ana"):
        with pytest.raises(errors.NotPermitted):
            do(ways.choose, cast[who], made, [MAIL])
    assert look(launching.readiness, dana, made).funnel.receive == 39
    do(ways.choose, dana, made, [CALLS])
    assert look(plans.get, dana, made).outlet is CALLS
    assert {one.channel.value for one in look(campaigns.channels, dana, made)} == {"email", "phone", "sms"}
    assert funnels(dana, made)[1].eligible == 40
