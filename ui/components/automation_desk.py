"""Beside the editor of an automation: save and switch on, the whole in words, the past, one record."""

from collections.abc import Mapping
from typing import Any

import streamlit as st
from sqlmodel import Session

from crm_core import lists
from crm_core.access import Actor
from crm_core.entities import entity
from crm_core.models import Automation
from crm_core.services.automation import automations, flow_rules, record_runs, trial
from crm_core.services.automation.automations import Story
from crm_core.vocabulary import AutomationState, StepOutcome, TriggerKind
from ui import format as fmt
from ui.actions import load, perform, renew, show_problems, submit_key
from ui.components import automation_draft, automation_merge
from ui.components.automation_dialogs import look_back, replay_view
from ui.components.automation_draft import Draft, redraw
from ui.components.automation_trigger import Wrong
from ui.components.automation_words import at_length, sentence
from ui.components.parts_clash import ask_about, forget, save_parts
from ui.components.picker import picker
from ui.navigation import go
from ui.session import current_actor

PLACES = {
    "name": "Name",
    "entity": "It is about",
    "trigger": "When",
    "if": "If",
    "before": "Before the change",
    "goal": "Ends early",
    "steps": "Then",
}
STANDS = {AutomationState.ACTIVE: "at work", AutomationState.PAUSED: "paused", AutomationState.DRAFT: "not switched on yet"}
NOW = "now"


def desk(draft: Draft, row: Automation | None, told: Story, wrong: Wrong) -> None:
    """The right column."""
    with st.container(border=True, key="auto_save", gap="small"):
        show_problems()
        if row is not None and (row.current, row.name, row.hourly_cap) != (draft.number, draft.kept[0], draft.kept[2]):
            _conflict(draft, row)
        else:
            _saving(draft, row, wrong)
        _missing(draft, told, wrong)
    with st.container(border=True, key="auto_words", gap="small"):
        st.markdown("**In words**")
        st.markdown(at_length(told))
    _past(draft, wrong)
    _one_record(draft, row, told, wrong)


# --- saving ---------------------------------------------------------------------------------------------------------------------


def _saving(draft: Draft, row: Automation | None, wrong: Wrong) -> None:
    active = row is not None and row.state is AutomationState.ACTIVE
    if draft.dirty or row is None:
        words = "Nothing is saved yet" if row is None else "Changed, not saved"
        note = "From then on new runs take it." if active else "Nothing happens before it is switched on."
        st.markdown(f":orange-badge[{words}]  {note}")
    else:
        st.markdown(f":green-badge[Saved]  Version {draft.number}, {STANDS[row.state]}")
    if active and draft.dirty and row is not None:
        say_whose(row)
    loose = draft.unfinished()
    if loose:
        st.markdown(
            f":orange[:material/edit_note: {fmt.plural(loose, 'condition')} unfinished: finish or remove it before you save.]"
        )
    with st.container(horizontal=True, gap="small"):
        if draft.dirty or row is None:
            label = f"Save as version {draft.number + 1}" if draft.number else "Save"
            blocked = bool(loose) or (active and bool(wrong))
            if st.button(
                label, type="primary", icon=":material/save:", key="auto_save_button", disabled=blocked, shortcut="ctrl+enter"
            ):
                save(draft)
        if active:
            if st.button("Pause", icon=":material/pause:", key="auto_pause"):
                perform(automations.pause, draft.automation_id, success="Paused: nothing new starts, runs under way rest.")
                st.rerun()
        elif st.button(
            "Switch on …", icon=":material/play_arrow:", key="auto_on", disabled=bool(wrong) or bool(loose),
            type="secondary" if draft.dirty or row is None else "primary", help="See first what it would have done",
        ):  # fmt: skip
            on_dialog(draft)
        if draft.past:
            st.button("Undo", icon=":material/undo:", key="auto_undo", type="tertiary", on_click=draft.undo)
        if draft.dirty:
            with st.popover("Discard", icon=":material/delete_sweep:", type="tertiary", key="auto_discard"):
                st.markdown("What you changed since the last saving is lost.")
                st.button("Discard changes", key="auto_discard_yes", type="primary", on_click=discard, args=(draft,))


def say_whose(row: Automation) -> None:
    """What saving, or switching on, makes of an automation that acts for a colleague; nothing for one's own."""
    if row.owner_id not in (None, current_actor().user_id):
        name = load(lists.titles, "user", {row.owner_id}).get(row.owner_id or 0) or "a colleague"
        st.markdown(f":orange[:material/badge: It acts with the rights of {fmt.md(name)}. From then on it acts with yours.]")


def _missing(draft: Draft, told: Story, wrong: Wrong) -> None:
    if not wrong:
        return
    st.markdown("**Before it can be switched on**")
    names = {step["id"]: sentence(told, step) for step, _ in flow_rules.walk(draft.steps)}
    st.markdown(
        "\n".join(f"- {fmt.md(PLACES.get(place) or names.get(place) or place)}: {fmt.md(words)}" for place, words in wrong.items())
    )


def save(draft: Draft) -> None:
    """Keep it as a new version; what is refused stays in the draft."""
    done = perform(_save, draft)
    draft.refused = dict(st.session_state.get("_invalid") or {})
    if done is None:
        redraw()
    _saved(draft, done, f"Saved as version {done.current}.")


def _save(session: Session, actor: Actor, draft: Draft) -> Automation:
    return automations.save(
        session, actor, draft.automation_id, name=draft.name, flow=draft.flow, hourly_cap=draft.cap, recipe=draft.recipe,
        base_version=draft.version,
    )  # fmt: skip


def _saved(draft: Draft, row: Automation, words: str) -> None:
    st.session_state.setdefault("_toasts", []).append(("ok", fmt.md(words)))
    discard(draft)
    if draft.automation_id is None:
        go("automation", id=row.id)
    st.rerun()


def discard(draft: Draft) -> None:
    """Back to what is saved."""
    automation_draft.forget(draft.mark)
    forget(f"automation_{draft.automation_id}")


@st.dialog("Switch on", width="large", icon=":material/play_arrow:")
def on_dialog(draft: Draft) -> None:
    """What it would have done; then the button."""
    st.markdown(f"**{fmt.md(draft.name or 'This automation')}**")
    known = draft.tried.get(NOW)
    if known is None or known[0] != draft.signature:
        known = draft.tried[NOW] = (draft.signature, look_back(draft.flow, draft.cap))
    replay_view(known[1], draft.entity)
    row = load(automations.get, draft.automation_id) if draft.automation_id is not None else None
    if row is not None:
        say_whose(row)
    st.caption("It acts with your rights, and on what happens from now on. You can pause it at any time.")
    fresh = draft.dirty or draft.automation_id is None
    if st.button("Save and switch on" if fresh else "Switch on", type="primary", key="auto_on_yes"):
        done = perform(_switch_on, draft, fresh)
        draft.refused = dict(st.session_state.get("_invalid") or {})
        if done is not None:
            _saved(draft, done, f"{done.name} is on. It acts with your rights.")
    show_problems()


def _switch_on(session: Session, actor: Actor, draft: Draft, fresh: bool) -> Automation:
    automation_id = _save(session, actor, draft).id if fresh else draft.automation_id or 0
    return automations.activate(session, actor, automation_id)


def _conflict(draft: Draft, row: Automation) -> None:
    """Somebody else saved meanwhile: nothing is lost, what fits together is put together, and of the same part it is asked whose stays."""
    number, at, author = load(automations.versions, row.id)[0]
    who = fmt.md(author or "Somebody") if number != draft.number else "Somebody"
    saved = (
        f" saved version {number} {fmt.ago(current_actor(), at)}" if number != draft.number else " changed its name or its limit"
    )
    st.markdown(f":orange[:material/call_split:] {who}{saved}, while you were writing. What you wrote is still here.")
    if row.state is AutomationState.ACTIVE:
        say_whose(row)
    with st.expander(f"What version {number} does"):
        st.markdown(at_length(load(automations.story, row.id)))
    if loose := draft.unfinished():
        st.caption(f"{fmt.plural(loose, 'condition')} unfinished: finish or remove it before you save.")
    else:
        _merge(draft, row)
    st.button("Take theirs, drop mine", key="auto_theirs", type="tertiary", on_click=discard, args=(draft,))
    st.caption("Theirs stays among the versions in any case.")


def _merge(draft: Draft, row: Automation) -> None:
    name, entity_key = f"automation_{row.id}", draft.entity

    def held(of: Any) -> dict[str, Any]:
        return (
            automation_merge.parts_of(of.name, load(automations.flow, of.id), of.hourly_cap) if isinstance(of, Automation) else of
        )

    def write(values: Mapping[str, Any], base: Any) -> Any:
        version = base.version if isinstance(base, Automation) else draft.version
        flow = automation_merge.flow_of(entity_key, values)
        return perform(
            automations.save, draft.automation_id, name=values["name"], flow=flow, hourly_cap=values["cap"], base_version=version
        )

    ask_about(name, row)
    mine = automation_merge.parts_of(draft.name, draft.flow, draft.cap)
    seen, parts = automation_merge.parts_of(*draft.kept), automation_merge.words(entity_key)
    if save_parts(name, False, seen=seen, mine=mine, parts=parts, values_of=held, save=write):
        _saved(draft, load(automations.get, row.id), "Saved, with what the other one changed elsewhere.")
    draft.refused = dict(st.session_state.get("_invalid") or {}) or draft.refused
    show_problems()


# --- trying ---------------------------------------------------------------------------------------------------------------------


def _past(draft: Draft, wrong: Wrong) -> None:
    with st.container(border=True, key="auto_past", gap="small"):
        st.markdown("**What it would have done**")
        known = draft.tried.get(NOW)
        blocked = bool(wrong) or bool(draft.unfinished())
        if known is None:
            st.caption(
                "Finish it; then see it here for the last 90 days."
                if blocked
                else "See it for the last 90 days. Nothing is changed by that."
            )
        again = known is not None and known[0] != draft.signature
        if again:
            st.markdown(":orange[:material/history: From before your last change.]")
        offered = known is None or again
        if offered and st.button("Try on the past", icon=":material/history:", key="auto_try", disabled=blocked):
            draft.tried[NOW] = (draft.signature, look_back(draft.flow, draft.cap))
            redraw()
        if known is not None:
            replay_view(known[1], draft.entity)
        compared(draft)


def compared(draft: Draft) -> None:
    """The starts of each version that was tried."""
    others = sorted(((key, told) for key, (_, told) in draft.tried.items() if key != NOW), key=lambda one: int(one[0]))
    if others:
        st.caption("Other versions: " + " · ".join(f"version {key}: {fmt.plural(told.starts, 'start')}" for key, told in others))


def _one_record(draft: Draft, row: Automation | None, told: Story, wrong: Wrong) -> None:
    one = entity(draft.entity).label.lower()
    with st.container(border=True, key="auto_trial", gap="small"):
        st.markdown(f"**With one {one}**")
        record_id = picker(
            entity(draft.entity).label, lambda q: load(lists.choices, draft.entity, q, limit=20), key=f"{draft.tag}_{draft.entity}_record",
            placeholder=f"Choose a {one} to try it with",
        )  # fmt: skip
        blocked = any(place != "trigger" for place in wrong) or bool(draft.unfinished()) or not record_id
        with st.container(horizontal=True, gap="small"):
            if st.button("What would happen?", icon=":material/science:", key="auto_trial_run", disabled=blocked) and record_id:
                made = perform(trial.run, draft.flow, record_id, automation_id=draft.automation_id)
                draft.trial = made
                show_problems()
            by_hand = draft.flow["trigger"].get("kind") == TriggerKind.MANUAL.value and not draft.dirty
            started = (
                by_hand
                and row is not None
                and row.state is AutomationState.ACTIVE
                and st.button("Start it for real", icon=":material/play_arrow:", key="auto_start", disabled=not record_id)
            )
        if started and record_id:
            _start(draft, record_id)
        if draft.trial is not None:
            trial_view(draft.trial)
        else:
            st.caption("Each step is tried and taken back: nobody is told, nothing is sent, nothing changes.")


def _start(draft: Draft, record_id: int) -> None:
    name = f"start_{draft.automation_id}_{record_id}"
    why_not = perform(record_runs.start, draft.automation_id, record_id, submit_key=submit_key(name))
    renew(name)
    if why_not == "":
        st.success("It has begun. See *Runs*.", icon=":material/check_circle:")
    elif why_not is not None:
        st.warning(fmt.md(why_not), icon=":material/info:")
    show_problems()


def trial_view(told: trial.Trial) -> None:
    """Each step, and what would come of it."""
    actor = current_actor()
    icons = {
        StepOutcome.FAILED: ":red[:material/error:]", StepOutcome.SKIPPED: ":gray[:material/block:]", None: ":blue[:material/hourglass:]",
    }  # fmt: skip
    if not told.matches:
        st.markdown(
            f":orange[:material/filter_alt_off: {fmt.md(told.title)} does not meet the conditions now, so nothing would start. If it did:]"
        )
    lines: list[str] = []
    for line in told.lines:
        came = f": **{fmt.md(line.message)}**" if line.message else ""
        icon = icons.get(line.outcome, ":green[:material/check_circle:]")
        lines.append(f"- {icon} {fmt.md(fmt.ago(actor, line.at))} · {fmt.md(line.words)}{came}")
    st.markdown("\n".join(lines))
    st.caption(" ".join(part for part in (told.end, "Conditions look at the record as it is now. Nothing was changed.") if part))


def reason_of(row: Automation) -> Any:
    """Why it stands still, and the way out."""
    if row.state is not AutomationState.PAUSED or not row.reason:
        return
    if row.reason.startswith("by "):
        st.info(f"Paused {fmt.md(row.reason)}. Runs under way rest until it is switched on again.", icon=":material/pause_circle:")
        return
    if row.reason.startswith("More than"):
        out = "See under Runs whether that is right; raise the limit below if it is. Then switch it on again: runs under way go on."
    else:
        out = "Switch it on and it acts with your rights from then on; runs under way go on."
    st.warning(f"**Needs a look:** {fmt.md(row.reason)}  \n{out}", icon=":material/pause_circle:")
