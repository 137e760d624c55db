"""A campaign from its plan to its last message: who is chosen, who is held out, what goes out, what stops it."""

from datetime import UTC, datetime, timedelta
from email import message_from_string, policy

import pytest
from sqlmodel import select

from crm_core.access import load, system
from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.jobs.run import begin
from crm_core.kit import clock
from crm_core.models import CampaignPlan, Contact, MailDelivery, RolePermission, User, UserRole
from crm_core.services.collaboration import bounces
from crm_core.services.customers import consent, unsubscribing
from crm_core.services.marketing import audience, campaigns, handouts, launching, letters, outcomes, plans, segments, sending
from crm_core.services.marketing.outcomes import Slice
from crm_core.services.sales import leads
from crm_core.vocabulary import (
    Action,
    CampaignStatus,
    ConsentStatus,
    ContactWay,
    Gate,
    MailState,
    MemberStatus,
    Outlet,
    PlanState,
    PreferredChannel,
    Purpose,
    Scope,
)
from tests.crm_core.services.collaboration.test_bounces import REPORT
from tests.crm_core.services.marketing.outreach import campaign, launch, mail_server, members, no_quiet_hours, people, run
from tests.smtp_server import kept
from tests.verbs import do, look

NOON = datetime(2026, 6, 3, 12, tzinfo=UTC)


@pytest.fixture
def dana(cast):
    no_quiet_hours(cast["root"])
    return cast["dana"]


@pytest.fixture
def server(tmp_path, monkeypatch):
    with mail_server(tmp_path, monkeypatch) as path:
        yield path


def plan_of(campaign_id):
    with read_session() as session:
        return session.exec(select(CampaignPlan).where(CampaignPlan.campaign_id == campaign_id)).one()


def change(contact_id, **values):
    with write_session() as session:
        row = session.get(Contact, contact_id)
        for key, value in values.items():
            setattr(row, key, value)
        session.add(row)


def test_each_gate_names_its_people_and_the_rest_receive(dana):
    ids = people(12)
    bare = people(1, first=50, agreed=False)
    change(ids[0], email=None)
    change(ids[1], do_not_email=True)
    change(ids[2], preferred_channel=PreferredChannel.NONE)
    change(ids[3], email="IDA4@example.com")
    with write_session() as session:
        unsubscribing.block(session, dana, "Ida5@Example.com")
        for n in range(2):
            session.add(
                MailDelivery(
                    dedupe_key=f"d{n}",
                    kind="campaign",
                    purpose=Purpose.MARKETING,
                    state=MailState.SENT,
                    address="x@y",
                    address_key="x@y",
                    next_at=clock.utcnow(),
                    sent_at=clock.utcnow(),
                    contact_id=ids[6],
                )
            )
    out = do(segments.create, dana, name="Not these", entity="contact", kind="static", record_ids=[ids[7]])
    made = campaign(dana, [*ids, *bare], exclude_ids=[out], holdout_pct=50)
    found = look(lambda session, actor: audience.funnel(session, actor, plans.get(session, actor, made)), dana)
    assert found.lost == {
        Gate.EXCLUDED: 1,
        Gate.NO_ADDRESS: 1,
        Gate.OBJECTED: 2,
        Gate.NO_CONSENT: 1,
        Gate.SUPPRESSED: 1,
        Gate.OVER_CAP: 1,
        Gate.SAME_ADDRESS: 1,
    }
    assert (found.total, found.eligible, found.held_out, found.receive) == (13, 5, 3, 2)
    launched = launch(dana, made)
    steps = [row.step for row in members(made)]
    assert launched == found and len(steps) == 5 and steps.count("holdout") == 3
    refused = [look(consent.may_contact, dana, one).gate for one in (ids[0], ids[1], ids[5], ids[6], bare[0], ids[8])]
    assert refused == [Gate.NO_ADDRESS, Gate.OBJECTED, Gate.SUPPRESSED, Gate.OVER_CAP, Gate.NO_CONSENT, None]


def test_messages_carry_their_person_a_countable_link_and_one_click_to_leave(dana, server):
    made = campaign(dana, people(3))
    launch(dana, made)
    run(made)
    arrived = {one["to"][0]: message_from_string(one["text"], policy=policy.default) for one in kept(server)}
    assert sorted(arrived) == [f"ida{n}@example.com" for n in range(3)]
    message = arrived["ida1@example.com"]
    assert message["Subject"] == "Hello Ida1" and message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["List-Unsubscribe"].startswith("<http://localhost:8501/u/")
    text, html = (message.get_body([kind]).get_content() for kind in ("plain", "html"))
    assert "http://localhost:8501/t/" in text and "http://localhost:8501/t/" in html and "/o/" in html
    assert "shop.example.com" not in html and "1 Road, Town" in text
    assert {row.status for row in members(made)} == {"sent"} and plan_of(made).state is PlanState.DONE
    run(made)
    assert len(kept(server)) == 3


def listed(actor, made):
    """The progress of a sending, of which each number is that of the list it leads to."""
    found = look(sending.progress, actor, made)
    numbers = {
        ("sent", ""): found.out,
        ("bounced", ""): found.bounced,
        ("waiting", ""): found.waiting,
        ("outbox", ""): found.in_outbox,
    }
    numbers |= {("failed", ""): found.failed, ("skipped", ""): sum(found.skipped.values())}
    numbers |= {("skipped", why): many for why, many in found.skipped.items()}
    for (what, why), many in numbers.items():
        shown = look(outcomes.members, actor, made, Slice(what, reason=why))
        assert shown.total + shown.hidden == many, (what, why)
    return found


def test_the_last_moment_is_asked_again(dana, server):
    ids = people(4)
    made = campaign(dana, ids)
    launch(dana, made)
    change(ids[0], do_not_email=True)
    change(ids[1], deleted_at=clock.utcnow())
    with write_session() as session:
        unsubscribing.block(session, dana, "ida2@example.com")
    run(made)
    assert [one["to"] for one in kept(server)] == [["ida3@example.com"]]
    assert look(sending.progress, dana, made).skipped == {"objected": 1, "gone": 1, "suppressed": 1}
    with write_session() as session:
        session.get(MailDelivery, members(made)[3].mail_id).state = MailState.CANCELLED
    found = listed(dana, made)
    assert (found.failed, found.skipped["called_back"]) == (0, 1), "whose letter was called back is left out, not failed"
    with write_session() as session:
        session.get(MailDelivery, members(made)[3].mail_id).state = MailState.FAILED
    assert listed(dana, made).failed == 1
    with write_session() as session:
        session.get(MailDelivery, members(made)[3].mail_id).state = MailState.PENDING
    assert listed(dana, made).in_outbox == 1


def test_quiet_hours_and_a_persons_own_hours_are_waited_for(cast, server):
    no_quiet_hours(cast["root"], quiet_from="20:00", quiet_until="08:00")
    ids = people(2)
    change(ids[1], preferred_hours="15:00-17:00")
    made = campaign(cast["dana"], ids)
    with clock.frozen(NOON.replace(hour=22)):
        launch(cast["dana"], made)
        run(made, "j1")
        assert kept(server) == [] and {row.due_at for row in members(made)} == {(NOON + timedelta(days=1)).replace(hour=8)}
    with clock.frozen(NOON + timedelta(days=1)):
        run(made, "j2")
        assert [one["to"] for one in kept(server)] == [["ida0@example.com"]]
        assert plan_of(made).state is PlanState.SENDING
        told = listed(cast["dana"], made)
        assert (told.waiting, told.next_at) == (1, NOON + timedelta(days=1, hours=3))
    with clock.frozen(NOON + timedelta(days=1, hours=3)):
        run(made, "j3")
    assert len(kept(server)) == 2 and plan_of(made).state is PlanState.DONE


def test_two_campaigns_share_the_cap(dana, server):
    ids = people(1)
    made = [campaign(dana, ids) for _ in range(3)]
    for one in made:
        launch(dana, one)
    for one in made:
        run(one, f"j{one}")
    assert len(kept(server)) == 2 and look(sending.progress, dana, made[2]).skipped == {"over_cap": 1}


def test_an_address_that_bounces_counts_as_bounced_and_is_excluded_from_the_next_campaign(dana, cast, server):
    made = campaign(dana, ids := people(2))
    launch(dana, made)
    run(made)
    with read_session() as session:
        mail = session.exec(select(MailDelivery).where(MailDelivery.address_key == "ida1@example.com")).one()
    raw = REPORT.replace("Ida@Example.com", "ida1@example.com").format(action="failed", status="5.1.1", message_id=mail.message_id)
    do(bounces.take_in, cast["root"], raw.encode())
    found = look(outcomes.get, dana, made).treated
    assert (found.sent, found.bounced) == (1, 1) and listed(dana, made).bounced == 1
    again = campaign(dana, ids)
    assert look(lambda s, a: audience.funnel(s, a, plans.get(s, a, again)), dana).lost == {Gate.SUPPRESSED: 1}


def test_pause_holds_back_resume_goes_on_and_stop_ends(dana, server):
    made = campaign(dana, people(3))
    launch(dana, made)
    do(launching.pause, dana, made)
    run(made)
    assert kept(server) == [] and look(campaigns.get, dana, made).status is CampaignStatus.PAUSED
    with pytest.raises(Conflict):
        do(launching.pause, dana, made)
    do(launching.resume, dana, made)
    do(launching.stop, dana, made)
    run(made)
    assert kept(server) == [] and look(sending.progress, dana, made).skipped == {"stopped": 3}
    with pytest.raises(Conflict):
        do(launching.resume, dana, made)


def test_a_second_launch_and_a_change_after_it_are_refused(dana):
    made = campaign(dana, people(2))
    launch(dana, made)
    with pytest.raises(Conflict, match="launched"):
        launch(dana, made)
    with pytest.raises(Conflict, match="launched"):
        do(plans.save, dana, made, {"holdout_pct": 20})
    with pytest.raises(Conflict, match="launched"):
        do(plans.set_variants, dana, made, [{"subject": "x", "body": "y"}])


def test_what_is_not_ready_is_refused_with_the_reason(dana, cast):
    nobody = campaign(dana, people(1, agreed=False))
    with pytest.raises(Conflict, match="excluded by one of the gates"):
        launch(dana, nobody)
    broken = campaign(dana, people(1, first=5), body="Hi {{nickname}} {{oops [x](javascript:alert(1))")
    with pytest.raises(Conflict, match="no field “nickname”"):
        launch(dana, broken)
    wordings = ["\n\n".join(f"{{{{#only {n}}}}}\nPart\n{{{{/only}}}}" for n in range(first, first + 11)) for first in (1, 12)]
    parted = campaign(dana, people(1, first=6))
    do(plans.set_variants, dana, parted, [{"subject": "Hi", "body": body} for body in wordings])
    with pytest.raises(Conflict, match="all wordings together can ask for at most 20 segments"):
        launch(dana, parted)
    with pytest.raises(NotPermitted):
        launch(cast["alice"], broken)
    with pytest.raises(NotFound):
        launch(dana, 999)
    with pytest.raises(Invalid, match="future"):
        do(launching.schedule, dana, broken, clock.utcnow() - timedelta(hours=1))


def test_the_audience_is_only_what_the_launcher_may_see(dana):
    """Two contacts in a segment; a marketer whose role reaches own contacts only addresses one."""
    ids = people(2)
    change(ids[0], owner_id=dana.user_id)
    made = campaign(dana, ids)
    with write_session() as session:
        role = session.exec(
            select(RolePermission).where(RolePermission.entity == "contact", RolePermission.action == Action.READ)
        ).all()
        mine = [row for row in role if row.role_id in _roles(session, dana.user_id)]
        mine[0].scope = Scope.OWN
        session.add(mine[0])
    with read_session() as session:
        narrow = load(session, dana.user_id)
    found = launch(narrow, made)
    assert (found.total, found.receive) == (1, 1) and [row.contact_id for row in members(made)] == [ids[0]]


def _roles(session, user_id):
    return set(session.exec(select(UserRole.role_id).where(UserRole.user_id == user_id)))


def test_a_scheduled_launch_freezes_the_audience_of_that_moment_once(dana):
    ids = people(3)
    made = campaign(dana, ids)
    at = clock.utcnow() + timedelta(hours=1)
    do(launching.schedule, dana, made, at, base_url="http://localhost:8501")
    assert look(campaigns.get, dana, made).status is CampaignStatus.SCHEDULED
    change(ids[0], do_not_email=True)
    launching.launch_when_due(begin("l1", "campaign.launch"), made, at.isoformat())
    launching.launch_when_due(begin("l2", "campaign.launch"), made, at.isoformat())
    assert len(members(made)) == 2 and plan_of(made).state is PlanState.SENDING


def test_a_scheduled_launch_whose_person_left_says_so_instead(dana):
    made = campaign(dana, people(1))
    at = clock.utcnow() + timedelta(hours=1)
    do(launching.schedule, dana, made, at, base_url="http://localhost:8501")
    with write_session() as session:
        session.get(User, dana.user_id).is_active = False
    launching.launch_when_due(begin("l1", "campaign.launch"), made, at.isoformat())
    assert plan_of(made).state is PlanState.DRAFT and "deactivated" in plan_of(made).message


def test_the_freeze_on_each_database_holds_out_by_the_stored_seed_and_splits_evenly(any_cast):
    dana = any_cast["dana"]
    no_quiet_hours(any_cast["root"])
    ids = people(300)
    made = campaign(dana, ids, holdout_pct=10)
    do(
        plans.set_variants,
        dana,
        made,
        [{"subject": "A", "body": "x https://e.com"}, {"subject": "B", "body": "y https://e.com", "weight": 2}],
    )
    do(campaigns.add_members, dana, made, "contact", ids[:5])
    launch(dana, made)
    rows, seed = members(made), plan_of(made).seed
    assert len(rows) == 300 and len({row.contact_id for row in rows}) == 300
    order = sorted(ids, key=lambda one: (audience.draw_of(one, seed), one))
    assert {row.contact_id for row in rows if row.is_control} == set(order[:30])
    split = [row.variant for row in rows if not row.is_control]
    assert split.count("A") == 90 and split.count("B") == 180
    run(made)
    with read_session() as session:
        assert len(session.exec(select(MailDelivery)).all()) == 270


def test_chance_has_no_pattern():
    shares = [sum(audience.draw_of(n, seed) < 214_748_364 for n in range(1, 20_001)) / 20_000 for seed in (1, 2, 77, 2**31 - 3)]
    assert all(0.094 < share < 0.106 for share in shares)
    parity = sum(audience.draw_of(n, 5) % 2 for n in range(0, 20_000, 2)) / 10_000
    assert 0.48 < parity < 0.52


def test_leads_are_addressed_too_unless_they_became_contacts_or_share_an_address(dana, server):
    status = look(lambda s, a: leads.statuses(s, a), dana)[0].id if hasattr(leads, "statuses") else None
    ids = people(1)
    values = [{"name": "New One", "email": "new@example.com", "company": "N"}, {"name": "Old One", "email": "IDA0@example.com"}]
    made_leads = [do(leads.create, dana, {**value, **({"status_id": status} if status else {})}).id for value in values]
    for one in made_leads:
        do(
            consent.record,
            dana,
            "lead",
            one,
            purpose=Purpose.MARKETING,
            way=ContactWay.EMAIL,
            status=ConsentStatus.GRANTED,
            source="a fair",
        )
    made = campaign(dana, ids)
    also = do(segments.create, dana, name="Leads", entity="lead", kind="static", record_ids=made_leads)
    do(plans.save, dana, made, {"segment_ids": [*look(plans.get, dana, made).segment_ids, also]})
    found = launch(dana, made)
    assert found.lost == {Gate.SAME_ADDRESS: 1} and found.receive == 2
    do(leads.convert, system(), made_leads[0])
    run(made)
    assert [one["to"] for one in kept(server)] == [["ida0@example.com"]], (
        "who became a contact before their hour is no lead any more"
    )
    assert look(sending.progress, dana, made).skipped == {"converted": 1}
    change(ids[0], do_not_email=True)
    again = campaign(dana, ids)
    do(plans.save, dana, again, {"segment_ids": [*look(plans.get, dana, again).segment_ids, also]})
    assert look(lambda s, a: audience.funnel(s, a, plans.get(s, a, again)), dana).lost == {Gate.OBJECTED: 2, Gate.CONVERTED: 1}


def test_a_call_list_obeys_do_not_call_leaves_the_hold_out_off_and_needs_the_right_to_export(dana, cast):
    ids = people(10, phone="+1 202 555 0143")
    change(ids[0], do_not_call=True)
    made = campaign(dana, ids, outlet=Outlet.CALL_LIST, holdout_pct=20)
    with pytest.raises(Conflict):
        do(handouts.export, dana, made)
    launch(dana, made)
    lines = do(handouts.export, dana, made).decode("utf-8-sig").strip().splitlines()
    assert lines[0].startswith("Name,Company") and len(lines) == 1 + 7
    assert sorted(row.status for row in members(made)).count(MemberStatus.SENT) == 7
    with pytest.raises(NotPermitted):
        do(handouts.export, cast["sam"], made)
    with pytest.raises(Conflict, match="does not see"):
        do(handouts.export, cast["ana"], made)


def test_an_ad_audience_holds_hashes_only(dana):
    ids = people(2)
    for one in ids:
        do(
            consent.record,
            dana,
            "contact",
            one,
            purpose=Purpose.MARKETING,
            way=ContactWay.ADS,
            status=ConsentStatus.GRANTED,
            source="a form",
        )
    made = campaign(dana, ids, outlet=Outlet.AD_AUDIENCE)
    launch(dana, made)
    text = do(handouts.export, dana, made).decode("utf-8-sig")
    assert "@" not in text and "Ida" not in text and len(text.split("\n")[1].split(",")[0]) == 64


def test_a_test_message_goes_to_oneself_and_counts_for_nothing(dana, server):
    made = campaign(dana, people(2))
    assert do(letters.send_test, dana, made, "A", submit_key="k") == "dana@example.com"
    assert do(letters.send_test, dana, made, "A", submit_key="k") == "dana@example.com"
    with read_session() as session:
        found = session.exec(select(MailDelivery)).one()
    assert found.subject.startswith("[Test] Hello Ida") and found.kind == "campaign_test"
    assert members(made) == []


def test_a_segment_is_not_both_addressed_and_excepted_however_it_is_chosen(dana):
    made = campaign(dana, people(1))
    (inside,) = look(plans.get, dana, made).segment_ids
    for changes in ({"exclude_ids": [inside]}, {"segment_ids": [inside], "exclude_ids": [inside]}):
        with pytest.raises(Invalid, match="both"):
            do(plans.save, dana, made, changes)
    do(plans.save, dana, made, {"segment_ids": [], "exclude_ids": [inside]})
    with pytest.raises(Invalid, match="both"):
        do(plans.save, dana, made, {"segment_ids": [inside]})
