"""Leads as a list: for reps and marketers, to see who showed interest and who should be called next."""

from functools import partial

from crm_core.services.analytics import scores
from crm_core.services.sales import leads
from crm_core.vocabulary import Action, LeadKind
from ui.actions import load
from ui.addresses import asks_for_new
from ui.components.header import header
from ui.components.lead_dialogs import new_lead
from ui.components.nothing_yet import nothing_yet
from ui.components.record_list import Quick, record_list
from ui.components.status_board import status_board
from ui.components.waiting_list import waiting_link
from ui.navigation import go
from ui.session import current_actor
from ui.tones import TONES

actor = current_actor()
statuses = load(leads.statuses)
scored = load(scores.live, "lead_score") is not None
kinds = {kind.value: kind.label for kind in LeadKind if any(status.kind is kind for status in statuses)}

actions = header("Leads", "People and companies that showed interest")
if scored and actions.button(
    "Best first", icon=":material/sort:", key="best_first", help="By score; what it is worth stands under Scoring"
):
    go("leads", sort="-score")
waiting_link(actor, "lead", actions)
asked = asks_for_new()
if actor.can("lead", Action.CREATE) and (
    actions.button("New lead", type="primary", icon=":material/add:", shortcut="n", key="new_lead") or asked
):
    new_lead()

record_list(
    "lead",
    quick=Quick("status_id", "State", kinds, {kind: [s.id for s in statuses if s.kind.value == kind] for kind in kinds}),
    tones={"status_id": {status.id: TONES[status.kind] for status in statuses}},
    on_empty=lambda: nothing_yet(
        actor, "lead", "Enter the first person who showed interest", new_lead, file_words=", or bring a list in from a file"
    ),
    second=("score",) if scored else (),
    board=partial(status_board, "lead"),
)
