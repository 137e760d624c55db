"""Dialogs of lead forms: what a form asks, how it is put on a site, the key for programs, and what came through."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from crm_core import lists
from crm_core.fields import registry
from crm_core.models import LeadForm
from crm_core.services.marketing import capture, lead_forms
from crm_core.vocabulary import Action, SubmissionState
from ui import format as fmt
from ui.actions import load, perform, show_refusal
from ui.addresses import absolute
from ui.components.picker import picker
from ui.components.rows_clash import begin, grid_of, mine_stay, save_rows
from ui.components.table import Cell, Column, table
from ui.navigation import go
from ui.session import current_actor
from ui.tones import TONES

START = [("name", True), ("email", True), ("company", False), ("phone", False), ("description", False)]
PAGE = 10
FORM = "lead_form"


def base_url() -> str:
    """Where this workspace is reached."""
    return absolute("")


def form_dialog(form: LeadForm | None) -> None:
    """Begin to change a form, or to make one."""
    begin(FORM, [form])
    _form_dialog()


@st.dialog("Lead form", width="large", icon=":material/dynamic_form:")
def _form_dialog() -> None:
    """Words, fields, what every lead gets, consent, and the sites that may show it."""
    grid = grid_of(FORM)
    form: LeadForm | None = grid.seen[0]
    tag = f"{form.id}_{grid.turn}" if form else "new"
    left, right = st.columns(2)
    name = left.text_input(
        "Name *",
        value=form.name if form else "",
        max_chars=80,
        key=f"lf_name_{tag}",
        placeholder="Contact form",
        help="Only colleagues see it",
    )
    title = right.text_input(
        "Title", value=form.title if form else "", max_chars=200, key=f"lf_title_{tag}", placeholder="Talk to us"
    )
    left, right = st.columns(2)
    intro = left.text_input("What it says above", value=form.intro if form else "", max_chars=1000, key=f"lf_intro_{tag}")
    thanks = right.text_input(
        "What it says afterwards",
        value=form.thanks if form else "",
        max_chars=1000,
        key=f"lf_thanks_{tag}",
        placeholder="Thank you. We will get back to you.",
    )
    fields = _fields(form, tag)
    defaults = _defaults(form, tag)
    ask = st.toggle("Ask whether news and offers are welcome", value=form.ask_consent if form else False, key=f"lf_ask_{tag}")
    by_mail = st.toggle(
        "Count it only after the link in a mail was followed (double opt-in)",
        value=form.confirm_by_mail if form else True,
        key=f"lf_mail_{tag}",
        disabled=not ask,
    )
    price = st.toggle(
        "Whoever sends it asks for a price",
        value=form.asks_price if form else False,
        key=f"lf_price_{tag}",
        help="Automations can begin with it: “A lead asks for a price”",
    )
    hosts = st.text_input(
        "Sites that may show it in a frame", value=", ".join(form.embed_hosts) if form else "", key=f"lf_hosts_{tag}", placeholder="www.example.com",
        help="Separated by commas. Its own page works without.",
    )  # fmt: skip
    active = st.toggle("Open to visitors", value=form.is_active if form else True, key=f"lf_active_{tag}")
    pressed = st.button("Save", type="primary", key=f"lf_save_{tag}", disabled=grid.theirs is not None)
    if mine_stay(FORM, "this form", _form_words) or pressed:
        values = {
            "name": name, "title": title, "intro": intro, "thanks": thanks, "fields": fields, "defaults": defaults, "ask_consent": ask,
            "confirm_by_mail": by_mail, "asks_price": price, "embed_hosts": (hosts or "").split(","), "is_active": active,
        }  # fmt: skip

        def save(base: Sequence[LeadForm | None]) -> Any:
            now = base[0]
            return perform(
                lead_forms.save, now.id if now else None, values, base_version=now.version if now else None, success="Form saved."
            )

        save_rows(FORM, save)
        show_refusal()


def _form_words(rows: Sequence[LeadForm]) -> str:
    """``Contact form, open: asks for Name, E-mail``."""
    form, known = rows[0], load(lead_forms.offered)
    asked = ", ".join(one["label"] or (known[one["key"]].label if one["key"] in known else one["key"]) for one in form.fields)
    return f"{form.name}, {'open to visitors' if form.is_active else 'switched off'}, “{form.title}”: asks for {asked}"


def _fields(form: LeadForm | None, tag: str) -> list[dict[str, Any]]:
    """What the form asks, in its order."""
    known = {key: spec.label for key, spec in load(lead_forms.offered).items()}
    given = form.fields if form else [{"key": key, "label": "", "required": needed} for key, needed in START]
    frame = pd.DataFrame(
        [{"position": n, "key": one["key"], "label": one["label"], "required": one["required"]} for n, one in enumerate(given, 1)]
    )
    column = st.column_config
    edited = st.data_editor(
        frame,
        num_rows="dynamic",
        hide_index=True,
        placeholder=fmt.NOTHING,
        key=f"lf_fields_{tag}",
        column_config={
            "position": column.NumberColumn("Order", min_value=1, step=1, width="small", default=len(given) + 1),
            "key": column.SelectboxColumn(
                "Ask for", options=list(known), format_func=lambda one: known.get(str(one), ""), required=True
            ),
            "label": column.TextColumn("In other words", max_chars=80),
            "required": column.CheckboxColumn("Needed", default=False),
        },
    )
    rows = edited.sort_values("position", kind="stable").to_dict("records")
    return [
        {"key": row["key"], "label": "" if pd.isna(row.get("label")) else row["label"], "required": row.get("required") is True}
        for row in rows
        if isinstance(row.get("key"), str)
    ]


def _defaults(form: LeadForm | None, tag: str) -> dict[str, Any]:
    """What every lead of the form gets."""
    given = form.defaults if form else {}
    a, b, c = st.columns(3)
    sources = list((load(lambda session, _actor: registry(session, "lead")["source"]).options or {}).values())
    before = given.get("source")
    sources = sources if before is None or before in sources else [*sources, str(before)]
    source = a.selectbox(
        "Source", sources, index=sources.index(before) if before else None, placeholder="–", key=f"lf_source_{tag}"
    )
    people = load(lists.choices, "user", limit=500)
    owner = b.selectbox(
        "Who gets them", list(people), index=list(people).index(given["owner_id"]) if given.get("owner_id") in people else None,
        format_func=lambda one: people[one], placeholder="Nobody yet", key=f"lf_owner_{tag}",
    )  # fmt: skip
    with c:
        actor = current_actor()
        chosen = given.get("campaign_id")
        if actor.can("campaign", Action.READ):
            title = load(lists.titles, "campaign", [chosen]).get(chosen or 0, "")
            chosen = picker(
                "Campaign",
                lambda q: load(lists.choices, "campaign", q, limit=20),
                key=f"lf_campaign_{tag}",
                value=chosen,
                title=title,
            )
    return {"source": source, "owner_id": owner, "campaign_id": chosen}


@st.dialog("Put it to use", width="medium", icon=":material/share:")
def use_dialog(form: LeadForm) -> None:
    """The address, and the lines for another site."""
    address = f"{base_url()}/f/{form.slug}"
    if not form.is_active:
        st.warning("The form is switched off: visitors find nothing at this address.", icon=":material/visibility_off:")
    st.markdown("**Its own page**")
    st.code(address, language=None, wrap_lines=True)
    st.link_button("Open it", address, icon=":material/open_in_new:")
    st.markdown("**Inside your site**")
    if form.embed_hosts:
        st.code(
            f'<iframe src="{address}" style="width:100%;height:720px;border:0" title="{form.slug}"></iframe>',
            language="html",
            wrap_lines=True,
        )
        st.caption(fmt.md(f"Works on {', '.join(form.embed_hosts)} and nowhere else."))
    else:
        st.caption("Name the site under Change first: no other may show the form in a frame.")


@st.dialog("A key for programs", width="medium", icon=":material/key:")
def key_dialog(form: LeadForm) -> None:
    """Make a key, shown once."""
    made = st.session_state.get("_form_key")
    if made and made[0] == form.id:
        address = f"{base_url()}/capture/{made[1]}"
        st.markdown("Send leads with POST, as JSON or as a form. This is shown only here and now.")
        st.code(address, language=None, wrap_lines=True)
        names = ", ".join(f'"{one["key"]}": "…"' for one in form.fields[:3])
        st.code(f"curl -X POST {address} \\\n  -H 'content-type: application/json' \\\n  -d '{{{names}}}'", language="bash")
        return
    st.markdown(
        "With a key, another program sends leads into this form, without a browser. "
        + ("The key before stops working." if form.key_sha256 else "")
    )
    if st.button("Make a new key", type="primary", key=f"key_make_{form.id}"):
        key = perform(lead_forms.new_key, form.id)
        if key is not None:
            st.session_state["_form_key"] = (form.id, key)
            st.rerun(scope="fragment")
        show_refusal()


@st.dialog("What came through", width="large", icon=":material/list:")
def log_dialog(form_id: int, name: str) -> None:
    """Every sending with what became of it; what failed on our side can be tried again."""
    actor = current_actor()
    st.caption(fmt.md(name))
    words = {state.value: state.label for state in SubmissionState if state is not SubmissionState.TWICE}
    chosen = st.pills(
        "State", list(words), format_func=lambda one: words[one], key=f"log_state_{form_id}", label_visibility="collapsed"
    )
    state = SubmissionState(chosen) if chosen else None
    page = int(st.session_state.get(f"log_page_{form_id}") or 1)
    rows, total = load(lead_forms.sendings, form_id, state=state, page=page, size=PAGE)
    if not rows:
        st.caption("Nothing came through yet." if state is None else "Nothing like that.")
        return
    happened = table(
        [Column("who", "Who", sortable=False), Column("state", "What became of it", sortable=False), Column("at", "When", sortable=False), Column("note", "", sortable=False)],
        [(row.id, [Cell(row.who), Cell(row.state.label, tone=TONES[row.state]), Cell(fmt.ago(actor, row.at)), Cell(row.message)]) for row in rows],
        key=f"log_rows_{form_id}",
        label="Sendings of this form",
    )  # fmt: skip
    if total > PAGE:
        st.pagination(-(-total // PAGE), key=f"log_page_{form_id}")
    opened = next((row for row in rows if happened.opened == row.id), None)
    if opened is not None and opened.lead_id is not None:
        go("lead", id=opened.lead_id)
        st.rerun()
    failed = [row for row in rows if row.state is SubmissionState.FAILED] if actor.can("lead_form", Action.MANAGE) else []
    for row in failed:
        if st.button(fmt.md(f"Try {row.who} again"), key=f"retry_{row.id}", icon=":material/refresh:"):
            if perform(capture.retry, row.id, success="Tried again.") is not None:
                st.rerun(scope="fragment")
            show_refusal()
