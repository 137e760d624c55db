"""Results: both groups counted alike, the difference first, silence where too little was seen."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import insert, update
from sqlalchemy.event import listen

from crm_core.db import bump, read_session, write_session
from crm_core.errors import Conflict, Invalid, NotFound
from crm_core.frames import touchpoints
from crm_core.kit import clock
from crm_core.models import CampaignMember, Contact, MailDelivery, Order
from crm_core.services import crud
from crm_core.services.analytics import metrics
from crm_core.services.analytics.metric_rules import METRICS
from crm_core.services.marketing import campaigns, launching, outcomes, plans, segments, ways
from crm_core.services.marketing.outcomes import Slice
from crm_core.vocabulary import MailState, MemberStatus, OrderStatus, Outlet
from tests.crm_core.services.marketing.outreach import campaign, launch, members, no_quiet_hours, people
from tests.verbs import do, look


@pytest.fixture
def finished(cast):
    """200 people, half held out; 40 of the addressed and 10 of the hold-out bought for 100 each, and some outside the window or cancelled."""
    no_quiet_hours(cast["root"])
    made = campaign(cast["dana"], people(200), holdout_pct=50, window_days=30)
    do(campaigns.set_channels, cast["dana"], made, [{"channel": "email", "planned_cost_minor": 0, "actual_cost_minor": 50_000}])
    launch(cast["dana"], made)
    rows = members(made)
    addressed, held = ([row.contact_id for row in rows if row.is_control is flag] for flag in (False, True))
    now = clock.utcnow()
    order(addressed[:40] + held[:10], now + timedelta(days=3))
    order(addressed[:5], now + timedelta(days=4))
    order(held[20:40], now + timedelta(days=31))
    order(held[40:60], now - timedelta(days=1))
    order(held[60:80], now + timedelta(days=2), OrderStatus.CANCELLED)
    return made


def order(contact_ids, at, status=OrderStatus.PLACED):
    rows = [
        {
            "number": f"N{contact_id}-{at.isoformat()}", "contact_id": contact_id, "ordered_at": at, "total_minor": 10_000, "status": status,
            "created_at": at, "updated_at": at, "version": 1, "currency": "USD", "extra": {},
        }
        for contact_id in contact_ids
    ]  # fmt: skip
    with write_session() as session:
        session.execute(insert(Order), rows)


def test_the_difference_against_the_hold_out_is_found_with_cost_and_return(cast, finished):
    at = clock.utcnow() + timedelta(days=40)
    found = look(outcomes.get, cast["dana"], finished, at=at)
    assert (
        found.final
        and (found.treated.people, found.treated.converted) == (100, 40)
        and (found.control.people, found.control.converted) == (100, 10)
    )
    assert found.share.value == pytest.approx(0.3) and found.share.low > 0.15 and found.share.clear
    assert found.treated.revenue_minor == 450_000 and found.extra_revenue.value == pytest.approx(350_000)
    back, extra = found.return_on_cost, found.extra_revenue
    assert back.value == pytest.approx((350_000 - 50_000) / 50_000)
    assert (back.low, back.high) == pytest.approx(((extra.low - 50_000) / 50_000, (extra.high - 50_000) / 50_000))


def test_early_the_result_is_preliminary_and_says_what_is_missing(cast, finished):
    found = look(outcomes.get, cast["dana"], finished, at=clock.utcnow() + timedelta(days=1))
    assert not found.final and not found.share.enough and "10 conversions" in found.share.missing and found.return_on_cost is None


def test_people_see_only_what_their_role_reaches(cast, finished):
    at = clock.utcnow() + timedelta(days=40)
    rep = look(outcomes.get, cast["alice"], finished, at=at)
    assert rep.treated.converted == 0 and rep.treated.revenue_minor == 0
    assert look(outcomes.get, cast["bob"], finished, at=at).treated.converted == 40
    with pytest.raises(NotFound):
        look(outcomes.get, cast["dana"], 999)


def test_before_the_launch_there_is_a_sample_size_instead(cast):
    inside = people(50)
    made = campaign(cast["dana"], inside)
    assert look(outcomes.get, cast["dana"], made) is None
    do(plans.save, cast["dana"], made, {"expected_base_pct": 5, "expected_lift_points": 2, "holdout_pct": 10})
    found = look(lambda session, actor: outcomes.power(session, actor, plans.get(session, actor, made), 45), cast["dana"])
    assert (found.base, found.base_from) == (0.05, "as typed in")
    assert found.needed > 5_000 and found.detectable > 0.2
    order(inside[:5] + people(30, first=100), clock.utcnow() - timedelta(days=3))
    order(inside[5:20], clock.utcnow() - timedelta(days=40))
    do(plans.save, cast["dana"], made, {"expected_base_pct": None, "window_days": 30})
    found = look(lambda session, actor: outcomes.power(session, actor, plans.get(session, actor, made), 50), cast["dana"])
    assert found.base == 0.1 and "these people" in found.base_from, "what the audience itself did, not everybody"


def test_wordings_are_compared_with_each_other_and_only_where_enough_was_seen(cast):
    no_quiet_hours(cast["root"])
    made = campaign(cast["dana"], people(120))
    for wording in (["A"], ["A", "B"]):
        do(plans.set_variants, cast["dana"], made, [{"subject": key, "body": "x https://e.com"} for key in wording])
    launch(cast["dana"], made)
    by = {key: [row.id for row in members(made) if row.variant == key] for key in "AB"}
    assert {key: len(ids) for key, ids in by.items()} == {"A": 60, "B": 60}
    with write_session() as session:
        clicked = CampaignMember.id.in_([*by["A"][:6], *by["B"][:30]])
        session.execute(update(CampaignMember).where(clicked).values(clicked_at=clock.utcnow()))
    found = look(outcomes.get, cast["dana"], made)
    assert [(one.name, one.people, one.clicked) for one in found.variants] == [("A", 60, 6), ("B", 60, 30)]
    (pair,) = found.comparisons
    assert (pair.first, pair.second) == ("B", "A") and pair.clicks.clear and pair.clicks.value == pytest.approx(0.4)
    assert not pair.conversions.enough and pair.conversions.missing.startswith("10 conversions are needed")
    few = outcomes._compare([replace(one, people=12, clicked=3) for one in found.variants])[0]
    assert "12 with B and 12 with A" in few.clicks.missing


def test_who_may_not_see_the_budget_sees_no_cost_and_no_return(cast, finished):
    at = clock.utcnow() + timedelta(days=40)
    blind = replace(cast["dana"], masks=frozenset({("campaign", "budget_minor")}))
    found = look(outcomes.get, blind, finished, at=at)
    assert found.cost_minor is None and found.return_on_cost is None and found.extra_revenue.value == pytest.approx(350_000)
    assert len(look(touchpoints.campaign_costs, cast["dana"])) == 1 and look(touchpoints.campaign_costs, blind).empty
    assert "hides" in metrics.hidden_reason(blind, METRICS["campaign_cost"])
    assert metrics.hidden_reason(cast["dana"], METRICS["campaign_cost"]) == ""


def test_what_the_result_stands_on_is_not_deleted_by_accident(cast, finished):
    """People who were addressed stay members; a campaign that goes out is not put into the bin, where nobody could stop it."""
    dana = cast["dana"]
    rows = members(finished)
    for row in (rows[0], next(one for one in rows if one.is_control)):
        with pytest.raises(Conflict, match="stay"):
            do(campaigns.remove_members, dana, finished, [row.id])
    with pytest.raises(Conflict, match="Stop it"):
        do(crud.archive, dana, "campaign", finished)
    do(launching.stop, dana, finished)
    do(crud.archive, dana, "campaign", finished)
    with pytest.raises(NotFound):
        look(outcomes.get, dana, finished)


def test_two_who_write_the_same_letter_do_not_overwrite_each_other(cast):
    made = campaign(cast["dana"], people(1))
    drawn = [one.version for one in look(plans.variants, cast["dana"], made)]
    do(plans.set_variants, cast["root"], made, [{"subject": "Theirs", "body": "x"}], base_versions=drawn)
    with pytest.raises(Conflict, match="Somebody else"):
        do(plans.set_variants, cast["dana"], made, [{"subject": "Mine", "body": "x"}], base_versions=drawn)
    assert look(plans.variants, cast["dana"], made)[0].subject == "Theirs"


def test_every_number_of_the_results_leads_to_a_list_of_as_many(cast):
    no_quiet_hours(cast["root"])
    reached = people(60)
    made = campaign(cast["dana"], reached[:40], holdout_pct=20)
    do(plans.set_variants, cast["dana"], made, [{"subject": key, "body": "x https://e.com"} for key in "AB"])
    do(ways.choose, cast["dana"], made, [Outlet.EMAIL, Outlet.CALL_LIST])
    extra = do(segments.create, cast["dana"], name="By phone", entity="contact", kind="static", record_ids=reached[30:])
    do(ways.change, cast["dana"], made, Outlet.CALL_LIST, {"segment_ids": [extra]})
    launch(cast["dana"], made)
    addressed = [row for row in members(made) if not row.is_control]
    held = [row for row in members(made) if row.is_control]
    now = clock.utcnow()
    order([row.contact_id for row in addressed[::4]] + [held[0].contact_id], now + timedelta(days=1))
    marks = ("opened_at", "clicked_at", "replied_at", "unsubscribed_at")
    with write_session() as session:
        for step, mark in enumerate(marks, 2):
            some = CampaignMember.id.in_([row.id for row in addressed[::step]])
            session.execute(update(CampaignMember).where(some).values(**{mark: now}))
        for number, row in enumerate(addressed):
            state = MailState.BOUNCED if number % 5 == 0 else MailState.SENT
            mail = MailDelivery(dedupe_key=f"m{row.id}", kind="campaign", address="x", address_key="x", next_at=now, state=state)
            session.add(mail)
            session.flush()
            session.execute(update(CampaignMember).where(CampaignMember.id == row.id).values(mail_id=mail.id))
        responded = CampaignMember.id.in_([row.id for row in addressed[:7]])
        session.execute(update(CampaignMember).where(responded).values(status=MemberStatus.RESPONDED))
        bump(session, "campaign_member")
    at = now + timedelta(days=2)
    found = look(outcomes.get, cast["dana"], made, at=at)
    sides = [(found.treated, Slice("people")), (found.control, Slice("people", held_out=True))]
    sides += [(one, Slice("people", wording=one.name)) for one in found.variants]
    for one in found.by_way:
        sides += [(one.treated, Slice("people", way=one.outlet.value)), (one.control, Slice("people", True, way=one.outlet.value))]
    assert len(sides) == 8
    for group, behind in sides:
        for what in ("people", *outcomes.COUNTED):
            wanted = replace(behind, what=what)
            listed = look(outcomes.members, cast["dana"], made, wanted, at=at, size=100)
            assert (getattr(group, what), 0) == (listed.total, listed.hidden) == (len(listed.rows), 0), wanted
    assert all(getattr(found.treated, what) for what in outcomes.COUNTED), "each was counted"
    figures = look(campaigns.figures, cast["dana"], made)
    assert figures.responded == look(outcomes.members, cast["dana"], made, Slice("responded")).total == 7
    assert figures.held_out == look(outcomes.members, cast["dana"], made, Slice("people", held_out=True)).total
    with write_session() as session:
        session.execute(update(Contact).where(Contact.id == addressed[0].contact_id).values(deleted_at=now))
    seen = look(outcomes.members, cast["dana"], made, Slice("opened"), at=at)
    assert (seen.total + seen.hidden, seen.hidden) == (found.treated.opened, 1), (
        "who is in the bin is counted, and said to be missing"
    )
    blind = replace(cast["dana"], grants={key: scopes for key, scopes in cast["dana"].grants.items() if key[0] != "contact"})
    assert look(outcomes.members, blind, made, Slice("opened"), at=at).rows == []
    with pytest.raises(Invalid):
        look(outcomes.members, cast["dana"], made, Slice("nonsense"))
    other = do(campaigns.create, cast["dana"], {"name": "Not launched"}).id
    assert look(outcomes.members, cast["dana"], other, Slice("converted")).total == 0


def test_the_list_behind_a_number_asks_for_what_the_number_is_made_of_and_once(finished, cast):
    tables = {what: {"mail_delivery"} if what in ("sent", "bounced") else set() for what in outcomes.COUNTED} | {
        "converted": {"sales_order"}
    }
    for what, needed in tables.items():
        asked = []
        with read_session() as session:
            listen(
                session.connection(),
                "before_cursor_execute",
                lambda _c, _cursor, statement, *_, asked=asked: asked.append(statement),
            )
            outcomes.members(session, cast["dana"], finished, Slice(what))
        heavy = [one for one in asked if "FROM campaign_member" in one]
        named = {table for table in ("mail_delivery", "sales_order") if any(table in one for one in heavy)}
        assert (named, len(heavy)) == (needed, 2), what
