"""Why a record is where it is: the decision of the rules with everybody who was considered, small on the record, whole in a dialog."""

from collections.abc import Sequence

import streamlit as st

from crm_core.access import Actor
from crm_core.entities import label_of
from crm_core.services.routing import decisions
from crm_core.services.routing.decisions import Considered, DecisionView
from crm_core.vocabulary import RouteMethod, RouteOutcome
from ui import format as fmt
from ui.actions import load
from ui.session import current_actor

TONES = {
    RouteOutcome.GIVEN: "green",
    RouteOutcome.WAITS: "orange",
    RouteOutcome.NO_RULE: "gray",
    RouteOutcome.STAYS: "gray",
    RouteOutcome.TAKEN: "blue",
}
SCORE = {
    RouteMethod.TURNS: "Turn credit",
    RouteMethod.WEIGHTED: "Turn credit",
    RouteMethod.TERRITORY: "Turn credit",
    RouteMethod.LEAST: "Open",
    RouteMethod.CAPABLE: "Score",
}


def decision_card(entity_key: str, record_id: int) -> None:
    """Draw it on a record that the rules decided about; nothing elsewhere."""
    found = load(decisions.of_record, entity_key, record_id)
    if not found:
        return
    actor, latest = current_actor(), found[0]
    with st.container(border=True, gap="small", key="decision_card"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown("**Why me?**" if latest.who == actor.name else "**Why here?**", width="content")
            st.badge(latest.outcome.label, color=TONES[latest.outcome])  # type: ignore[arg-type]
        st.markdown(sentence(latest))
        st.caption(fmt.md(f"{fmt.ago(actor, latest.at)} · {others(latest)}"))
        if st.button("See everybody considered", icon=":material/alt_route:", key="why_all", type="tertiary"):
            decision_dialog(found)


def sentence(one: DecisionView) -> str:
    """What was decided, in one sentence (Markdown)."""
    rule = f"the rule **{fmt.md(one.rule)}**" if one.rule else ""
    how = f" ({one.method.label.lower()})" if one.method else ""
    return {
        RouteOutcome.GIVEN: f"{fmt.md(one.who or 'Somebody')} got it by {rule}{how}.",
        RouteOutcome.WAITS: f"Nobody of {rule} was free, so it waits.",
        RouteOutcome.NO_RULE: "No assignment rule fits it.",
        RouteOutcome.STAYS: f"Nobody else of {rule} was free, so it stays." if one.rule else "No rule fits, so it stays.",
        RouteOutcome.TAKEN: f"{fmt.md(one.who or 'Somebody')} took it from the queue.",
    }[one.outcome]


def others(one: DecisionView) -> str:
    """How many were considered and passed over."""
    passed = sum(bool(each.why_not) for each in one.considered)
    words = fmt.plural(len(one.considered), "person was considered", "people were considered")
    return f"{words}, {passed} not free" if passed else words


@st.dialog("Who was considered", width="large", icon=":material/alt_route:")
def decision_dialog(found: Sequence[DecisionView]) -> None:
    """Each decision about a record, the latest first."""
    actor = current_actor()
    for one in found:
        st.markdown(f"{sentence(one)} :gray[{fmt.md(fmt.instant(actor, one.at))}{fmt.md(' · ' + one.why) if one.why else ''}]")
        considered_table(one)


def considered_table(one: DecisionView) -> None:
    """Everybody with their score and why not."""
    if not one.considered:
        st.caption("Nobody was considered.")
        return
    capable = one.method is RouteMethod.CAPABLE
    rows: dict[str, list[str]] = {
        "Person": [f"**{fmt.md(each.name)}**" if each.chosen else fmt.md(each.name) for each in one.considered],
        "Result": [
            ":green-badge[Chosen]" if each.chosen else fmt.md(each.why_not) if each.why_not else "free" for each in one.considered
        ],
        "Open": [f"{each.load} of {each.capacity}" if each.capacity is not None else str(each.load) for each in one.considered],
    }
    if one.method is not RouteMethod.LEAST:
        rows[SCORE.get(one.method, "Score") if one.method else "Score"] = [_score(each) for each in one.considered]
    if capable:
        for key, label in (("skill", "Skill"), ("success", "Success"), ("room", "Room")):
            rows[label] = [_share(each, key) for each in one.considered]
    st.table(rows, border="horizontal")
    if capable:
        st.caption(
            "Success is the share of good ends in this category over a year, pulled towards everybody’s mean where little is known."
        )


def _score(each: Considered) -> str:
    return "–" if each.score is None else fmt.written(each.score, ".2f").rstrip("0").rstrip(".").replace("-", "−")


def _share(each: Considered, key: str) -> str:
    return "–" if key not in each.parts else fmt.written(each.parts[key], ".2f")


def about(actor: Actor, one: DecisionView) -> str:
    """Kind and age of a decision, for lists."""
    return f"{label_of(one.entity)} · {fmt.ago(actor, one.at)}"
