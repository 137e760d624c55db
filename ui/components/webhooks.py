"""Webhooks on the page of integrations: cards with what became of their messages, the form, the secret, the log with replay."""

from collections.abc import Collection, Mapping
from typing import Any

import streamlit as st

from crm_core import lists
from crm_core.entities import ENTITIES
from crm_core.models import Webhook
from crm_core.services.collaboration import webhook_rules, webhooks
from crm_core.services.collaboration.webhooks import DeliveryRow, HookRow
from crm_core.vocabulary import HookState
from ui import format as fmt
from ui.actions import load, perform, show_problems
from ui.components.filter_bar import forget_inline, inline_filter
from ui.components.filter_inputs import words_of
from ui.components.header import empty_state
from ui.components.message_log import message_log
from ui.components.parts_clash import Part, clashing, columns_of, named, save_parts, saver
from ui.components.table import Cell
from ui.session import current_actor

TONES = {
    HookState.WAITING: "orange", HookState.SENDING: "blue", HookState.DELIVERED: "green", HookState.FAILED: "red", HookState.SKIPPED: "gray",
}  # fmt: skip


def webhooks_section() -> None:
    """All webhooks."""
    rows = load(webhooks.find)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key="hooks_top"):
        st.caption("When something happens here, Rapport tells another program at once: signed, and again until it is there.")
        if rows and st.button("New webhook", type="primary", icon=":material/add:", key="hook_new"):
            open_form(None)
    if not rows:
        box = empty_state(
            "No webhooks yet",
            "Name an address and the events it wants to know: a shop, a chat, an automation service hears of a won deal within seconds.",
            icon="webhook",
        )
        if box.button("Make a webhook", type="primary", icon=":material/add:", key="hook_first"):
            open_form(None)
    for row in rows:
        _card(row)


def open_form(hook: Webhook | None) -> None:
    forget_inline()
    form_dialog(hook)


def _card(row: HookRow) -> None:
    hook = row.hook
    with st.container(border=True, key=f"hook_{hook.id}"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            with st.container(width="content", gap=None):
                badge = ":green-badge[On]" if hook.is_active else ":red-badge[Off]" if hook.off_reason else ":gray-badge[Off]"
                st.markdown(f"**{fmt.md(hook.name)}** {badge}")
                st.caption(fmt.md(hook.url))
                st.caption(fmt.md(_told(hook) + f" · sees what {row.owner} sees"))
            _buttons(hook)
        if hook.off_reason:
            st.warning(
                fmt.md(f"Switched off because {hook.off_reason}. Put it right, then switch it on under Change."),
                icon=":material/power_off:",
            )
        waiting = row.counts.get(HookState.WAITING, 0) + row.counts.get(HookState.SENDING, 0)
        with st.grid(4, min_column_width=110):
            st.metric("Delivered", fmt.written(row.counts.get(HookState.DELIVERED, 0)), help="In seven days")
            st.metric("Waiting", fmt.written(waiting), help="On their way, or waiting for another try")
            st.metric(
                "Failed",
                fmt.written(row.counts.get(HookState.FAILED, 0)),
                help="Given up after a day and more of tries; send them again in the log",
            )
            st.metric(
                "Left out",
                fmt.written(row.counts.get(HookState.SKIPPED, 0)),
                help="By the filter, or not shared with the person whose eyes decide",
            )


def _told(hook: Webhook) -> str:
    words = [kind for kinds in webhook_rules.offered().values() for kind in kinds if kind in hook.events]
    if not words:
        return "Only what automations send"
    return ", ".join(words[:4]) + (f" and {len(words) - 4} more" if len(words) > 4 else "")


def _buttons(hook: Webhook) -> None:
    with st.container(horizontal=True, width="content", vertical_alignment="center", gap="small"):
        if st.button("Log", icon=":material/list:", key=f"hook_log_{hook.id}"):
            st.session_state.pop("hook_open", None)
            log_dialog(hook.id, hook.name)
        st.button("Test", icon=":material/send:", key=f"hook_test_{hook.id}", type="tertiary", on_click=_test, args=(hook.id,))
        if st.button("Change", icon=":material/edit:", key=f"hook_change_{hook.id}", type="tertiary"):
            open_form(hook)
        if st.button(
            icon=":material/key:",
            key=f"hook_secret_{hook.id}",
            type="tertiary",
            **fmt.icon_only("The secret that signs its messages"),
        ):
            secret_dialog(hook)
        with st.popover(
            icon=":material/delete:",
            key=f"hook_remove_{hook.id}",
            type="tertiary",
            **fmt.icon_only("Remove this webhook"),
        ):
            st.markdown("Nothing is told to it any more, and its log goes.")
            st.button("Remove", type="primary", key=f"hook_remove_yes_{hook.id}", on_click=_remove, args=(hook.id,))


def _test(hook_id: int) -> None:
    perform(webhooks.test, hook_id, success="A test is on its way; the log shows what comes back.")


def _remove(hook_id: int) -> None:
    perform(webhooks.remove, hook_id, success="Webhook removed.")


@st.dialog("Webhook", width="large", icon=":material/webhook:")
def form_dialog(hook: Webhook | None) -> None:
    """Address, events, filter, whose eyes."""
    tag = f"{hook.id}_{hook.version}" if hook else "new"
    left, right = st.columns(2)
    name = left.text_input(
        "Name *", value=hook.name if hook else "", max_chars=80, key=f"wh_name_{tag}", placeholder="Chat of the sales team"
    )
    url = right.text_input(
        "Address *",
        value=hook.url if hook else "",
        max_chars=1000,
        key=f"wh_url_{tag}",
        placeholder="https://example.com/hooks/crm",
    )
    words = {
        kind: f"{ENTITIES[key].label}: {text}" for key, kinds in webhook_rules.offered().items() for kind, text in kinds.items()
    }
    chosen = st.multiselect(
        "What it is told", list(words), default=[kind for kind in hook.events if kind in words] if hook else [], key=f"wh_events_{tag}",
        format_func=lambda one: words[one], placeholder="Type a word, such as won", help="Leave it empty for a webhook that only automations use",
    )  # fmt: skip
    entities = webhook_rules.entities_of(chosen)
    ast: Any = None
    if len(entities) == 1:
        key = next(iter(entities))
        st.markdown(f"**Only of {ENTITIES[key].plural.lower()} that**")
        ast = inline_filter(
            key, f"hook_{tag}", hook.filter if hook and webhook_rules.entities_of(hook.events) == entities else None
        )
    people = load(lists.choices, "user", limit=500)
    mine = hook.owner_id if hook else current_actor().user_id
    owner = st.selectbox(
        "Sees what this person sees", list(people), index=list(people).index(mine) if mine in people else None, key=f"wh_owner_{tag}",
        format_func=lambda one: people[one], help="Of records that this person may not see nothing is told, and their hidden fields stay hidden",
    )  # fmt: skip
    active = st.toggle("Switched on", value=hook.is_active if hook else True, key=f"wh_active_{tag}")
    question = f"webhook_{tag}"
    pressed = st.button("Save", type="primary", key=f"wh_save_{tag}", disabled=clashing(question))
    values = {"name": name, "url": url, "events": chosen, "filter": ast, "owner_id": owner, "is_active": active}
    parts = {
        "name": Part("Name"), "url": Part("Address"), "owner_id": Part("Sees what this person sees", named(people)), "is_active": Part("Switched on"),
        "events": Part("What it is told", lambda kinds: ", ".join(words.get(kind, kind) for kind in kinds)),
        "filter": Part("Which records", lambda rule: _filter_words(rule, entities)),
    }  # fmt: skip

    if save_parts(
        question,
        pressed,
        seen=hook,
        mine=values,
        parts=parts,
        values_of=columns_of(values),
        save=saver(webhooks.save, "Webhook saved."),
    ):
        st.rerun()
    show_problems()


def _filter_words(rule: Mapping[str, Any] | None, entities: Collection[str]) -> str:
    if not rule:
        return "All of them"
    return load(words_of, next(iter(entities)), rule) if len(entities) == 1 else "A condition on records of one kind"


@st.dialog("Secret", width="medium", icon=":material/key:")
def secret_dialog(hook: Webhook) -> None:
    """What the receiver needs to check that a message is ours."""
    st.markdown(
        "Messages carry `webhook-id`, `webhook-timestamp` and `webhook-signature` as [Standard Webhooks](https://www.standardwebhooks.com) "
        "has them; its libraries check them in one line."
    )
    st.code(st.session_state.get(f"_secret_{hook.id}") or hook.secret, language=None, wrap_lines=True)
    with st.popover("Make a new one", icon=":material/refresh:"):
        st.markdown("The receiver refuses our messages until it knows the new secret.")
        if st.button("Make it", type="primary", key=f"secret_yes_{hook.id}"):
            made = perform(webhooks.new_secret, hook.id)
            if made is not None:
                st.session_state[f"_secret_{hook.id}"] = made
                st.rerun(scope="fragment")
            show_problems()


@st.dialog("What was sent", width="large", icon=":material/list:")
def log_dialog(hook_id: int, name: str) -> None:
    """Every message with what became of it; each can be looked at and sent again."""
    opened = st.session_state.get("hook_open")
    if opened:
        _one(int(opened))
        return
    _, happened = message_log(
        webhooks.deliveries, hook_id, name, key="hook", states=[state for state in HookState if state is not HookState.SENDING], cells=_cells,
        columns={"type": "Event", "state": "State", "answer": "Answer", "at": "When"}, nothing="Nothing was sent yet.",
    )  # fmt: skip
    if happened.opened:
        st.session_state["hook_open"] = happened.opened
        st.rerun(scope="fragment")


def _cells(row: DeliveryRow) -> list[Cell]:
    answer = f"{row.status} in {fmt.written(row.ms)} ms" if row.status and row.ms is not None else row.message
    what = f"{row.type} · {row.entity} {row.record_id}" if row.entity else row.type
    return [
        Cell(what), Cell(row.state.label, tone=TONES[row.state]), Cell(answer, hot=row.state is HookState.FAILED),
        Cell(fmt.ago(current_actor(), row.at)),
    ]  # fmt: skip


def _one(delivery_id: int) -> None:
    found = load(webhooks.message, delivery_id)
    row = found.row
    st.button("All messages", icon=":material/arrow_back:", type="tertiary", key="hook_back", on_click=_back)
    st.markdown(f"**{fmt.md(row.type)}** :{TONES[row.state]}-badge[{row.state.label}]")
    facts = [
        f"{fmt.plural(row.attempts, 'try', 'tries')}",
        *([f"answered {row.status}"] if row.status else []),
        *([row.message] if row.message else []),
    ]
    if row.state is HookState.WAITING and row.attempts:
        facts.append(f"next try {fmt.instant(current_actor(), row.next_at)}")
    st.caption(fmt.md(" · ".join(facts)))
    if found.payload:
        st.code(found.payload, language="json", height=320)
    if found.answer:
        st.caption("What came back")
        st.code(found.answer, language=None, wrap_lines=True)
    if (
        row.state in webhook_rules.AGAIN
        and st.button("Send again", type="primary", icon=":material/replay:", key="hook_again")
        and perform(webhooks.replay, row.id, success="It is on its way again.") is not None
    ):
        st.rerun(scope="fragment")
    show_problems()


def _back() -> None:
    st.session_state.pop("hook_open", None)
