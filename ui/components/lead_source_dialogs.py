"""Sources that leads are fetched from: their cards beside the forms, and the dialog that sets one up and tries it."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from crm_core.services.marketing import lead_forms, lead_sources
from crm_core.services.marketing.lead_sources import Probe, SourceView
from ui import format as fmt
from ui.actions import load, perform, show_refusal
from ui.components.lead_form_dialogs import log_dialog
from ui.components.parts_clash import Part, clashing, columns_of, named, plainly, save_parts, saver
from ui.session import current_actor

_LABELS = {
    "form_id": "Comes in through the form", "url": "Address of the list", "header": "Header of the secret", "items_path": "The list in the answer",
    "id_path": "Number of an entry", "mapping": "Where the fields stand", "consent_path": "Agreed to news and offers", "cursor_param": "Asked with",
    "cursor_in": "The place is in", "cursor_path": "The place is at", "every_minutes": "Look every", "keeps_cursor": "Go on where the last look ended",
    "is_active": "Switched on",
}  # fmt: skip
WHERE = {"answer": "what the answer says", "item": "the last entry"}


def source_card(view: SourceView, may_edit: bool) -> None:
    """One source: how it stands, what came of the last look, what can be done with it."""
    row = view.source
    with st.container(border=True, key=f"source_{row.id}"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            with st.container(width="content", gap=None):
                st.markdown(f"**{fmt.md(row.name)}**" + ("" if row.is_active else " :gray-badge[Switched off]"))
                st.caption(
                    f"Through the form {fmt.md(view.form)} · every {lead_sources.EVERY.get(row.every_minutes, 'now and then')}"
                )
            with st.container(horizontal=True, width="content", vertical_alignment="center", gap="small"):
                if st.button("Log", icon=":material/list:", key=f"source_log_{row.id}", type="tertiary"):
                    log_dialog(row.form_id, view.form)
                if may_edit:
                    _buttons(view)
        if row.message:
            again = f" The next try is {fmt.ago(current_actor(), row.next_pull_at)}." if row.is_active else ""
            st.markdown(f":orange[:material/cloud_off: {fmt.md(row.message)}]{fmt.md(again)}")
        _figures(row)


def _figures(row: Any) -> None:
    with st.grid(4, min_column_width=110):
        st.metric("Last looked", fmt.ago(current_actor(), row.last_pull_at) if row.last_pull_at else "not yet")
        st.metric("New", fmt.written(row.new_count), help=f"Of the last look; {fmt.written(row.new_total)} in all")
        st.metric("Known", fmt.written(row.known_count), help="Fetched before: nothing was done with them")
        st.metric("Need a look", fmt.written(row.failed_count), help="Could not become a lead; the log says why and tries again")


def _buttons(view: SourceView) -> None:
    row = view.source
    if row.is_active:
        st.button("Fetch now", icon=":material/sync:", key=f"source_now_{row.id}", type="tertiary", on_click=_fetch, args=(row.id,))
    if st.button("Change", icon=":material/edit:", key=f"source_change_{row.id}", type="tertiary"):
        source_dialog(view)
    with st.popover(
        icon=":material/delete:",
        key=f"source_remove_{row.id}",
        type="tertiary",
        **fmt.icon_only("Remove this source"),
    ):
        st.markdown("Nothing is fetched from it any more. Its leads and the log of the form stay.")
        st.button("Remove", type="primary", key=f"source_remove_yes_{row.id}", on_click=_drop, args=(row.id,))


def _fetch(source_id: int) -> None:
    perform(lead_sources.pull_now, source_id, success="It is asked within a moment.")


def _drop(source_id: int) -> None:
    perform(lead_sources.remove, source_id, success="Source removed.")


@st.dialog("Fetch leads", width="large", icon=":material/cloud_download:")
def source_dialog(view: SourceView | None) -> None:
    """Where the list is, what stands where in it, and one try before anything comes in."""
    row, tag = (view.source, f"{view.source.id}_{view.source.version}") if view else (None, "new")
    forms = {one.form.id: one.form for one in load(lead_forms.find)}
    if not forms:
        st.markdown("Fetched leads come in through a form: it says what a lead must have and who gets it. Make a form first.")
        return
    values = _place(row, forms, tag) | _entry(row, forms, tag) | _going_on(row, tag)
    tried = False
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        tried = st.button("Try it", icon=":material/science:", key=f"ls_try_{tag}", help="Asks once and keeps nothing")
        question = f"source_{tag}"
        saved = st.button("Save", type="primary", key=f"ls_save_{tag}", disabled=clashing(question))
    if tried:
        with st.spinner("Asking …"):
            _told(load(lead_sources.try_out, row.id if row else None, values))

    if save_parts(
        question,
        saved,
        seen=row,
        mine=values,
        parts=_parts(values, forms),
        values_of=columns_of(values),
        save=saver(lead_sources.save, "Source saved."),
    ):
        st.rerun()
    show_refusal()


def _parts(values: Mapping[str, Any], forms: Mapping[int, Any]) -> dict[str, Part]:
    words: dict[str, Any] = {
        "form_id": named({key: form.name for key, form in forms.items()}),
        "mapping": lambda paths: ", ".join(f"{key}: {path}" for key, path in paths.items() if path),
        "cursor_in": lambda where: WHERE.get(where, where), "every_minutes": lambda minutes: lead_sources.EVERY.get(minutes, str(minutes)),
    }  # fmt: skip
    return {key: Part(_LABELS.get(key, key.capitalize()), words.get(key, plainly)) for key in values}


def _place(row: Any, forms: dict[int, Any], tag: str) -> dict[str, Any]:
    left, right = st.columns(2)
    name = left.text_input("Name *", value=row.name if row else "", max_chars=80, key=f"ls_name_{tag}", placeholder="Spring ads")
    ids = list(forms)
    form_id = right.selectbox(
        "Comes in through the form *", ids, index=ids.index(row.form_id) if row and row.form_id in ids else 0,
        format_func=lambda one: forms[one].name, key=f"ls_form_{tag}", help="It says what leads must have, who gets them and how consent counts",
    )  # fmt: skip
    url = st.text_input(
        "Address of the list *",
        value=row.url if row else "",
        max_chars=1000,
        key=f"ls_url_{tag}",
        placeholder="https://ads.example.com/v1/leads?form=17",
    )
    left, right = st.columns(2)
    header = left.text_input(
        "Header of the secret", value=row.header if row else "Authorization", max_chars=60, key=f"ls_header_{tag}"
    )
    secret = right.text_input(
        "Secret", type="password", max_chars=2000, key=f"ls_secret_{tag}", autocomplete="new-password",
        placeholder="Kept; type to replace it" if row and row.header else "Bearer …",
    )  # fmt: skip
    return {"name": name, "form_id": form_id, "url": url, "header": header, **({"secret": secret} if secret else {})}


def _entry(row: Any, forms: dict[int, Any], tag: str) -> dict[str, Any]:
    st.markdown("**What stands where**")
    st.caption(
        "Write the way to each value: `data.leads`, `contact.email`, `field_data[name=email].values[0]`. Empty: it has none."
    )
    form = forms[st.session_state.get(f"ls_form_{tag}") or (row.form_id if row and row.form_id in forms else next(iter(forms)))]
    labels = {key: spec.label for key, spec in load(lead_forms.offered).items()}
    left, right = st.columns(2)
    items = left.text_input("The list in the answer", value=row.items_path if row else "data", max_chars=200, key=f"ls_items_{tag}")
    number = right.text_input(
        "Number of an entry *",
        value=row.id_path if row else "id",
        max_chars=200,
        key=f"ls_id_{tag}",
        help="By it, nothing comes in twice",
    )
    mapping, given = {}, row.mapping if row else {}
    columns = st.columns(2)
    for place, one in enumerate(form.fields):
        label = one["label"] or labels.get(one["key"], one["key"])
        shown = given.get(one["key"], "" if row else one["key"])
        mapping[one["key"]] = columns[place % 2].text_input(
            f"{label} *" if one["required"] else label, value=shown, max_chars=200, key=f"ls_map_{tag}_{form.id}_{one['key']}"
        )
    consent = ""
    if form.ask_consent:
        consent = st.text_input(
            "Agreed to news and offers", value=row.consent_path if row else "", max_chars=200, key=f"ls_consent_{tag}",
            help="Only a plain yes or true counts, by the rules of the form. Nothing that is fetched ever lifts a no.",
        )  # fmt: skip
    return {"items_path": items, "id_path": number, "mapping": mapping, "consent_path": consent}


def _going_on(row: Any, tag: str) -> dict[str, Any]:
    st.markdown("**How it goes on**")
    first, second, third = st.columns([2, 2, 3])
    param = first.text_input(
        "Asked with", value=row.cursor_param if row else "", max_chars=60, key=f"ls_param_{tag}", placeholder="after",
        help="The name in the address by which the list is asked from a place on; empty: it has a single page",
    )  # fmt: skip
    where = second.selectbox(
        "The place is in",
        list(WHERE),
        index=list(WHERE).index(row.cursor_in if row else "answer"),
        format_func=lambda one: WHERE[one],
        key=f"ls_where_{tag}",
    )
    path = third.text_input(
        "at", value=row.cursor_path if row else "", max_chars=200, key=f"ls_cursor_{tag}", placeholder="paging.cursors.after"
    )
    left, middle, right = st.columns([2, 3, 2], vertical_alignment="bottom")
    spans = list(lead_sources.EVERY)
    every = left.selectbox(
        "Look every", spans, index=spans.index(row.every_minutes if row and row.every_minutes in spans else 15),
        format_func=lambda one: lead_sources.EVERY[one], key=f"ls_every_{tag}",
    )  # fmt: skip
    keeps = middle.toggle(
        "Go on where the last look ended", value=row.keeps_cursor if row else True, key=f"ls_keeps_{tag}",
        help="Off for lists whose newest entries stand in front: each look then begins there and ends where all is known",
    )  # fmt: skip
    active = right.toggle("Switched on", value=row.is_active if row else True, key=f"ls_active_{tag}")
    return {
        "cursor_param": param,
        "cursor_in": where,
        "cursor_path": path,
        "every_minutes": every,
        "keeps_cursor": keeps,
        "is_active": active,
    }


def _told(found: Probe) -> None:
    """What one question brought."""
    if found.trouble:
        st.error(fmt.md(found.trouble), icon=":material/error:")
    if found.entries:
        st.success(
            f"{fmt.plural(found.entries, 'entry', 'entries')} on the first page. The first one would be:",
            icon=":material/check_circle:",
        )
        shown = {"Number": found.external_id, **dict(found.first), "Goes on at": found.cursor}
        st.table({fmt.md(key): fmt.md(text or fmt.NOTHING) for key, text in shown.items()}, border="horizontal")
    elif not found.trouble:
        st.info("It answers, and its list is empty for now.", icon=":material/info:")
