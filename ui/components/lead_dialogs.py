"""What happens to a lead: the dialogs that disqualify and convert it, and the card that says what it became."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from crm_core import lists
from crm_core.access import Actor
from crm_core.fields import registry
from crm_core.kit.money import exponent, most_major, to_major, to_minor
from crm_core.services.customers.duplicates import Duplicate
from crm_core.services.sales import leads
from crm_core.vocabulary import Action
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.components.duplicate_hints import why_anyway
from ui.components.picker import picker
from ui.components.record_page import new_dialog
from ui.navigation import go, page_of
from ui.session import current_actor

NEW_FIELDS = ("name", "company", "email", "phone", "source", "owner_id")
MORE_FIELDS = ("job_title", "website", "city", "country", "estimated_minor", "campaign_id", "status_id", "description")
NEW, OTHER, NONE = "new", "other", "none"


def new_lead() -> None:
    """The dialog for a new lead."""
    new_dialog("lead", NEW_FIELDS, more=MORE_FIELDS)


@st.dialog("Disqualify this lead", on_dismiss="rerun")
def disqualify_dialog(lead_id: int, version: int, name: str, nurture: bool = False, status_id: int | None = None) -> None:
    """The reason is needed; "later" keeps the lead for nurturing. ``nurture`` and ``status_id``: what was meant by where its card was dropped."""
    st.text(name)
    reasons = list((load(lambda session, _actor: registry(session, "lead")["disqualified_reason"]).options or {}).values())
    reason = st.selectbox("Why is it no deal? *", reasons, index=None, placeholder="Choose a reason", key="disqualify_reason")
    later = st.toggle("Nurture later", value=nurture, key="disqualify_later", help="Not now, but worth coming back to")
    if st.button("Nurture later" if later else "Disqualify", type="primary", key="disqualify_yes", shortcut="ctrl+enter"):
        success = fmt.md(f"{name} kept for later." if later else f"{name} disqualified.")
        given = {"reason": reason, "later": later, "status_id": status_id, "base_version": version}
        if perform(leads.disqualify, lead_id, **given, success=success) is not None:
            st.rerun()
        show_problems()


@st.dialog("Convert this lead", width="medium", icon=":material/moving:", on_dismiss="rerun")
def convert_dialog(lead_id: int, version: int, row: Mapping[str, Any]) -> None:
    """Account, contact and deal in one step. What is already here comes first."""
    actor = current_actor()
    found = load(leads.candidates, lead_id)
    account_id, account_name = _account(actor, row, found.accounts)
    contact_id = _contact(actor, row, found.contacts)
    if found.hidden:
        st.caption(f":material/visibility_off: {found.hidden} more that may be the same, not shared with you.")
    doubtful = _doubtful(lead_id, row, found, account_name if account_id is None else "", new_contact=contact_id is None)
    why = why_anyway("convert") if doubtful else None
    deal_name, amount_minor = _deal(actor, row)
    ready = account_id is not False and contact_id is not False
    if st.button(
        "Convert anyway" if doubtful else "Convert", type="primary", key="convert_yes", shortcut="ctrl+enter", disabled=not ready
    ):
        made = perform(
            leads.convert,
            lead_id,
            account_id=account_id or None,
            contact_id=contact_id or None,
            account_name=account_name,
            deal_name=deal_name,
            amount_minor=amount_minor,
            why=why,
            base_version=version,
            success=fmt.md(f"{row['name']} converted."),
        )
        if made is not None:
            st.rerun()
        show_problems()


def _doubtful(lead_id: int, row: Mapping[str, Any], found: leads.Candidates, account_name: str, *, new_contact: bool) -> bool:
    """Whether something that is created may be here already. Names what is like another name than the lead's company."""
    if account_name.strip() and account_name != row["company"]:
        known = {hit.id for hit in found.accounts}
        found = load(leads.candidates, lead_id, company=account_name)
        for hit in [hit for hit in found.accounts if hit.id not in known][:5]:
            st.caption(fmt.md(f"Also here: {hit.title[:80]} ({', '.join(hit.reasons)})"))
    return bool(leads.alike(found, new_account=bool(account_name.strip()), new_contact=new_contact))


def _choose(label: str, entity_key: str, hits: Sequence[Duplicate], extra: Mapping[str, str], best: bool) -> Any:
    """A hit's id, or the key of an extra option. The best hit is chosen at first when ``best`` says so: a name alone may be another person's."""
    words: dict[Any, str] = {hit.id: fmt.md(hit.title) for hit in hits} | dict(extra)
    reasons = [fmt.md(", ".join(hit.reasons)) for hit in hits] + [""] * len(extra)
    if not words:
        return NONE
    return st.radio(
        label, list(words), index=0 if best and hits else min(len(hits), len(words) - 1), format_func=lambda one: words[one], captions=reasons, key=f"convert_{entity_key}",
    )  # fmt: skip


def _account(actor: Actor, row: Mapping[str, Any], hits: Sequence[Duplicate]) -> tuple[int | bool | None, str]:
    """Id (False: still to be chosen) and name of a new one."""
    extra = {NEW: "New account"} if actor.can("account", Action.CREATE) else {}
    extra |= {OTHER: "Another account"} if actor.can("account", Action.READ) else {}
    extra |= {NONE: "No account"}
    if not row["company"]:
        extra = {NONE: extra.pop(NONE), **extra}
    chosen = _choose("Account", "account", hits, extra, bool(hits))
    if chosen == NEW:
        name = st.text_input("Name of the account", value=row["company"] or "", key="convert_account_name", max_chars=300)
        return (None if name.strip() else False), name
    if chosen == OTHER:
        return _picked("account"), ""
    return (None if chosen == NONE else chosen), ""


def _contact(actor: Actor, row: Mapping[str, Any], hits: Sequence[Duplicate]) -> int | bool | None:
    """Id, None for a new one, False while nothing is chosen."""
    extra = {NEW: f"New contact: {fmt.md(row['name'])}"} if actor.can("contact", Action.CREATE) else {}
    extra |= {OTHER: "Another contact"}
    chosen = _choose(
        "Contact", "contact", hits, extra, bool(hits) and bool({"same e-mail address", "same phone number"} & set(hits[0].reasons))
    )
    if chosen == OTHER:
        return _picked("contact")
    return None if chosen == NEW else chosen


def _picked(entity_key: str) -> int | bool:
    chosen = picker("Which one?", lambda q: load(lists.choices, entity_key, q, limit=20), key=f"convert_{entity_key}_other")
    return chosen if chosen is not None else False


def _deal(actor: Actor, row: Mapping[str, Any]) -> tuple[str | None, int | None]:
    if not actor.can("deal", Action.CREATE):
        return None, None
    if not st.toggle("Open a deal", value=True, key="convert_with_deal"):
        return None, None
    left, right = st.columns([3, 2])
    name = left.text_input("Deal", value=row["company"] or row["name"], key="convert_deal", max_chars=300)
    places = exponent(actor.currency)
    shown = float(to_major(row["estimated_minor"], actor.currency)) if row["estimated_minor"] is not None else None
    amount = right.number_input(
        f"Amount ({actor.currency})",
        value=shown,
        min_value=-most_major(actor.currency),
        max_value=most_major(actor.currency),
        step=10.0**-places,
        format=f"%.{places}f",
        key="convert_amount",
    )
    return name.strip() or None, to_minor(amount, actor.currency) if amount is not None else None


def became(actor: Actor, row: Mapping[str, Any], may_edit: bool) -> None:
    """What a converted lead became, with the way to each and the way back."""
    parts = [(key, row[f"converted_{key}_id"], row.get(f"converted_{key}_id.title")) for key in ("account", "contact", "deal")]
    with st.container(border=True, horizontal=True, vertical_alignment="center", gap="small", key="became"):
        st.markdown(f":green[:material/check_circle:] **Converted {fmt.md(fmt.ago(actor, row['converted_at']))}**", width="content")
        for key, record_id, title in parts:
            if record_id is not None and title and page_of(actor, key) is not None:
                icon = {"account": "apartment", "contact": "person", "deal": "handshake"}[key]
                if st.button(fmt.md(title[:60]), icon=f":material/{icon}:", type="tertiary", key=f"to_{key}"):
                    go(key, id=record_id)
        if may_edit and st.button(
            "Take back",
            icon=":material/undo:",
            key="undo_conversion",
            help="What was created goes to the bin, unless it was changed since",
        ):
            perform(leads.undo_conversion, row["id"], success="Conversion taken back.")
            st.rerun()
