"""Another run of the same analysis beside the one that is shown: what was chosen differently, the figures of both, one table row by row."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from crm_core.access import Actor
from crm_core.kit.money import exponent
from crm_core.services.analytics import comparison_rules
from crm_core.services.analytics.comparison_rules import Pair, Value
from crm_core.services.analytics.methods import Method
from crm_core.services.analytics.methods.outlook import TITLES
from crm_core.services.analytics.runs import Run, RunRow
from ui import format as fmt
from ui.components.analysis_form import value_words


def beside(
    actor: Actor, found: Method, shown: Run, other: Run | None, known: dict[int, RunRow], title: Callable[[RunRow], str], table: Any
) -> None:
    """Choose another run, and see both. ``table(run, name)`` reads a table of a run, as the page does."""
    if not known:
        st.caption(
            "There is no other finished run that you may see. Change a setting, or choose an earlier day under More, and run again."
        )
        return
    st.selectbox(
        "Compare with", list(known), index=list(known).index(other.id) if other is not None and other.id in known else None,
        format_func=lambda run_id: title(known[run_id]), placeholder="Choose a run", key=f"beside_{shown.id}", on_change=_put_beside,
        args=(f"beside_{shown.id}",), width=420,
    )  # fmt: skip
    if other is None:
        return
    st.table(_settings(actor, found, shown, other), border="horizontal", hide_index=True)
    pairs = comparison_rules.facts(found.kind, shown.summary, other.summary)
    if pairs:
        _compared(actor, shown, other, [(str(pair.label), pair) for pair in pairs], "")
    side = comparison_rules.comparable(found.kind, shown.params, other.params)
    rows = []
    if side is not None and side.table in shown.tables and side.table in other.tables:
        rows = comparison_rules.rows(side, table(shown, side.table), table(other, side.table))
        if rows:
            _compared(actor, shown, other, [(_name(actor, side.names, pair.label), pair) for pair in rows], side.title)
    if any(pair.apart is False for pair in (*pairs, *rows)):
        st.caption(
            "In brackets the intervals. Where those of both runs overlap, the difference may be chance. Two runs over the same records are "
            "no two samples: then it comes from the settings."
        )


def _put_beside(key: str) -> None:
    chosen = st.session_state.get(key)
    if chosen:
        st.query_params["with"] = str(chosen)
    else:
        st.query_params.pop("with", None)


def _settings(actor: Actor, found: Method, shown: Run, other: Run) -> list[dict[str, Any]]:
    """The day, what was chosen differently, and both verdicts."""

    def both(label: str, mine: str, theirs: str) -> dict[str, Any]:
        return {" ": fmt.md(label), "This run": fmt.md(mine), "The other": fmt.md(theirs)}

    rows = [both("Data up to", fmt.day(actor, shown.as_of), fmt.day(actor, other.as_of))]
    for param in found.params:
        if shown.params.get(param.key) != other.params.get(param.key):
            words = [value_words(actor, param, run.params.get(param.key)) or fmt.NOTHING for run in (shown, other)]
            rows.append(both(param.label, *words))
    return [*rows, both("Verdict", fmt.as_read(shown.verdict), fmt.as_read(other.verdict))]


def _compared(actor: Actor, shown: Run, other: Run, rows: list[tuple[str, Pair]], title: str) -> None:
    if title:
        st.markdown(f"**{fmt.md(title)}**")
    told = [
        {
            " ": fmt.md(name), "This run": fmt.md(_text(actor, shown, pair, pair.mine)), "The other": fmt.md(_text(actor, other, pair, pair.theirs)),
            "Difference": fmt.md(_difference(actor, shown, other, pair)),
        }
        for name, pair in rows
    ]  # fmt: skip
    st.table(told, border="horizontal", hide_index=True)


def _name(actor: Actor, how: str, key: Any) -> str:
    if how == "day":
        return fmt.day(actor, key.date())
    return TITLES.get(str(key), str(key)) if how == "way" else str(key).replace("_", " ")


def _text(actor: Actor, run: Run, pair: Pair, value: Value | None) -> str:
    if value is None:
        return fmt.NOTHING
    if value.low is None or value.high is None:
        return _one(actor, run, pair.unit, value.middle)
    low, high = (_one(actor, run, pair.unit, end) for end in (value.low, value.high))
    return f"{_one(actor, run, pair.unit, value.middle)} ({low} to {high})"


def _difference(actor: Actor, shown: Run, other: Run, pair: Pair) -> str:
    """The first less the second; shares in points, and nothing where the two count different things."""
    gap = pair.difference
    if gap is None or (pair.unit == "series" and shown.params.get("series") != other.params.get("series")):
        return fmt.NOTHING
    if pair.unit == "share":
        text = f"{fmt.number(actor, abs(gap) * 100, digits=1)} points"
    else:
        text = _one(actor, shown, pair.unit, abs(gap))
    if not any(sign in text for sign in "123456789"):
        return "none"
    return f"{'+' if gap > 0 else '−'}{text}" + (" (may be chance)" if pair.apart is False else "")


def _one(actor: Actor, run: Run, unit: str, value: float) -> str:
    if unit == "money" or (unit == "series" and run.summary.get("money")):
        return fmt.money(actor, round(value * 10 ** exponent(actor.currency)), compact=True)
    if unit == "share":
        return fmt.percent(actor, value, 1)
    if unit == "times":
        return f"{fmt.number(actor, value, digits=1)}×"
    digits = {"two": 2, "rate": 1}.get(unit, 0)
    return fmt.number(actor, round(value) if not digits else value, digits=digits)
