"""What a person agreed to, and whether they may be contacted right now."""

from typing import Any

import streamlit as st

from crm_core.access import Actor
from crm_core.services.customers import consent
from crm_core.vocabulary import Action, ConsentStatus, ContactWay, LegalBasis, Purpose
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.session import current_actor


def consent_card(actor: Actor, entity_key: str, record_id: int) -> None:
    """The card on a contact's or lead's page."""
    found = load(consent.history, entity_key, record_id)
    latest = [row for row in found if row["is_latest"]]
    verdict = load(consent.may_contact, record_id, entity_key=entity_key)
    with st.container(border=True, gap="small", key="consent"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown("**Consent**", width="content")
            if actor.can(entity_key, Action.EDIT) and st.button(
                "Record", icon=":material/how_to_reg:", type="tertiary", key="consent_record"
            ):
                _dialog(entity_key, record_id)
        if verdict.allowed:
            st.markdown(":green[:material/check_circle:] Offers and news may be e-mailed")
        else:
            st.markdown(
                f":orange[:material/block:] No offers and news by e-mail: {fmt.md(verdict.gate.label.lower() if verdict.gate else '')}"
            )
        for row in latest:
            granted = row["status"] is ConsentStatus.GRANTED
            tone = "red" if not granted else "green" if row["basis"].opens else "gray"
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.badge(consent.status_words(row["status"], row["basis"]), color=tone)  # type: ignore[arg-type]
                st.caption(
                    fmt.md(f"{row['purpose'].label}, {row['way'].label.lower()} · {fmt.ago(actor, row['at'])}"),
                    width="content",
                    help=fmt.md(row["source"]) or None,
                )
        if len(found) > len(latest):
            with st.expander("Everything they said"):
                for row in found:
                    st.caption(
                        fmt.md(
                            f"{fmt.instant(actor, row['at'])}: {consent.status_words(row['status'], row['basis']).lower()}, {row['purpose'].label}, {row['way'].label.lower()}. {row['source']}"
                        )
                    )


def basis_input(key: str) -> LegalBasis:
    """On which legal basis, with what that means for offers and news."""
    basis = st.selectbox("Legal basis", list(LegalBasis), format_func=lambda one: one.label, key=key) or LegalBasis.CONSENT
    if not basis.opens:
        st.caption("It carries messages that it asks for itself, no offers and news: an earlier agreement to these ends with it.")
    return basis


@st.dialog("What this person said", width="small")
def _dialog(entity_key: str, record_id: int) -> None:
    current_actor()
    status = st.radio("They", list(ConsentStatus), format_func=lambda one: one.label.lower(), horizontal=True, key="said_status")
    purpose: Any = st.selectbox("About", list(Purpose), format_func=lambda one: one.label, key="said_purpose")
    way: Any = st.selectbox("By", list(ContactWay), format_func=lambda one: one.label, key="said_way")
    basis = basis_input("said_basis") if status is ConsentStatus.GRANTED else LegalBasis.CONSENT
    source = st.text_input("How we know", key="said_source", placeholder="On the phone, at the fair, by a form …", max_chars=300)
    if st.button("Write it down", type="primary", key="said_yes"):
        done = perform(
            consent.record,
            entity_key,
            record_id,
            purpose=purpose,
            way=way,
            status=status,
            source=source or "",
            basis=basis,
            success="Written down.",
        )
        if done is not None:
            st.rerun()
        show_problems()
