"""One deal: for the rep who works it, to see where it stands, do the next thing, and close it."""

from datetime import date
from functools import partial

import streamlit as st

from crm_core.services.automation import record_runs
from crm_core.services.sales import deals
from crm_core.vocabulary import Action, StageKind
from ui import format as fmt
from ui.actions import load
from ui.components.activity_feed import feed, log_box
from ui.components.deal_committee import committee
from ui.components.deal_dialogs import FILL_IN, lose_dialog, reopen_dialog, win_dialog
from ui.components.deal_stages import by_hand_line, stage_path
from ui.components.decision_card import decision_card
from ui.components.facts import facts
from ui.components.files import files
from ui.components.header import Rare, header, more_menu
from ui.components.lines import DEAL, lines_card, sum_of
from ui.components.product_suggestions import deal_suggestions
from ui.components.record_automations import automations_card, start_entry
from ui.components.record_page import delete_entry, edit_dialog, edit_entry, facts_of, id_from_url, next_steps, related
from ui.components.score_card import score_card
from ui.components.survey_send import survey_entry
from ui.components.write_dialog import write_button
from ui.navigation import page_of
from ui.session import current_actor
from ui.tones import TONES

FACTS = (
    "account_id",
    "contact_id",
    "owner_id",
    "pipeline_id",
    "source",
    "campaign_id",
    "forecast_category",
    "created_on",
    "next_step",
    "next_step_on",
)
EDITED = (
    "name", "account_id", "amount_minor", "expected_close_on", "pipeline_id", "stage_id", "probability_pct", "forecast_category", "owner_id", "contact_id",
    "next_step", "next_step_on", "source", "campaign_id", "created_on", "product_id",
)  # fmt: skip
CLOSING = ("closed_on", "won_reason", "lost_reason", "competitor")

actor = current_actor()
deal_id = id_from_url()
specs, row = load(facts_of, "deal", deal_id)
automated = load(record_runs.on_record, "deal", deal_id)
lines = load(deals.lines, deal_id)
may_edit = actor.can("deal", Action.EDIT)
outcome = row["outcome"]

caption = " · ".join(
    part for part in (row.get("account_id.title") or "No account", f"Owned by {row.get('owner_id.title') or 'nobody'}") if part
)
actions = header(
    row["name"],
    caption,
    badges=[(outcome.label if outcome is not StageKind.OPEN else row["stage_id.title"], TONES[outcome])],
    back=("Deals", page_of(actor, "deals")),
)
also: list[Rare] = []
if may_edit and outcome is StageKind.OPEN:
    if actions.button("Win", type="primary", icon=":material/trophy:", key="win", shortcut="w"):
        win_dialog(deal_id, row["version"], row["name"], bool(lines))
    if actions.button("Lose", key="lose"):
        lose_dialog(deal_id, row["version"], row["name"])
    also.append(Rare("lose", "Lose", "thumb_down", partial(lose_dialog, deal_id, row["version"], row["name"])))
elif may_edit and actions.button("Re-open", key="reopen", icon=":material/undo:"):
    reopen_dialog(deal_id, row["version"], row["name"], row["pipeline_id"])
wanted = st.session_state.pop(FILL_IN, (0, 0))
edited = [
    *EDITED,
    *(CLOSING[1:] if outcome is not StageKind.OPEN else ()),
    *(key for key in specs if specs[key].custom),
    "description",
]
if may_edit:
    if actions.button("Edit", icon=":material/edit:", key="edit", shortcut="e"):
        edit_dialog("deal", deal_id, edited)
    elif wanted[0] == deal_id:
        edit_dialog("deal", deal_id, edited, typed={"stage_id": wanted[1]}, gate=FILL_IN)
    also.append(edit_entry("deal", deal_id, edited))
also += write_button(actions, "deal", deal_id)
more_menu(
    actions,
    survey_entry("deal", deal_id, row["contact_id"])
    + start_entry(automated, "deal", deal_id)
    + delete_entry(actor, "deal", row, row["name"], "deals"),
    also,
)

with st.grid(4, min_column_width=150):
    recurring = isinstance(row["arr_minor"], int) and row["arr_minor"] > 0
    st.metric(
        "Amount", fmt.money(actor, row["amount_minor"]), delta=f"{fmt.money(actor, row['mrr_minor'])} a month" if recurring else None, delta_color="off",
        delta_arrow="off", border=True, height="stretch",
        help=f"Net, all periods of all products. Recurring: {fmt.money(actor, row['mrr_minor'])} a month, {fmt.money(actor, row['arr_minor'])} a year" if recurring else None,
    )  # fmt: skip
    st.metric(
        "Weighted",
        fmt.money(actor, fmt.share_of(row["amount_minor"], row["probability_pct"])),
        border=True,
        height="stretch",
        help="Amount × win probability",
    )
    own = "set by hand" if row["probability_own"] else "from the stage"
    st.metric(
        "Win probability",
        fmt.value(actor, specs["probability_pct"], row["probability_pct"]),
        delta=own,
        delta_color="off",
        delta_arrow="off",
        border=True,
        height="stretch",
    )
    closing = row["closed_on"] if outcome is not StageKind.OPEN else row["expected_close_on"]
    passed = outcome is StageKind.OPEN and isinstance(closing, date) and closing < fmt.clock.today(actor.timezone)
    st.metric(
        "Closed" if outcome is not StageKind.OPEN else "Expected close",
        fmt.day_and_month(actor, closing),
        delta=f"{closing.year}{' · passed' if passed else ''}" if isinstance(closing, date) else None,
        delta_color="red" if passed else "off",
        delta_arrow="off",
        border=True,
        height="stretch",
    )

by_hand_line(actor, row, may_edit)
stage_path(actor, deal_id, row, may_edit)

left, right = st.columns([7, 4], gap="medium")
with left:
    log_box("deal", deal_id, row["contact_id"])
    feed("deal", deal_id)
with right:
    live = outcome is StageKind.OPEN
    step = (row["next_step"], fmt.ago(actor, row["next_step_on"]) if row["next_step_on"] else "")
    next_steps("deal", deal_id, agreed=" · ".join(str(part) for part in step if part) if live else "", cold=live)
    automations_card(automated, "deal", deal_id)
    score_card("deal", deal_id)
    decision_card("deal", deal_id)
    facts(
        actor,
        "About",
        specs,
        row,
        (*FACTS, *(CLOSING if outcome is not StageKind.OPEN else ()), *(key for key in specs if specs[key].custom), "description"),
    )
    by_hand = row["amount_locked"] is True and sum_of(lines) != row["amount_minor"]
    lines_card(actor, DEAL, row, lines, may_edit, note=" · the amount was set by hand" if by_hand else "")
    if outcome is StageKind.WON:
        here = {"field": "deal_id", "cmp": "eq", "value": deal_id}
        related(actor, "order", where=here, columns=("number", "ordered_at", "total_minor"), title="Orders", list_url="orders")
    deal_suggestions(actor, deal_id, row["version"], may_edit)
    committee(actor, deal_id, row, may_edit)
    files("deal", deal_id)
