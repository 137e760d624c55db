"""Campaigns: states, channels, members, figures."""

import pytest

from crm_core import db
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.lists import ListQuery
from crm_core.services import crud
from crm_core.services.marketing import campaigns
from crm_core.services.sales import deals
from crm_core.vocabulary import CampaignStatus, MemberStatus
from tests.verbs import do, look


def new(actor, **values):
    return do(campaigns.create, actor, {"name": "Spring fair", **values})


def people(actor, number, entity="contact"):
    return [
        do(crud.create, actor, entity, {"name": f"Person {n}", "city": "Berlin" if n % 2 else "Rome"}).id for n in range(number)
    ]


def test_a_campaign_goes_its_way_and_not_another(cast):
    dana = cast["dana"]
    campaign = new(dana)
    assert do(campaigns.move, dana, campaign.id, CampaignStatus.RUNNING).status is CampaignStatus.RUNNING
    assert do(campaigns.move, dana, campaign.id, CampaignStatus.DRAFT).status is CampaignStatus.DRAFT, "nobody is in it yet"
    do(campaigns.move, dana, campaign.id, CampaignStatus.RUNNING)
    do(campaigns.add_members, dana, campaign.id, "contact", people(dana, 1))
    with pytest.raises(Invalid, match="can't become draft"):
        do(campaigns.move, dana, campaign.id, CampaignStatus.DRAFT)
    with pytest.raises(Invalid, match="can't become draft"):
        do(campaigns.update, dana, campaign.id, {"status": "draft"})
    assert do(campaigns.move, dana, campaign.id, CampaignStatus.RUNNING).status is CampaignStatus.RUNNING
    with pytest.raises(NotPermitted):
        do(campaigns.move, cast["alice"], campaign.id, CampaignStatus.PAUSED)
    with pytest.raises(NotFound):
        do(campaigns.move, dana, 999, CampaignStatus.PAUSED)


def test_channels_replace_each_other_and_wrong_ones_leave_the_old(any_cast):
    dana = any_cast["dana"]
    campaign = new(dana)
    do(campaigns.set_channels, dana, campaign.id, [{"channel": "email", "planned_cost_minor": 100, "actual_cost_minor": 120}])
    with pytest.raises(Invalid):
        do(campaigns.set_channels, dana, campaign.id, [{"channel": "pigeon"}])
    with pytest.raises(Invalid, match="negative"):
        do(campaigns.set_channels, dana, campaign.id, [{"channel": "sms", "planned_cost_minor": -1}])
    assert [row.actual_cost_minor for row in look(campaigns.channels, dana, campaign.id)] == [120]
    with pytest.raises(Conflict, match="meanwhile"):
        do(campaigns.set_channels, dana, campaign.id, [], base_version=1)
    drawn = look(campaigns.channels, dana, campaign.id)
    row = {"channel": "email", "planned_cost_minor": 100, "actual_cost_minor": 120}
    do(campaigns.set_channels, dana, campaign.id, [row])  # as it was, under another id
    do(campaigns.set_channels, dana, campaign.id, [{**row, "actual_cost_minor": 130}], base_channels=drawn)
    with pytest.raises(Conflict, match="meanwhile") as clash:
        do(campaigns.set_channels, dana, campaign.id, [], base_channels=drawn)
    assert [one.actual_cost_minor for one in clash.value.details["rows"]] == [130]


def test_members_are_added_once_by_hand_and_by_filter(any_cast):
    dana = any_cast["dana"]
    campaign = new(dana)
    ids = people(dana, 6)
    assert do(campaigns.add_members, dana, campaign.id, "contact", ids[:2]) == (2, 0)
    assert do(campaigns.add_members, dana, campaign.id, "contact", ids[:3]) == (1, 2)
    query = ListQuery(filter={"field": "city", "cmp": "eq", "value": "Berlin"})
    before = look(lambda session, _actor: db.versions(session, ["campaign_member"]), dana)
    assert do(campaigns.add_matching, dana, campaign.id, "contact", query) == (2, 1)
    assert do(campaigns.add_matching, dana, campaign.id, "contact", query) == (0, 3)
    assert look(lambda session, _actor: db.versions(session, ["campaign_member"]), dana) != before
    people(dana, 2, "lead")
    assert do(campaigns.add_matching, dana, campaign.id, "lead", ListQuery()) == (2, 0)
    rows, total = look(campaigns.members, dana, campaign.id)
    assert total == 7 and {row.status for row in rows} == {MemberStatus.PLANNED}
    do(crud.archive, any_cast["root"], "contact", ids[0])
    assert look(campaigns.members, dana, campaign.id)[1] == look(campaigns.figures, dana, campaign.id).members == 6, (
        "nobody who lies in the bin"
    )
    with pytest.raises(NotFound, match="Nobody was added"):
        do(campaigns.add_members, dana, campaign.id, "contact", [9999])
    with pytest.raises(Invalid):
        do(campaigns.add_matching, dana, campaign.id, "deal", ListQuery())
    with pytest.raises(NotPermitted):
        do(campaigns.add_matching, any_cast["alice"], campaign.id, "contact", ListQuery())


def test_more_people_than_a_statement_binds(any_cast, monkeypatch):
    monkeypatch.setattr(campaigns, "_BATCH", 2)
    dana = any_cast["dana"]
    campaign = new(dana)
    ids = people(dana, 5)
    assert do(campaigns.add_members, dana, campaign.id, "contact", ids) == (5, 0)
    assert do(campaigns.add_members, dana, campaign.id, "contact", ids) == (0, 5)


def test_responses_count_and_members_leave(any_cast):
    dana = any_cast["dana"]
    campaign = new(dana)
    do(campaigns.add_members, dana, campaign.id, "contact", people(dana, 4))
    members = [row.id for row in look(campaigns.members, dana, campaign.id)[0]]
    assert do(campaigns.set_member_status, dana, campaign.id, members[:2], MemberStatus.RESPONDED) == 2
    assert do(campaigns.set_member_status, dana, campaign.id, members[:2], MemberStatus.RESPONDED) == 0
    assert look(campaigns.members, dana, campaign.id, status=MemberStatus.RESPONDED)[1] == 2
    assert do(campaigns.remove_members, dana, campaign.id, members[3:]) == 1
    figures = look(campaigns.figures, dana, campaign.id)
    assert (figures.members, figures.responded) == (3, 2)
    assert figures.rate == pytest.approx((0.6667, 0.2077, 0.9385), abs=1e-4), "Wilson's interval of two of three"
    other = new(dana, name="Other")
    assert do(campaigns.remove_members, dana, other.id, members) == 0


def test_figures_count_what_names_the_campaign_and_what_the_person_may_see(any_cast):
    dana, alice, charlie = (any_cast[key] for key in ("dana", "alice", "charlie"))
    campaign = new(dana)
    deal = do(deals.create, alice, {"name": "Won", "amount_minor": 700_00, "campaign_id": campaign.id})
    do(deals.win, alice, deal.id)
    do(crud.create, alice, "lead", {"name": "Lead", "campaign_id": campaign.id})
    do(campaigns.set_channels, dana, campaign.id, [{"channel": "event", "planned_cost_minor": 10_00, "actual_cost_minor": 12_00}])
    seen = look(campaigns.figures, dana, campaign.id)
    assert (seen.won_minor, seen.leads, seen.planned_cost_minor, seen.actual_cost_minor) == (700_00, 1, 10_00, 12_00)
    hidden = look(campaigns.figures, charlie, campaign.id)
    assert (hidden.won_minor, hidden.leads) == (0, 0)
