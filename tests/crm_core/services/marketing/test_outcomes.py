"""Results: both groups counted alike, the difference first, silence where too little was seen."""

from datetime import timedelta

import pytest
from sqlalchemy import insert

from crm_core.db import write_session
from crm_core.errors import NotFound
from crm_core.kit import clock
from crm_core.models import Order
from crm_core.services.marketing import campaigns, outcomes, plans
from crm_core.vocabulary import OrderStatus
from tests.crm_core.services.marketing.outreach import campaign, do, launch, look, members, no_quiet_hours, people


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
    assert found.return_on_cost == pytest.approx((350_000 - 50_000) / 50_000)


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
    made = campaign(cast["dana"], people(50))
    assert look(outcomes.get, cast["dana"], made) is None
    do(plans.save, cast["dana"], made, {"expected_base_pct": 5, "expected_lift_points": 2, "holdout_pct": 10})
    found = look(lambda session, actor: outcomes.power(session, actor, plans.get(session, actor, made), 45), cast["dana"])
    assert (found.base, found.base_from) == (0.05, "as typed in")
    assert found.needed > 5_000 and found.detectable > 0.2
