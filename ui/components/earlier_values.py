"""Earlier values of a record's fields, each with the button that sets it back."""

from collections.abc import Sequence

import streamlit as st

from crm_core.access import Actor
from crm_core.kit.text import clip
from crm_core.services import setting_back
from crm_core.services.setting_back import Former
from ui import format as fmt
from ui.actions import load, perform, show_refusal
from ui.session import current_actor

LONGEST = 120
"""So many characters of a value stand beside its button."""


def earlier_dialog(entity_key: str, record_id: int) -> None:
    """Open the dialog with what the fields of a record were before."""

    @st.dialog("Earlier values", width="medium")
    def show() -> None:
        formers = load(setting_back.find, entity_key, record_id)
        if not formers:
            st.caption("No field of this record was changed to something else.")
            return
        st.caption(
            "What a field was before somebody changed it. Setting it back is a change like any other: it stands in the timeline."
        )
        earlier_values(current_actor(), formers, key="earlier")

    show()


def earlier_values(actor: Actor, formers: Sequence[Former], *, key: str) -> None:
    """One line for each earlier value: field, then and now, who changed it, and the button."""
    for former in formers:
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
            old, now = _words(actor, former)
            who = fmt.md(f"{former.who} changed it {fmt.ago(actor, former.at)}")
            st.markdown(
                f"{fmt.md(former.spec.label)}: **{fmt.md(old)}**  \n:gray[:small[now {fmt.md(now)} · {who}]]", width="stretch"
            )
            if st.button(
                "Set back",
                icon=":material/undo:",
                help=fmt.md(f"{former.spec.label}: {old}"),
                key=f"{key}_{former.event_id}_{former.spec.key}",
            ):
                done = perform(
                    setting_back.set_back, former.event_id, former.spec.key, now=former.now,
                    success=fmt.md(f"{former.spec.label} is {old} again."),
                )  # fmt: skip
                if done is not None:
                    st.rerun()
    show_refusal()


def _words(actor: Actor, former: Former) -> tuple[str, str]:
    pairs = ((former.old, former.old_title), (former.now, former.now_title))
    old, now = (fmt.value(actor, former.spec, raw, title) for raw, title in pairs)
    return clip(" ".join(old.split()), LONGEST), clip(" ".join(now.split()), LONGEST)
