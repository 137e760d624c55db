"""The dialog of an assignment rule: which records, who, how; tried on a record and on the last 90 days before it holds."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from crm_core import lists
from crm_core.entities import label_of
from crm_core.fields import registry
from crm_core.services.routing import people, queues, replay, rules
from crm_core.services.routing.choice_rules import TOP_SKILL, WEIGHTS
from crm_core.services.routing.rules import RuleView
from crm_core.services.routing.standing import CATEGORY, KINDS
from crm_core.vocabulary import FieldKind, RouteMethod
from ui import format as fmt
from ui.actions import load, perform, show_refusal
from ui.components.filter_bar import forget_inline, inline_filter
from ui.components.filter_inputs import words_of
from ui.components.parts_clash import Part, clashing, save_parts, saver
from ui.components.whole_input import whole_number
from ui.session import current_actor

HOW = {
    RouteMethod.TURNS: "One after another; who is away or full is skipped and does not catch up.",
    RouteMethod.WEIGHTED: "Whoever has weight 2 gets twice as much as weight 1, evenly spread.",
    RouteMethod.LEAST: "Whoever has the fewest open records; among equals, who has waited longest.",
    RouteMethod.TERRITORY: "Whoever has the territory; several with the same one take turns.",
    RouteMethod.CAPABLE: "Skill, success in this category and free room, weighed.",
}


@st.dialog("Assignment rule", width="large", icon=":material/alt_route:", on_dismiss=forget_inline)
def rule_dialog(rule: RuleView | None) -> None:
    """Create or change a rule."""
    tag = f"{rule.id}_{rule.version}" if rule else "new"
    left, right = st.columns(2)
    name = left.text_input(
        "Name *", value=rule.name if rule else "", max_chars=80, key=f"ar_name_{tag}", placeholder="New web leads"
    )
    kinds = list(KINDS)
    entity = right.selectbox(
        "For new *", kinds, index=kinds.index(rule.entity) if rule else 0, format_func=lambda one: label_of(one, plural=True), key=f"ar_entity_{tag}", disabled=rule is not None
    )  # fmt: skip
    st.markdown("Which ones? :gray[Nothing chosen means all of them.]")
    ast = inline_filter(entity, f"assignment_{tag}", rule.filter if rule else None)
    methods = list(RouteMethod)
    method = left.selectbox(
        "How is somebody chosen?", methods, index=methods.index(rule.method) if rule else 0, format_func=lambda one: one.label, key=f"ar_method_{tag}"
    )  # fmt: skip
    right.caption(HOW[method], text_alignment="left")
    given = _who(rule, method, entity, tag)
    given |= _how(rule, method, entity, tag)
    known = {one.id: one.name for one in load(queues.find)}
    before = rule.queue_id if rule and rule.queue_id in known else None
    given["queue_id"] = st.selectbox(
        "If nobody is free, it waits in", list(known), index=list(known).index(before) if before else None, format_func=lambda one: known[one],
        placeholder="No queue of its own: under “Waiting”", key=f"ar_queue_{tag}",
    )  # fmt: skip
    given |= {"name": name or "", "entity": entity, "method": method, "filter": ast}
    question = f"rule_{tag}"
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        tried = st.button("Try it on the last 90 days", icon=":material/history:", key=f"ar_try_{tag}")
        saved = st.button("Save", type="primary", key=f"ar_save_{tag}", disabled=clashing(question))
    if tried:
        made = perform(rules.draft, rule.id if rule else None, **{**given, "name": name or "This rule"})
        if made is not None:
            show_replay(made)

    def save(values: Mapping[str, Any], base: RuleView | None) -> Any:
        kept = {"is_active": base.is_active} if base else {}
        rest = {key: value for key, value in values.items() if key != "chosen"}
        words = "Rule saved. It holds from the next record on."
        return saver(rules.save, words, spread=True, entity=entity, **kept)({**rest, **values["chosen"]}, base)

    if save_parts(question, saved, seen=rule, mine=_parts(given), parts=_labels(entity, known), values_of=_stored, save=save):
        forget_inline()
        st.rerun()
    show_refusal()


_CHOSEN: dict[str, Any] = {"method": None, "people": (), "team_id": None, "territory": {}, "weights": {}}
"""What belongs together: a way of choosing somebody and those among whom it chooses."""


def _parts(given: Mapping[str, Any]) -> dict[str, Any]:
    chosen = {key: given.get(key) or empty for key, empty in _CHOSEN.items()}
    return {
        "name": given["name"],
        "filter": given["filter"],
        "queue_id": given["queue_id"],
        "skill": given["skill"],
        "chosen": chosen,
    }


def _stored(rule: RuleView | None) -> dict[str, Any]:
    return _parts({key: getattr(rule, key) for key in ("name", "filter", "queue_id", "skill", *_CHOSEN)}) if rule else {}


def _labels(entity: str, known: Mapping[int, str]) -> dict[str, Part]:
    return {
        "name": Part("Name"),
        "filter": Part("Which ones", lambda ast: load(words_of, entity, ast) if ast else "All of them"),
        "chosen": Part("How somebody is chosen", _chosen_words),
        "skill": Part("Skill", _skill_words),
        "queue_id": Part("Queue", lambda value: known.get(value, "No queue of its own")),
    }


def _chosen_words(chosen: Mapping[str, Any]) -> str:
    names, teams = load(lists.choices, "user", limit=500), load(lists.choices, "team", limit=500)
    who = [names.get(one, "Somebody who left") + (f" ×{weight}" if weight != 1 else "") for one, weight in chosen["people"]]
    who += [f"everybody of {teams.get(chosen['team_id'], 'another team')}"] if chosen["team_id"] is not None else []
    rows = chosen["territory"].get("rows", ())
    who += [f"{', '.join(row['values'])[:80]}: {names.get(row['user_id'], 'Somebody who left')}" for row in rows]
    counts = [f"{key} {fmt.written(weight, '.2f')}" for key, weight in chosen["weights"].items()]
    return "; ".join((chosen["method"].label, *who, *counts))


def _skill_words(skill: Mapping[str, Any]) -> str:
    if not skill:
        return "No skill is needed"
    return f"{skill.get('name') or 'Called like the category'}, at least level {skill.get('min', 1)}"


def _who(rule: RuleView | None, method: RouteMethod, entity: str, tag: str) -> dict[str, Any]:
    """People with weights, a team, or territories."""
    names = load(lists.choices, "user", limit=500)
    if method is RouteMethod.TERRITORY:
        return {"territory": _territories(rule, entity, names, tag), "people": ()}
    left, right = st.columns(2)
    before = {user_id: weight for user_id, weight in (rule.people if rule else ()) if user_id in names}
    chosen = left.multiselect("People", list(names), default=list(before), format_func=lambda one: names[one], key=f"ar_people_{tag}", placeholder="Choose people")  # fmt: skip
    teams = load(lists.choices, "team", limit=500)
    team_before = rule.team_id if rule and rule.team_id in teams else None
    team_id = right.selectbox(
        "And everybody of the team", list(teams), index=list(teams).index(team_before) if team_before else None, format_func=lambda one: teams[one],
        placeholder="No team", key=f"ar_team_{tag}",
    )  # fmt: skip
    weights = dict(before)
    if method is RouteMethod.WEIGHTED and chosen:
        table = st.data_editor(
            pd.DataFrame([{"Person": names[one], "Weight": before.get(one, 1)} for one in chosen]), hide_index=True, disabled=["Person"], key=f"ar_weights_{tag}_{len(chosen)}",
            column_config={"Weight": st.column_config.NumberColumn(min_value=1, max_value=100, step=1, required=True)},
        )  # fmt: skip
        weights = {one: int(weight or 1) for one, weight in zip(chosen, table["Weight"], strict=True)}
    return {"people": tuple((one, weights.get(one, 1)) for one in chosen), "team_id": team_id}


def _territories(rule: RuleView | None, entity: str, names: Mapping[int, str], tag: str) -> dict[str, Any]:
    specs = load(lambda session, _actor: registry(session, entity))
    above = load(lambda session, _actor: registry(session, "account")) if "account_id" in specs else {}
    texts = (FieldKind.TEXT, FieldKind.PICK)
    fields = {key: spec.label for key, spec in specs.items() if spec.kind in texts and key not in ("name", "subject", "number")}
    fields |= {f"account.{key}": f"Account: {spec.label}" for key, spec in above.items() if spec.kind in texts and key != "name"}
    before = (rule.territory if rule else {}) or {}
    start = next((key for key in (before.get("field"), "country", "account.country") if key in fields), next(iter(fields), ""))
    chosen = st.selectbox("Territories are told apart by", list(fields), index=list(fields).index(start), format_func=lambda one: fields[one], key=f"ar_field_{tag}")  # fmt: skip
    rows = [{"Values": ", ".join(row["values"]), "Person": names.get(row["user_id"])} for row in before.get("rows", ())]
    st.caption("Several values with commas; 80* means all that begin with 80, * alone takes the rest.")
    table = st.data_editor(
        pd.DataFrame(rows or [{"Values": "", "Person": None}], columns=["Values", "Person"]), hide_index=True, num_rows="dynamic", placeholder=fmt.NOTHING, key=f"ar_rows_{tag}",
        column_config={"Person": st.column_config.SelectboxColumn(options=list(names.values())), "Values": st.column_config.TextColumn(max_chars=2_000)},
    )  # fmt: skip
    ids = {name: user_id for user_id, name in names.items()}
    made = [
        {"values": [part.strip() for part in str(row["Values"] or "").split(",") if part.strip()], "user_id": ids[row["Person"]]}
        for row in table.to_dict("records")
        if row["Person"] in ids
    ]
    return {"field": chosen, "rows": made}


def _how(rule: RuleView | None, method: RouteMethod, entity: str, tag: str) -> dict[str, Any]:
    """The skill that is asked for, and what counts how much for the most capable."""
    asked = dict(rule.skill) if rule else {}
    field = CATEGORY[entity]
    label = load(lambda session, _actor: registry(session, entity))[field].label.lower()
    ways = {"none": "No skill is needed", "field": f"The skill called like the {label}", "name": "Always this skill"}
    start = (
        "field"
        if asked.get("field")
        else "name"
        if asked.get("name")
        else "field"
        if method is RouteMethod.CAPABLE and rule is None
        else "none"
    )
    columns = st.columns(3)
    way = columns[0].selectbox(
        "Skill", list(ways), index=list(ways).index(start), format_func=lambda one: ways[one], key=f"ar_skill_{tag}_{method}"
    )
    skill: dict[str, Any] = {}
    if way != "none":
        level = whole_number("At least level", 1, TOP_SKILL, int(asked.get("min") or 1), key=f"ar_level_{tag}", place=columns[1])
        skill = {"min": level, **({"field": field} if way == "field" else {})}
    if way == "name":
        known = load(people.skill_names)
        options = [*known, *([asked["name"]] if asked.get("name") and asked["name"] not in known else [])]
        at = options.index(asked["name"]) if asked.get("name") else None
        skill["name"] = columns[2].selectbox("Which skill", options, index=at, accept_new_options=True, key=f"ar_which_{tag}") or ""
    if method is not RouteMethod.CAPABLE:
        return {"skill": skill}
    shown = dict(rule.weights) if rule and rule.weights else WEIGHTS
    weights = {}
    for column, (key, words) in zip(
        st.columns(3), {"skill": "Skill counts", "success": "Success counts", "room": "Free room counts"}.items(), strict=True
    ):
        weights[key] = column.slider(words, 0.0, 1.0, float(shown.get(key, 0)), 0.05, key=f"ar_w_{key}_{tag}")
    return {"skill": skill, "weights": weights}


def show_replay(rule: Any) -> None:
    """Who would have got what, beside who had it."""
    actor = current_actor()
    with st.spinner("Trying it on the past …"):
        found = load(replay.replay, rule)
    words = label_of(rule.entity, plural=True).lower()
    if not found.records:
        st.info(f"No {words} of the last 90 days that you may see fit this rule, so nothing can be said.", icon=":material/info:")
        return
    count = fmt.plural(found.records, label_of(rule.entity).lower(), words)
    st.markdown(f"**Would have been dealt out** · {count} since {fmt.md(fmt.day(actor, fmt.local(actor, found.since).date()))}")
    st.table(
        {
            "Person": [fmt.md(row.name) for row in found.rows],
            "Would have got": [f"{row.would} ({fmt.percent(actor, row.would / found.records, 0)})" for row in found.rows],
            "Had": [f"{row.had} ({fmt.percent(actor, row.had / found.records, 0)})" for row in found.rows],
            "Most open at once": [str(row.most_open) for row in found.rows],
        },
        border="horizontal",
    )
    st.caption(
        f"For {found.waited} of them nobody would have been free. {found.same} would have gone to whoever had them. Absences and shifts are those of the time; "
        "skills, limits and success are today’s, and everybody starts with nothing open."
        + (" Only the newest 5,000 were looked at." if found.cut else "")
    )  # fmt: skip
