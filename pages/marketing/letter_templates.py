"""Letter templates: for marketers, reps and agents, to find what was written well before, and to look after it."""

import streamlit as st

from crm_core.services.marketing import templates
from crm_core.services.marketing.templates import TemplateRow
from crm_core.vocabulary import Action, LetterUse, Visibility
from ui import format as fmt
from ui.actions import load, perform
from ui.components.header import empty_state, header
from ui.components.letter_dialogs import new_dialog, remove_dialog
from ui.navigation import go, page_of
from ui.session import current_actor

ACTIONS = {"copy": "Duplicate", "archive": "Archive", "restore": "Take out of the archive", "remove": "Delete …"}


def card(row: TemplateRow) -> None:
    """One letter: what it is for, whose it is, how often it was used."""
    one = row.template
    with st.container(border=True, key=f"template_{one.id}"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            with st.container(width="content", gap=None):
                own = "" if one.visibility is Visibility.SHARED else " :gray-badge[Only me]"
                st.markdown(f"**{fmt.md(one.name)}** :blue-badge[{one.use.label}]{own}")
                st.caption(fmt.md(" · ".join(part for part in (one.subject, one.about) if part)) or fmt.md(one.body[:120]))
            with st.container(horizontal=True, width="content", vertical_alignment="center", gap="small"):
                if st.button(
                    "Open", icon=":material/edit:" if row.mine else ":material/visibility:", key=f"open_{one.id}", type="tertiary"
                ):
                    go("letter-template", id=one.id)
                menu(row)
        st.caption(fmt.md(f"{used(row)} · {row.owner or 'nobody'} · changed {fmt.ago(actor, one.updated_at)}"))


def menu(row: TemplateRow) -> None:
    """What else can be done with it; deleting asks first."""
    if not may_keep:
        return
    key, archived = f"menu_{row.template.id}", row.template.archived_at is not None
    own = (["restore", "remove"] if archived else ["archive", "remove"]) if row.mine else []
    action = st.menu_button(
        options=["copy", *own], icon=":material/more_vert:", type="tertiary", format_func=lambda name: ACTIONS[name], key=key,
        **fmt.icon_only("Duplicate, archive or delete"),
    )  # fmt: skip
    if action == "remove":
        remove_dialog(row.template.id, row.template.name)
    elif action:
        act(action, row.template.id)


def act(action: str, template_id: int) -> None:
    if action == "copy":
        made = perform(templates.duplicate, template_id, success="Duplicated.")
        if made is not None:
            go("letter-template", id=made.id)
    elif action == "archive":
        perform(templates.archive, template_id, success="Archived. What was begun with it goes on.")
    else:
        perform(templates.restore, template_id, success="Offered again.")
    st.rerun()


def used(row: TemplateRow) -> str:
    count = row.template.used_count
    if not count:
        return "never used"
    times = "once" if count == 1 else f"{fmt.written(count)} times"
    return f"used {times}, last {fmt.ago(actor, row.template.used_at)}"


actor = current_actor()
may_keep = actor.can("letter_template", Action.MANAGE)
home = next((key for key in ("campaigns", "macros") if page_of(actor, key) is not None), "today")
actions = header(
    "Letter templates",
    "Letters worth writing again: for campaigns, one-to-one mail and answers to tickets",
    back=({"campaigns": "Campaigns", "macros": "Macros"}.get(home, "Today"), page_of(actor, home)),
)
if may_keep and actions.button("New template", type="primary", icon=":material/add:", key="new_template", shortcut="n"):
    new_dialog()
with st.container(horizontal=True, vertical_alignment="center", gap="small", key="list_tools"):
    query = st.text_input(
        "Search",
        key="q",
        placeholder="Name, subject or words",
        label_visibility="collapsed",
        type="search",
        width=280,
        bind="query-params",
    )
    uses = [one.value for one in LetterUse]
    use = st.pills(
        "For", uses, format_func=lambda one: LetterUse(one).label, key="use", label_visibility="collapsed", bind="query-params"
    )
    archived = st.toggle("Archived", key="archived", bind="query-params")
rows = load(templates.find, use=LetterUse(use) if use else None, q=query or "", archived=archived)
for row in rows:
    card(row)
if not rows and (query or use or archived):
    empty_state(
        "No letter here",
        "Try another word, or look among the others." if query or use else "Nothing was archived.",
        icon="search_off",
    )
elif not rows:
    box = empty_state(
        "No letter templates yet", "Write a letter once with fields for names and companies, and begin with it wherever you write to people.", icon="library_books"
    )  # fmt: skip
    if may_keep and box.button("Write the first one", type="primary", icon=":material/add:", key="first_template"):
        new_dialog()
