"""Campaigns as a list: for marketers, to see what runs and what is planned."""

from crm_core.vocabulary import Action, CampaignStatus
from ui.components.acquisition import acquisition_button
from ui.components.header import header
from ui.components.nothing_yet import nothing_yet
from ui.components.record_list import Quick, record_list
from ui.components.record_page import new_dialog
from ui.navigation import go, page_of
from ui.session import current_actor

NEW_FIELDS = ("name", "goal", "starts_on", "ends_on", "budget_minor", "owner_id")
MORE_FIELDS = ("expected_response_pct", "expected_revenue_minor", "description")


def new_campaign() -> None:
    new_dialog("campaign", NEW_FIELDS, more=MORE_FIELDS)


actor = current_actor()
actions = header("Campaigns", "Whom we address, through which channels, and what comes of it")
acquisition_button(actor, actions)
if page_of(actor, "letter-templates") is not None and actions.button(
    "Letter templates", icon=":material/library_books:", key="to_templates"
):
    go("letter-templates")
if actor.can("campaign", Action.CREATE) and actions.button(
    "New campaign", type="primary", icon=":material/add:", shortcut="n", key="new_campaign"
):
    new_campaign()

record_list(
    "campaign",
    quick=Quick("status", "Status", CampaignStatus.options()),
    on_empty=lambda: nothing_yet(
        actor,
        "campaign",
        "A campaign ties people, channels, cost and what came of it together",
        new_campaign,
        file_words=", or bring them in from a file",
    ),
)
