"""The points of a lead by rules: on the lead, with what each rule gives; and the tab where the rules are made."""

from typing import Any

import streamlit as st

from crm_core.services.routing import point_rules, points
from crm_core.services.routing.points import PointRuleView
from crm_core.vocabulary import LeadPointKind
from ui import format as fmt
from ui.actions import load, perform, show_refusal
from ui.components.filter_bar import forget_inline, inline_filter
from ui.components.filter_inputs import words_of
from ui.components.header import empty_state
from ui.components.parts_clash import Part, clashing, columns_of, save_parts, saver
from ui.components.whole_input import whole_number
from ui.session import current_actor


def points_card(lead_id: int) -> None:
    """Draw it on a lead; nothing while there are no rules."""
    found = load(points.why, lead_id)
    if found is None:
        return
    with st.container(border=True, gap="small", key="points_card"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown("**Points by rules**", width="content")
            st.badge(f"{found.total:.0f} points · {found.grade}", color="green" if found.ready else "gray")
        st.caption(
            f"Fit {found.fit:.0f}, behaviour {found.behaviour:.0f}. "
            + ("Ready for sales." if found.ready else "Not ready for sales yet.")
        )
        for part in found.parts:
            times = f" :gray[{part.times} times]" if part.times > 1 else ""
            st.markdown(f"{signed(part.points)} · {fmt.md(part.name)}{times}")
        if not found.parts:
            st.caption("No rule gives it any points.")


def signed(value: float) -> str:
    """``+12`` or ``−3.5``."""
    text = fmt.written(round(abs(value), 1), ",.10g")
    return f"**{'−' if value < 0 else '+'}{text}**"


def points_tab(may_edit: bool) -> None:
    """Rules, grades, and what points were worth on the past."""
    known = load(points.find)
    st.caption(
        "Points follow rules that you write; the score beside them is learned from the past. Behaviour fades with its half-life."
    )
    if not known:
        box = empty_state(
            "No rules for points yet",
            "Give points for what fits (country, company, source) and for what a lead does (a form, a call).",
            icon="stars",
        )
        if may_edit and box.button("Make the first one", icon=":material/add:", key="first_points"):
            points_dialog(None)
    for rule in known:
        _rule_row(rule, may_edit)
    if not known:
        return
    left, right = st.columns(2)
    with left.container(border=True):
        _bands(may_edit)
    with right.container(border=True):
        st.markdown("**What were points worth?**")
        if st.button("Look at the last year", icon=":material/history:", key="points_past"):
            _past()
        st.caption("Points as of a week after a lead came in; converted within 90 days.")


def _rule_row(rule: PointRuleView, may_edit: bool) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key=f"points_{rule.id}"):
        with st.container(width="content", gap=None):
            off = "" if rule.is_active else " :gray-badge[Switched off]"
            st.markdown(
                f"{signed(rule.points)} · {fmt.md(rule.name)} :{'blue' if rule.kind is LeadPointKind.FIT else 'violet'}-badge[{rule.kind.label}]{off}"
            )
            st.caption(fmt.md(_about(rule)))
        if may_edit:
            with st.container(horizontal=True, width="content", gap="small"):
                if st.button("Change", icon=":material/edit:", key=f"pt_edit_{rule.id}", type="tertiary"):
                    points_dialog(rule)
                st.button(icon=":material/delete:", key=f"pt_remove_{rule.id}", type="tertiary", on_click=_drop, args=(rule.id,), **fmt.icon_only("Remove this rule"))  # fmt: skip


def _about(rule: PointRuleView) -> str:
    if rule.kind is LeadPointKind.FIT:
        from crm_core.services.routing import rules

        return load(rules.words, "lead", rule.filter)
    parts = [point_rules.SIGNALS.get(rule.signal, rule.signal), "each time"]
    parts += [f"at most {rule.cap}"] if rule.cap else []
    parts += [f"half of it after {fmt.plural(rule.half_life_days, 'day')}"] if rule.half_life_days else ["does not fade"]
    return ", ".join(parts)


def _drop(rule_id: int) -> None:
    perform(points.remove, rule_id, success="Rule removed. Leads are counted anew.")


@st.dialog("Points", width="large", icon=":material/stars:", on_dismiss=forget_inline)
def points_dialog(rule: PointRuleView | None) -> None:
    """A rule of fit or of behaviour."""
    tag = f"{rule.id}_{rule.version}" if rule else "new"
    left, middle, right = st.columns([2, 1, 1])
    name = left.text_input("Name *", value=rule.name if rule else "", max_chars=120, key=f"pt_name_{tag}")
    kinds = list(LeadPointKind)
    kind = middle.selectbox("For", kinds, index=kinds.index(rule.kind) if rule else 0, format_func=lambda one: one.label, key=f"pt_kind_{tag}", disabled=rule is not None)  # fmt: skip
    number = whole_number("Points *", -1_000, 1_000, rule.points if rule else 10, key=f"pt_points_{tag}", place=right)
    given: dict[str, Any] = {"name": name or "", "kind": kind, "points": number}
    if kind is LeadPointKind.FIT:
        st.markdown("Which leads get them?")
        given["filter"] = inline_filter("lead", f"points_{tag}", rule.filter if rule else None)
    else:
        columns = st.columns([2, 1, 1])
        options = list(point_rules.SIGNALS)
        at = options.index(rule.signal) if rule and rule.signal in options else 2
        given["signal"] = columns[0].selectbox(
            "Each time it", options, index=at, format_func=lambda one: point_rules.SIGNALS[one], key=f"pt_signal_{tag}"
        )
        given["cap"] = whole_number(
            "At most", 1, 100_000, (rule.cap if rule else None) or 30, key=f"pt_cap_{tag}", place=columns[1]
        )
        given["half_life_days"] = whole_number(
            "Half of it after days", 1, 3_650, (rule.half_life_days if rule else None) or 30, key=f"pt_half_{tag}", place=columns[2]
        )
    active = st.toggle("Counts", value=rule.is_active if rule else True, key=f"pt_active_{tag}")
    question = f"points_{tag}"
    pressed = st.button("Save", type="primary", key=f"pt_save_{tag}", disabled=clashing(question))
    mine = {**given, "is_active": active}
    parts = {
        "name": Part("Name"), "kind": Part("For"), "points": Part("Points"), "is_active": Part("Counts"), "cap": Part("At most"),
        "filter": Part("Which leads get them", lambda ast: load(words_of, "lead", ast) if ast else "All of them"),
        "signal": Part("Each time it", lambda signal: point_rules.SIGNALS.get(signal, signal)), "half_life_days": Part("Half of it after days"),
    }  # fmt: skip

    save = saver(points.save, "Saved. Leads are counted anew.", spread=True)
    if save_parts(question, pressed, seen=rule, mine=mine, parts=parts, values_of=columns_of(mine), save=save):
        forget_inline()
        st.rerun()
    show_refusal()


def _bands(may_edit: bool) -> None:
    found = load(points.bands)
    st.markdown("**Grades**")
    rows = {}
    for key, letters, label in (("fit", point_rules.LETTERS, "Fit"), ("behaviour", point_rules.DIGITS, "Behaviour")):
        columns = st.columns(3)
        rows[key] = [
            whole_number(
                f"{label} {letters[n]} from",
                -10_000,
                10_000,
                int(found[key][n]),
                key=f"band_{key}_{n}",
                place=column,
                disabled=not may_edit,
            )
            for n, column in enumerate(columns)
        ]
    threshold = whole_number(
        "Ready for sales from (points in all)",
        -10_000,
        10_000,
        int(found["threshold"]),
        key="band_threshold",
        disabled=not may_edit,
    )
    if may_edit:
        st.button("Save grades", key="save_bands", on_click=_save_bands, args=(rows, int(threshold)))


def _save_bands(rows: dict[str, list[int]], threshold: int) -> None:
    perform(
        points.set_bands,
        fit=rows["fit"],
        behaviour=rows["behaviour"],
        threshold=threshold,
        success="Grades saved. Leads are counted anew.",
    )


def _past() -> None:
    actor = current_actor()
    found = load(points.past)
    if not found:
        st.info("No lead of that time that you may see, so nothing can be said.", icon=":material/info:")
        return
    st.table(
        {
            "Points": [band.label for band in found],
            "Leads": [str(band.leads) for band in found],
            "Converted": ["too few to say" if band.few else fmt.md(f"{fmt.percent(actor, band.converted / band.leads, 0)} ({fmt.percent(actor, band.low, 0)} to {fmt.percent(actor, band.high, 0)})") for band in found],
        },
        border="horizontal",
    )  # fmt: skip
