"""Words and tables of a list to call: where it stands, who is on it, what came of it."""

from typing import Any

import streamlit as st

from crm_core.access import Actor
from crm_core.models import DialList
from crm_core.services.telephony import dial_lists, dial_people, dial_results
from crm_core.services.telephony.dial_lists import Progress
from crm_core.services.telephony.dial_results import PersonRow, Share
from crm_core.vocabulary import CallOutcome, DialState, DialWait
from ui import format as fmt
from ui.actions import load
from ui.components.dial_dialogs import why_words
from ui.components.table import Cell, Column, table
from ui.navigation import go

TONES = {DialState.WAITING: "blue", DialState.DONE: "green", DialState.LEFT_OUT: "gray"}
_WAITS = {
    DialWait.HOURS: "{n} waiting until it suits their clock", DialWait.RETRY: "{n} not reached, to be tried again", DialWait.CALLBACK: "{n} to be called back later",
    DialWait.CALLED: "{n} called today already", DialWait.LATER: "{n} put off",
}  # fmt: skip
PAGE = 25
MONEY = ("bought", "estimated_minor")


def stand(found: Progress) -> str:
    """``12 of 80 done · 3 call-backs due``."""
    parts = [f"{fmt.written(found.done)} of {fmt.written(found.total)} done"]
    if found.callbacks_due:
        parts.append(f"{fmt.plural(found.callbacks_due, 'call-back')} due")
    if found.due and found.due > found.callbacks_due:
        parts.append(f"{fmt.written(found.due - found.callbacks_due)} to call now")
    return " · ".join(parts)


def waits_words(actor: Actor, found: Progress) -> str:
    """Who is not due yet, and why; who is with colleagues, or left out."""
    parts = [words.format(n=fmt.written(n)) for wait, words in _WAITS.items() if (n := (found.waits or {}).get(wait))]
    if parts and found.next_at is not None:
        parts.append(f"the next one {fmt.instant(actor, found.next_at)}")
    parts += [f"{fmt.written(found.taken)} with colleagues"] if found.taken else []
    parts += [f"{fmt.written(found.hidden)} for colleagues who may see them"] if found.hidden else []
    if found.left_out:
        parts.append(f"{fmt.written(found.left_out)} left out")
    return " · ".join(parts)


def value_words(actor: Actor, dial: DialList, value: float | None) -> str:
    """What put somebody at their place: ``Points 87``."""
    if value is None or dial.order_by in ("", "name", "quiet", "created_at"):
        return ""
    label = load(dial_people.order_label, dial.entity, dial.order_by)
    shown = fmt.money(actor, int(value)) if dial.order_by in MONEY else fmt.number(actor, value)
    return f"{label.removesuffix(' most first')} {shown}" if label else shown


def people(actor: Actor, dial: DialList) -> None:
    """Everybody on the list with where they stand; a row opens the person."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        state = st.pills(
            "State", list(DialState), format_func=lambda one: one.label, key="dial_people_state", label_visibility="collapsed"
        )
        q = st.text_input(
            "Search", type="search", key="dial_people_q", placeholder="Search names", label_visibility="collapsed", max_chars=100
        )
    page = int(st.session_state.get("dial_people_page") or 1)
    rows, total = load(dial_results.people, dial.id, state=state.value if state else "", q=q or "", page=page, size=PAGE)
    if not rows:
        st.caption("Nobody like that." if state or q else "Nobody is on this list. Fill it again after its source has people.")
        return
    columns = [
        Column("name", "Who", sortable=False), Column("state", "State", sortable=False), Column("why", "Then", sortable=False, muted=True),
        Column("outcome", "Last outcome", sortable=False), Column("calls", "Calls", right=True, sortable=False, named=True),
    ]  # fmt: skip
    cells = [(row.entry_id, [Cell(row.name), Cell(row.state.label, tone=TONES[row.state]), Cell(_then(actor, row)), Cell(row.outcome.label if row.outcome else fmt.NOTHING), Cell(fmt.written(row.attempts))]) for row in rows]  # fmt: skip
    happened = table(
        columns,
        cells,
        key="dial_people",
        label="People on the list",
        hrefs={row.entry_id: f"/{row.key}?id={row.record_id}" for row in rows},
    )
    if total > PAGE:
        st.pagination(-(-total // PAGE), key="dial_people_page")
    opened = next((row for row in rows if row.entry_id == happened.opened), None)
    if opened is not None:
        go(opened.key, id=opened.record_id)


def _then(actor: Actor, row: PersonRow) -> str:
    if row.state is DialState.LEFT_OUT:
        return why_words(row.left_out)
    if row.state is DialState.DONE:
        return fmt.ago(actor, row.last_at) if row.last_at else ""
    return f"{row.wait.label}, {fmt.instant(actor, row.due_at)}" if row.wait and row.due_at else "When their turn comes"


def results(actor: Actor, dial: DialList) -> None:
    """How many were reached, with the interval; outcomes; per caller."""
    found = load(dial_results.get, dial.id)
    if not found.attempts:
        st.caption("Nobody was called from this list yet. Results stand here after the first call.")
        return
    with st.grid(3, min_column_width=150):
        st.metric("Calls", fmt.written(found.attempts), border=True)
        st.metric("People tried", fmt.written(found.people.of), border=True)
        st.metric("Of them reached", _percent(actor, found.people), border=True, help=_interval(actor, found.people))
    st.caption(fmt.md(_sentence(actor, found.people)))
    shown = [one for one in CallOutcome if found.outcomes.get(one)]
    left, right = st.columns(2)
    with left.container(border=True):
        st.markdown("**Outcomes**")
        rows = [
            (n, [Cell(one.label), Cell(fmt.written(found.outcomes[one]), share=100 * found.outcomes[one] / found.attempts)])
            for n, one in enumerate(shown)
        ]
        table(
            [Column("outcome", "Outcome", sortable=False), Column("n", "Calls", right=True, sortable=False, named=True)],
            rows,
            key="dial_outcomes",
            label="Outcomes",
        )
    with right.container(border=True):
        st.markdown("**Callers**")
        cells = [
            (n, [Cell(name), Cell(fmt.written(one.of)), Cell(_percent(actor, one)), Cell(_interval(actor, one))])
            for n, (name, one) in enumerate(found.callers)
        ]
        columns = [
            Column("who", "Who", sortable=False),
            *(
                Column(key, label, right=True, sortable=False, named=True)
                for key, label in (("n", "Calls"), ("share", "Answered"), ("interval", "95% interval"))
            ),
        ]
        table(columns, cells, key="dial_callers", label="Callers")
    out = load(dial_lists.left_out, dial.id)
    if out:
        words = "; ".join(f"{fmt.written(n)} × {why_words(why).lower()}" for why, n in sorted(out.items(), key=lambda one: -one[1]))
        st.caption(fmt.md(f"Left out: {words}."))


def _percent(actor: Actor, share: Share) -> str:
    return fmt.percent(actor, share.hits / share.of, 0) if share.of else fmt.NOTHING


def _interval(actor: Actor, share: Share) -> str:
    if share.low is None or share.high is None:
        return fmt.NOTHING
    return f"{fmt.percent(actor, share.low, 0)} to {fmt.percent(actor, share.high, 0)}"


def _sentence(actor: Actor, share: Share) -> str:
    return f"{fmt.written(share.hits)} of {fmt.written(share.of)} people who were tried came to the phone. With 95% certainty the share for people like these lies between {_interval(actor, share).replace(' to ', ' and ')}."


__all__: list[Any] = ["people", "results", "stand", "value_words", "waits_words"]
