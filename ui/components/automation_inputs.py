"""The form of a step, made from the parameters that its kind declares: whatever kinds there are, people choose from lists and type no numbers
of records."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast
from zoneinfo import ZoneInfo

import streamlit as st
from sqlmodel import Session

from crm_core import lists
from crm_core.access import Actor
from crm_core.entities import ENTITIES, entity
from crm_core.errors import CrmError
from crm_core.fields import FieldSpec, to_json
from crm_core.kit.money import exponent, most_major, to_major, to_minor
from crm_core.models import LetterTemplate
from crm_core.services.automation import flow_rules
from crm_core.services.automation.steps import Param, StepKind
from crm_core.services.marketing import letters, segments, templates
from crm_core.vocabulary import Action, FieldKind, LetterUse, SegmentKind
from ui import format as fmt
from ui.actions import load
from ui.components.automation_draft import Draft
from ui.components.automation_trigger import specs_of
from ui.components.entity_form import field_input
from ui.components.letter_start import start_button
from ui.components.whole_input import whole_input
from ui.session import current_actor

Step = dict[str, Any]
MOST = 500
_WIDE = ("long", "template", "letter")
_EMPTY = (None, "")


def step_form(draft: Draft, step: Step, kind: StepKind) -> None:
    """All parameters of a step; what is typed goes into the step at once."""
    asked = [param for param in kind.params if param.only is None or _shown(step, kind, param.only[0]) == param.only[1]]
    beside: list[Param] = []
    for param in asked:
        if param.type in _WIDE or (param.type == "text" and param.max_length > 150):
            _in_pairs(draft, step, beside)
            beside = []
            _draw(draft, step, param)
        else:
            beside.append(param)
    _in_pairs(draft, step, beside)
    if kind.mails and any(param.type in _WIDE for param in asked):
        _fields_of_letters()


def _in_pairs(draft: Draft, step: Step, params: list[Param]) -> None:
    for at in range(0, len(params), 2):
        for column, param in zip(st.columns(2), params[at : at + 2], strict=False):
            with column:
                _draw(draft, step, param)


def _shown(step: Step, kind: StepKind, key: str) -> Any:
    return step.get(key, next((param.default for param in kind.params if param.key == key), None))


def _draw(draft: Draft, step: Step, param: Param) -> None:
    shown = step.get(param.key, param.default)
    key = f"{draft.tag}_{step['id']}_{param.key}"
    draw = _DRAWN.get(param.type, _text)
    if param.choices is not None and param.type != "promotion":
        draw = _listed
    elif param.options:
        draw = _choice
    draw(draft, step, param, shown, key)


def _take(step: Step, param: Param, looks: Any, value: Any) -> None:
    """Take over what was changed; what only looks filled in (a default, an empty text) stays as it is. ``looks``: what the input began with."""
    if value != looks and not (value in _EMPTY and looks in _EMPTY):
        step[param.key] = value


def _now(draft: Draft, step: Step, param: Param, looks: Any, value: Any, key: str) -> None:
    draft.inputs[key] = partial(_take, step, param, looks)
    _take(step, param, looks, value)


def _label(param: Param) -> str:
    return param.label + (" *" if param.required else "")


def _text(draft: Draft, step: Step, param: Param, shown: Any, key: str) -> None:
    looks = str(shown or "")
    typed = st.text_input(_label(param), value=looks, max_chars=param.max_length, key=key, help=param.help or None)
    _now(draft, step, param, looks, typed, key)


def _long(draft: Draft, step: Step, param: Param, shown: Any, key: str) -> None:
    height, looks = 220 if param.max_length > 5_000 else 90, str(shown or "")
    typed = st.text_area(_label(param), value=looks, max_chars=param.max_length, key=key, height=height, help=param.help or None)
    _now(draft, step, param, looks, typed, key)


def _number(draft: Draft, step: Step, param: Param, shown: Any, key: str) -> None:
    looks = max(param.low, min(int(shown or 0), param.high))
    typed = whole_input(_label(param), looks, low=param.low, high=param.high, key=key, help=param.help or None)
    if isinstance(typed, float):
        return
    _now(draft, step, param, looks, typed, key)
    if shown is None and param.required:
        step[param.key] = typed


def _money(draft: Draft, step: Step, param: Param, shown: Any, key: str) -> None:
    currency = current_actor().currency
    looks = float(to_major(int(shown), currency)) if shown else None
    typed = st.number_input(
        f"{_label(param)} ({currency})", 0.0, most_major(currency), value=looks, format=f"%.{exponent(currency)}f", key=key, help=param.help or None,
        placeholder="–",
    )  # fmt: skip
    _now(draft, step, param, shown or None, to_minor(typed, currency) if typed else None, key)


def _pick(draft: Draft, step: Step, param: Param, shown: Any, key: str, options: Mapping[Any, str], empty: str = "–") -> None:
    keys = list(options)
    chosen = st.selectbox(
        _label(param), keys, index=keys.index(shown) if shown in keys else None, format_func=lambda one: options.get(one, str(one)), key=key,
        placeholder=empty, help=param.help or None,
    )  # fmt: skip
    if chosen is not None or shown in keys:  # one that is hidden or gone stays until another is chosen
        _now(draft, step, param, shown if shown in keys else None, chosen, key)


def _choice(draft: Draft, step: Step, param: Param, shown: Any, key: str) -> None:
    _pick(draft, step, param, shown, key, param.options)


def _hour(draft: Draft, step: Step, param: Param, shown: Any, key: str) -> None:
    options: dict[Any, str] = {"": "Any hour", **{n: f"{n:02}:00" for n in range(24)}}
    _pick(draft, step, param, "" if shown in (*_EMPTY, -1) else int(shown), key, options)


def _listed(draft: Draft, step: Step, param: Param, shown: Any, key: str) -> None:
    options = load(_choices, param)
    _pick(draft, step, param, shown, key, options, "Choose")
    if not options:
        st.caption("There is none yet, or none that your role may use.")


def _choices(session: Session, actor: Actor, param: Param) -> dict[Any, str]:
    try:
        return dict(param.choices(session, actor)) if param.choices else {}
    except CrmError:
        return {}


def _promotion(draft: Draft, step: Step, param: Param, shown: Any, key: str) -> None:
    """Not asked where there is no promotion to choose."""
    options = load(_choices, param)
    if options or shown:
        _pick(draft, step, param, shown or 0, key, {0: "No code", **options})


def _user(draft: Draft, step: Step, param: Param, shown: Any, key: str) -> None:
    owner = {"owner": f"The owner of the {entity(draft.entity).label.lower()}"}
    _pick(draft, step, param, shown or "owner", key, owner | load(_people, shown))


def _person(draft: Draft, step: Step, param: Param, shown: Any, key: str) -> None:
    _pick(draft, step, param, shown, key, load(_people, shown), "Choose a person")


def _people(session: Session, actor: Actor, chosen: Any) -> dict[Any, str]:
    return dict(lists.choices(session, actor, "user", limit=MOST, include=[chosen] if isinstance(chosen, int) else []))


def _campaign(draft: Draft, step: Step, param: Param, shown: Any, key: str) -> None:
    _pick(draft, step, param, shown, key, load(_campaigns, shown), "Choose a campaign")


def _campaigns(session: Session, actor: Actor, chosen: Any) -> dict[Any, str]:
    if not actor.can("campaign", Action.READ):
        return {}
    return dict(lists.choices(session, actor, "campaign", limit=MOST, include=[chosen] if isinstance(chosen, int) else []))


def _segment(draft: Draft, step: Step, param: Param, shown: Any, key: str) -> None:
    options = load(_segments, draft.entity)
    _pick(draft, step, param, shown, key, options, "Choose a segment")
    if not options:
        st.caption(f"There is no static segment of {entity(draft.entity).plural.lower()} yet: save one under Segments.")


def _segments(session: Session, actor: Actor, entity_key: str) -> dict[Any, str]:
    """Segments whose members are put in by hand."""
    if not actor.can("segment", Action.READ):
        return {}
    found = segments.find(session, actor, entity_key=entity_key, limit=MOST)
    return {row.id: row.name for row in found if row.kind is SegmentKind.STATIC}


def _field(draft: Draft, step: Step, param: Param, shown: Any, key: str) -> None:
    locked = current_actor().locked
    options = {
        name: spec.label for name, spec in load(specs_of, draft.entity).items() if spec.editable and not locked(draft.entity, name)
    }
    _pick(draft, step, param, shown, key, options, "Choose a field")
    if step.get(param.key) != shown:
        step.pop("value", None)


def _date_field(draft: Draft, step: Step, param: Param, shown: Any, key: str) -> None:
    specs = load(specs_of, draft.entity).items()
    options = {name: spec.label for name, spec in specs if spec.kind in (FieldKind.DATE, FieldKind.DATETIME)}
    _pick(draft, step, param, shown, key, options, "Choose a date")


def _value(draft: Draft, step: Step, param: Param, shown: Any, key: str) -> None:
    """The value of the field that the step sets, with the field's own input."""
    actor, spec = current_actor(), load(specs_of, draft.entity).get(str(step.get("field") or ""))
    if spec is None:
        st.caption("Choose the field; then its value.")
        return
    title = load(lists.titles, spec.to, [shown]).get(shown, "") if spec.to in ENTITIES and isinstance(shown, int) else ""
    typed = _stored(actor, spec, field_input(actor, spec, _typed(spec, shown), key=f"{key}_{spec.key}", title=title))
    before = step.get(param.key)
    if typed != before and not (typed in _EMPTY and before in _EMPTY):
        step[param.key] = typed


def _typed(spec: FieldSpec, raw: Any) -> Any:
    """The stored value as the field's input wants it; nothing for one that does not fit."""
    try:
        if spec.enum is not None:
            return spec.enum(raw) if raw else None
        if spec.kind in (FieldKind.DATE, FieldKind.DATETIME):
            return spec.from_json(raw) if raw else None
        if spec.numeric or spec.kind is FieldKind.REFERENCE:
            return int(raw) if raw not in _EMPTY and float(raw) == int(float(raw)) else float(raw) if raw not in _EMPTY else None
    except (TypeError, ValueError):
        return None
    return raw


def _stored(actor: Actor, spec: FieldSpec, typed: Any) -> Any:
    if spec.kind is FieldKind.DATETIME and isinstance(typed, datetime) and typed.tzinfo is None:
        typed = typed.replace(tzinfo=ZoneInfo(actor.timezone)).astimezone(UTC)
    return to_json(typed)


def _fields_of_letters() -> None:
    if not current_actor().can("campaign", Action.READ):
        return
    with st.expander("Fields you can put in"):
        st.caption("Write them in double braces, with what stands there when they are empty: ``{{first_name|there}}``")
        st.markdown("\n".join(f"- `{key}` {fmt.md(label)}" for key, label in load(letters.fields).items()))


def _letter(draft: Draft, step: Step, param: Param, shown: Any, key: str) -> None:
    """Take a copy of a kept letter; once taken, say whether it was changed since."""
    use = (
        LetterUse.MARKETING
        if step.get("purpose") == "marketing"
        else LetterUse.SERVICE
        if draft.entity == "ticket"
        else LetterUse.SALES
    )
    actor = current_actor()
    if not actor.can("letter_template", Action.READ):
        return
    taken = load(_taken, shown)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        start_button(f"{key}_start", use, 1, lambda one, _place: _take_letter(draft, step["id"], one))
        if taken is None:
            return
        st.caption(fmt.md(f"Begun with “{taken.name}”"), width="content")
        if taken.version != step.get("template_version"):
            st.button(
                "It was changed since: take its words now", type="tertiary", icon=":material/sync:", key=f"{key}_newer", on_click=_take_letter,
                args=(draft, step["id"], taken),
            )  # fmt: skip


def _taken(session: Session, actor: Actor, template_id: Any) -> LetterTemplate | None:
    try:
        return templates.get(session, actor, template_id)
    except CrmError:
        return None


def _take_letter(draft: Draft, step_id: str, one: LetterTemplate) -> None:
    draft.catch_up()
    flow = deepcopy(draft.flow)
    for step, _ in flow_rules.walk(flow["steps"]):
        if step["id"] == step_id:
            cast(Step, step).update(subject=one.subject, body=one.body, template=one.id, template_version=one.version)
    draft.change(flow)


_DRAWN: dict[str, Callable[..., None]] = {
    "text": _text, "template": _text, "long": _long, "number": _number, "money": _money, "promotion": _promotion, "hour": _hour, "user": _user, "person": _person, "campaign": _campaign,
    "segment": _segment, "field": _field, "date_field": _date_field, "value": _value, "letter": _letter,
}  # fmt: skip
