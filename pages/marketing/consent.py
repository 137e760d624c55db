"""Consent and limits: for marketers and administrators, to say how often and when people may be contacted, and to look after blocked addresses."""

import streamlit as st

from crm_core.kit.week import days_in_words, first_day
from crm_core.services.admin import workspace
from crm_core.services.collaboration import suppressions
from crm_core.services.customers import consent, unsubscribing
from crm_core.services.marketing import segments
from crm_core.services.marketing.consenting import record_for_segment
from crm_core.vocabulary import Action, ContactWay, Purpose, SuppressionReason
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.components.consent_card import basis_input
from ui.components.consent_file import consent_file_button
from ui.components.header import empty_state, header
from ui.components.table import Cell, Column, table
from ui.components.whole_input import whole_number
from ui.session import current_actor

COLUMNS = [
    Column("address", "Address", sortable=False),
    Column("reason", "Reason", sortable=False),
    Column("source", "How we know", sortable=False, muted=True),
    Column("at", "Since", sortable=False, muted=True),
]
BY_HAND = {
    SuppressionReason.UNSUBSCRIBED: "They want no more offers and news",
    SuppressionReason.COMPLAINED: "They complained",
    SuppressionReason.MANUAL: "Another reason, not their own word",
}
TONES = {"unsubscribed": "orange", "bounced": "red", "complained": "red", "manual": "gray", "erased": "gray"}


def rules_form() -> None:
    """How often and when. Only administrators change it."""
    found, may = load(consent.rules), actor.can("organisation", Action.MANAGE)
    with st.form("rules", border=True):
        st.markdown("**How often and when**")
        needs = st.toggle(
            "Only people who agreed are addressed",
            value=found.needs_consent,
            disabled=not may,
            help="Off: everybody who did not decline. Ask a lawyer first; in many countries this is not allowed",
        )
        a, b = st.columns(2)
        week = whole_number(
            "At most, in 7 days",
            1,
            50,
            found.cap_7_days,
            key=f"cap_7_days_{found.cap_7_days}",
            place=a,
            disabled=not may,
            help="Marketing messages per person, over all campaigns",
        )
        month = whole_number(
            "At most, in 30 days", 1, 100, found.cap_30_days, key=f"cap_30_days_{found.cap_30_days}", place=b, disabled=not may
        )
        a, b = st.columns(2)
        start = a.text_input(
            "Quiet from",
            value=found.quiet_from,
            max_chars=5,
            placeholder="never",
            disabled=not may,
            help="Local time of the person if it is known, else of the workspace",
        )
        end = b.text_input("Quiet until", value=found.quiet_until, max_chars=5, placeholder="never", disabled=not may)
        off = load(workspace.days_off)
        weekends = st.toggle(
            f"Quiet on days off ({days_in_words(off, first=first_day(off))})" if off else "Quiet on days off",
            value=found.quiet_weekends,
            disabled=not may,
            help="Days without working hours in the settings of the workspace",
        )
        held = st.slider("Hold-out of a new campaign (%)", 0, 50, value=found.holdout_pct, step=5, disabled=not may)
        postal = st.text_input(
            "Postal address of the sender",
            value=found.postal_address,
            max_chars=300,
            disabled=not may,
            help="Stands at the end of every campaign message; many countries ask for it",
        )
        if st.form_submit_button("Save", type="primary", disabled=not may):
            changes = {
                "needs_consent": needs, "cap_7_days": int(week), "cap_30_days": int(month), "quiet_from": start.strip(), "quiet_until": end.strip(),
                "quiet_weekends": weekends, "holdout_pct": held, "postal_address": postal.strip(),
            }  # fmt: skip
            perform(consent.set_rules, changes, success="Saved.")
            st.rerun()
        if not may:
            st.caption("Administrators change this.")


@st.dialog("Record consent for a segment", width="medium")
def segment_dialog() -> None:
    """Consent that was given elsewhere, written down once with its source."""
    found = {one.id: one.name for one in load(segments.find) if one.entity.value in ("contact", "lead")}
    if not found:
        st.info("Make a segment of contacts or leads first.")
        return
    segment_id = st.selectbox("Segment", list(found), format_func=lambda one: found[one], key="consent_segment")
    a, b = st.columns(2)
    purpose = a.selectbox("Purpose", list(Purpose), format_func=lambda one: one.label, key="consent_purpose")
    way = b.selectbox("Way", list(ContactWay), format_func=lambda one: one.label, key="consent_way")
    basis = basis_input("consent_basis")
    source = st.text_input(
        "Where it was given", key="consent_source", max_chars=300, placeholder="Sign-up form of the web shop, 2026"
    )
    st.caption("Only for people who said nothing yet: whoever declined stays declined. You may have to prove this later.")
    if st.button("Write it down", type="primary", key="consent_yes"):
        count = perform(record_for_segment, segment_id, purpose=purpose, way=way, source=source or "", basis=basis)
        if count is not None:
            st.session_state.setdefault("_toasts", []).append(
                ("ok", f"Written down for {fmt.plural(0 if count is True else count, 'person', 'people')}.")
            )
            st.rerun()
        show_problems()


@st.dialog("Block addresses", width="small")
def block_dialog() -> None:
    """One address or the list of those who left at an earlier tool."""
    text = st.text_area("E-mail addresses", key="block_address", max_chars=200_000, height=120, placeholder="One per line")
    reason = st.radio("Why", list(BY_HAND), format_func=BY_HAND.get, key="block_reason", label_visibility="collapsed")
    st.caption(
        "No campaign will use them, whoever they belong to."
        + (" Their consent by e-mail is withdrawn too." if reason in consent.OWN_WORD else "")
    )
    if st.button("Block", type="primary", key="block_yes"):
        count = perform(unsubscribing.block, text or "", reason=reason)
        if count is not None:
            known = "These were on the list already. The consent of these people is withdrawn now."
            told = f"{fmt.plural(int(count), 'address', 'addresses')} blocked." if count else known
            st.session_state.setdefault("_toasts", []).append(("ok", told))
            st.rerun()
        show_problems()


def blocked() -> None:
    """The list of addresses that no campaign uses."""
    may = actor.can("campaign", Action.EDIT)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        st.subheader("Blocked addresses", anchor=False, width="content")
        if may and st.button("Block addresses", icon=":material/block:", key="block"):
            block_dialog()
    if actor.masked("contact", "email"):
        st.caption("E-mail addresses are hidden from your role.")
        return
    q = st.text_input("Search", key="q", type="search", placeholder="Address", label_visibility="collapsed")
    page = load(suppressions.find, q=q or "", page=int(st.session_state.get("page") or 1))
    if not page.rows:
        empty_state(
            "No address is blocked",
            "Whoever unsubscribes and every address that bounces appears here. From another tool? Block the list of those who left there.",
            icon="mark_email_read",
        )
        return
    rows = [
        (row["id"], [Cell(row["address_key"]), Cell(row["reason"].label, tone=TONES[row["reason"].value]), Cell(row["source"] or fmt.NOTHING), Cell(fmt.ago(actor, row["created_at"]))])
        for row in page.rows
    ]  # fmt: skip
    happened = table(COLUMNS, rows, key="table_blocked", label="Blocked addresses", selectable=may)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        if len(happened.selected) == 1 and st.button("Lift this block", icon=":material/undo:", key="lift"):
            perform(suppressions.lift, happened.selected[0], success="Lifted. Consent is still needed.")
            st.rerun()
        st.caption(fmt.plural(page.total, "address", "addresses"), width="content")
        if page.pages > 1:
            st.pagination(page.pages, key="page")


actor = current_actor()
actions = header("Consent and limits", "Who may be contacted for marketing, how often and when")
if (
    actor.can("contact", Action.EDIT)
    and actor.can("campaign", Action.EDIT)
    and actions.button("Record consent", icon=":material/how_to_reg:", key="record_consent")
):
    segment_dialog()
consent_file_button(actor, actions)
left, right = st.columns([5, 7], gap="large")
with left:
    rules_form()
with right:
    blocked()
