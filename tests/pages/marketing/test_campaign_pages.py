"""The campaign screens: every role, an empty database, start, members, harmful names."""

import pytest

from crm_core.db import read_session, write_session
from crm_core.services import crud
from crm_core.services.marketing import campaigns
from crm_core.vocabulary import Action, CampaignStatus
from tests.pages.app import open_screen, words
from tests.pages.sales.test_sales_pages import EVIL
from ui.navigation import screen_of, screens_for


def make(actor, entity, **values):
    with write_session() as session:
        return crud.create(session, actor, entity, values)


@pytest.mark.parametrize("who", ["root", "bob", "alice", "dana", "ana"])
def test_the_empty_list_says_what_to_do(cast, who):
    app = open_screen(cast[who], "campaigns")
    assert not app.exception and not app.error and "No campaigns yet" in words(app)
    assert ("New campaign" in words(app)) == cast[who].can("campaign", Action.CREATE)


def test_an_agent_has_no_campaigns(cast):
    assert screen_of("campaigns") not in screens_for(cast["sam"])


def test_a_marketer_starts_a_campaign_and_sees_its_members(cast):
    dana = cast["dana"]
    campaign = make(dana, "campaign", name=EVIL.strip()[:300])
    person = make(dana, "contact", name="Maria Anders")
    with write_session() as session:
        campaigns.add_members(session, dana, campaign.id, "contact", [person.id])
    app = open_screen(dana, "campaign", id=campaign.id)
    assert not app.exception and app.title[0].value.startswith("\\!\\[x\\]")
    assert "1 member" in words(app)
    app.button(key="move_running").click().run()
    assert not app.exception
    with read_session() as session:
        assert campaigns.get(session, dana, campaign.id).status is CampaignStatus.RUNNING
    app.button(key="add_members").click().run()
    assert not app.exception and "One by one" in str(app.get("button_group")) + words(app)


@pytest.mark.parametrize("who", ["alice", "ana", "bob"])
def test_who_only_reads_gets_no_buttons(cast, who):
    campaign = make(cast["dana"], "campaign", name="Spring fair")
    app = open_screen(cast[who], "campaign", id=campaign.id)
    assert not app.exception
    assert not {"edit", "move_running", "add_members", "edit_channels", "delete"} & {button.key for button in app.button}
