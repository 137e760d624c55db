"""Forms generated from the field registry: create a record, or edit one with the conflict dialog when somebody else was faster."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial
from textwrap import shorten
from typing import Any

import streamlit as st

from crm_core import lists
from crm_core.access import Actor
from crm_core.entities import ENTITIES, entity
from crm_core.errors import Conflict
from crm_core.fields import FieldSpec, registry, to_json
from crm_core.kit.money import exponent, most_major, to_major, to_minor
from crm_core.services import crud
from crm_core.services.admin.founding import timezones
from crm_core.services.sales import gates
from crm_core.vocabulary import FieldKind, StageKind, Via
from ui import format as fmt
from ui.actions import hush, load, perform, renew, show_refusal, submit_key
from ui.components.day_input import day_input, instant_input
from ui.components.duplicate_hints import duplicate_hints, forget_hints, why_anyway
from ui.components.gate_question import forget_gate, gate_question, gate_words, kept_outside
from ui.components.parts_clash import whose
from ui.components.picker import picker
from ui.components.stage_choice import stage_choice
from ui.components.whole_input import whole_input
from ui.session import current_actor


@dataclass(frozen=True)
class Drawn:
    """A record as the form was drawn with it: the version counts for the conflict check, whatever happens meanwhile. ``typed``: what its inputs begin
    with instead, as if it had been typed; ``again``: it was typed before the form was closed without saving; ``turn``: how often it was begun anew since
    it was opened, as a browser keeps what stands in an input of the same name."""

    id: int
    version: int
    values: Mapping[str, Any]
    titles: Mapping[str, str]
    typed: Mapping[str, Any] = field(default_factory=dict)
    again: bool = False
    turn: int = 0


@dataclass(frozen=True)
class Clash:
    """Fields that somebody else saved meanwhile: field → (original, theirs, mine), who did it, the version they left, and all that was to be saved."""

    fields: Mapping[str, tuple[Any, Any, Any]]
    by: Sequence[tuple[int | None, Via]]
    version: int
    changes: Mapping[str, Any]


def _draw(session: Any, actor: Actor, entity_key: str, record_id: int) -> Drawn:
    from crm_core import records

    record = records.get(session, actor, entity_key, record_id)
    specs = registry(session, entity_key)
    values = {key: spec.value(record) for key, spec in specs.items()}
    titles = {
        key: lists.titles(session, actor, spec.to or "", [values[key]]).get(values[key], "")
        for key, spec in specs.items()
        if spec.to in ENTITIES and values[key]
    }
    return Drawn(record.id, record.version, values, titles)


def _specs(session: Any, actor: Actor, entity_key: str) -> dict[str, FieldSpec]:
    return {key: spec for key, spec in registry(session, entity_key).items() if spec.editable and not actor.masked(entity_key, key)}


def _unsettable(session: Any, actor: Actor, entity_key: str) -> list[str]:
    """Labels of what every new record needs and the person's role may not say."""
    return [
        spec.label
        for spec in registry(session, entity_key).values()
        if spec.required and spec.editable and spec.default in (None, "") and actor.locked(entity_key, spec.key)
        and spec.to is None and spec.key != "number"
    ]  # fmt: skip


def fields_for(entity_key: str, *, leave_out: Sequence[str] = ()) -> dict[str, FieldSpec]:
    """The fields of an entity that a form shows this person: those that they may change, and those that they may only read."""
    return {key: spec for key, spec in load(_specs, entity_key).items() if key not in leave_out}


def create_form(
    entity_key: str, *, fields: Sequence[str], preset: Mapping[str, Any] | None = None, more: Sequence[str] = ()
) -> Any:
    """Inputs and a Save button for a new record; gives the record once it is saved. ``more``: fields behind "More fields"."""
    actor, name = current_actor(), f"new_{entity_key}"
    specs = fields_for(entity_key)
    starting = {"owner_id": actor.user_id, **_defaults(specs), **(preset or {})}
    titles = _preset_titles(specs, starting)
    values = _inputs(actor, specs, [key for key in fields if key in specs], starting, titles, name)
    if wanted := load(_unsettable, entity_key):
        st.warning(
            f"Your role can't fill in {' and '.join(wanted)}, which every {entity(entity_key).label.lower()} needs. "
            "Ask an administrator to create it, or to change your role.",
            icon=":material/lock:",
        )
    rest = [key for key in (*more, *(key for key, spec in specs.items() if spec.custom)) if key in specs and key not in fields]
    if rest:
        with st.expander("More fields"):
            values.update(_inputs(actor, specs, rest, starting, titles, name))
    show_refusal()
    doubtful, seen = duplicate_hints(entity_key, values, name=name)
    why = why_anyway(name) if doubtful else None
    answer = gate_question(name)
    words = "Create anyway" if doubtful else gate_words(name, f"Create {entity(entity_key).label.lower()}", "Create anyway")
    pressed = st.button(words, type="primary", key=f"{name}_save", shortcut="ctrl+enter")
    made = st.session_state.get(f"_made_{name}")
    if pressed and made is not None:  # a second click cut the first one's run off before it had led on
        return made
    if pressed and not seen:
        st.caption("Have a look at what was found; then create it, or open the existing one.")
    elif pressed:
        given = {
            key: value
            for key, value in {**(preset or {}), **values}.items()
            if value not in (None, "") or (key in specs and specs[key].required)
        }
        command = crud.create if why is None else partial(crud.create_anyway, why=why)
        record = perform(gates.answering(command, answer), entity_key, given, submit_key=submit_key(name))
        if record is not None:
            st.session_state[f"_made_{name}"] = record
            forget_gate(name)
            forget_hints(name)
            return record
        kept_outside(name)
        st.rerun(scope="fragment")
    elif st.session_state.pop(f"_made_{name}", None) is not None:
        renew(name)
    return None


def _defaults(specs: Mapping[str, FieldSpec]) -> dict[str, Any]:
    """Where a choice starts: as the record would be stored if nothing were said."""
    return {key: spec.default for key, spec in specs.items() if spec.enum is not None and isinstance(spec.default, spec.enum)}


def _preset_titles(specs: Mapping[str, FieldSpec], preset: Mapping[str, Any]) -> dict[str, str]:
    return {
        key: load(lists.titles, specs[key].to, [value]).get(value, "")
        for key, value in preset.items()
        if key in specs and specs[key].to in ENTITIES and isinstance(value, int)
    }


def edit_form(
    entity_key: str, record_id: int, *, fields: Sequence[str] | None = None, typed: Mapping[str, Any] | None = None
) -> bool:
    """Inputs and a Save button for a record; True once saved. What was drawn first stays the base of the comparison until it is saved. ``typed``: what
    the inputs begin with instead of the stored values."""
    actor, name = current_actor(), form_name(entity_key, record_id)
    drawn: Drawn = st.session_state.setdefault(f"_drawn_{name}", None) or replace(
        load(_draw, entity_key, record_id), typed=typed or {}
    )
    st.session_state[f"_drawn_{name}"] = drawn
    clash: Clash | None = st.session_state.get(f"_clash_{name}")
    specs = fields_for(entity_key)
    keys = [key for key in (fields or specs) if key in specs]
    if clash is not None:
        return _resolve(actor, entity_key, drawn, specs, clash, name)
    if drawn.again:
        _say_kept(entity_key, record_id, name, drawn.turn)
    titles = {**drawn.titles, **dict.fromkeys(drawn.typed, ""), **_preset_titles(specs, drawn.typed)}
    values = _inputs(actor, specs, keys, {**drawn.values, **drawn.typed}, titles, f"{name}_{drawn.version}" + "n" * drawn.turn)
    changes = {
        key: value
        for key, value in values.items()
        if to_json(value) != to_json(drawn.values.get(key)) and not (_blank(value) and _blank(drawn.values.get(key)))
    }
    st.session_state[f"_typed_{name}"] = {key: value for key, value in changes.items() if not _absurd(specs[key], value)}
    show_refusal()
    answer = gate_question(name)
    with st.container(horizontal=True, horizontal_alignment="right"):
        words = gate_words(name, "Save", "Save anyway")
        pressed = st.button(words, type="primary", key=f"{name}_save", shortcut="ctrl+enter")
    return _save(entity_key, drawn, changes, name, specs, answer) if pressed else False


def _say_kept(entity_key: str, record_id: int, name: str, turn: int) -> None:
    """That the inputs begin with what was typed before, and the way to the stored values."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key=f"{name}_kept"):
        st.caption("What you typed before you closed this is here again. It is not saved yet.", width="content")
        if st.button("Begin anew", icon=":material/restart_alt:", type="tertiary", key=f"{name}_anew"):
            close_form(entity_key, record_id)
            st.session_state[f"_drawn_{name}"] = replace(load(_draw, entity_key, record_id), turn=turn + 1)
            st.rerun(scope="fragment")


def _blank(value: Any) -> bool:
    """Nothing entered: an empty input and an empty field are the same, while 0 is a number like any other."""
    return value is None or value == "" or value is False


def _save(
    entity_key: str, drawn: Drawn, changes: Mapping[str, Any], name: str, specs: Mapping[str, FieldSpec], answer: gates.Answer
) -> bool:
    if not changes:
        close_form(entity_key, drawn.id)
        return True
    saved = perform(gates.answering(crud.update, answer), entity_key, drawn.id, changes, base_version=drawn.version)
    if saved is None:
        kept_outside(name)
        conflict: Conflict | None = st.session_state.get("_conflict")
        if conflict is not None and conflict.details.get("fields"):
            told = conflict.details
            st.session_state[f"_clash_{name}"] = Clash(told["fields"], told["by"], told["version"], dict(changes))
            hush()
        st.rerun(scope="fragment")
    merged = (
        f" Kept what was changed meanwhile: {', '.join(specs[key].label for key in saved.merged if key in specs)}."
        if saved.merged
        else ""
    )  # type: ignore[union-attr]
    st.session_state.setdefault("_toasts", []).append(("ok", fmt.md("Saved." + merged)))
    close_form(entity_key, drawn.id)
    return True


def _resolve(actor: Actor, entity_key: str, drawn: Drawn, specs: Mapping[str, FieldSpec], clash: Clash, name: str) -> bool:
    chosen: dict[str, Any] = {}
    typed = dict(clash.changes)
    with st.container(key=f"{name}_clash"):
        st.warning(
            fmt.md(f"{who_did(actor, clash.by, 'saved the same fields', 'while you were editing')} Choose what stays."),
            icon=":material/call_split:",
        )
        for key, (original, theirs, mine) in clash.fields.items():
            spec = specs[key]
            said = {
                "mine": in_words(actor, spec, mine),
                "theirs": in_words(actor, spec, theirs),
                "original": in_words(actor, spec, original),
            }
            pick = whose(spec.label, said, key=f"{name}_{key}_{clash.version}")
            chosen[key] = {"mine": clash.changes[key], "theirs": theirs, "original": original}[pick]
            if pick == "theirs":
                del typed[key]
            elif pick == "original":
                typed[key] = drawn.values.get(key)
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        if st.button("Discard mine", type="tertiary", key=f"{name}_discard"):
            close_form(entity_key, drawn.id)
            return True
        if st.button("Save this", type="primary", key=f"{name}_resolve"):
            final = {
                key: value
                for key, value in {**clash.changes, **chosen}.items()
                if key not in clash.fields or to_json(value) != clash.fields[key][1]
            }
            st.session_state.pop(f"_clash_{name}", None)
            now = load(
                _draw, entity_key, drawn.id
            )  # where this is refused, the form goes on with the choices and asks no second time
            now = st.session_state[f"_drawn_{name}"] = replace(now, version=clash.version, typed=typed)
            return _save(entity_key, now, final, name, specs, gates.Answer())
    return False


def tell_changes(entity_key: str, changed: Mapping[str, tuple[Any, Any]]) -> None:
    """What was before and what is now of each field that somebody changed: field → (before, now), as the log keeps them."""
    actor, specs = current_actor(), load(lambda session, _actor: registry(session, entity_key))
    for key, pair in changed.items():
        before, now = (fmt.md(shorten(in_words(actor, specs[key], one), 200, placeholder="…")) for one in pair)
        st.markdown(f":gray[{fmt.md(specs[key].label)}]  \n{before} → **{now}**")


def who_did(actor: Actor, by: Sequence[tuple[int | None, Via]], what: str, meanwhile: str) -> str:
    """Who did something meanwhile, in a sentence: "Ida saved the same fields while you were editing." ``by``: person and door each, as a Conflict tells."""
    if by and all(who == actor.user_id and via is Via.SCREEN for who, via in by):
        return f"You {what} in another tab while this one was open."
    known = load(lists.titles, "user", [who for who, _ in by])
    names = dict.fromkeys(_one_of(actor, known, who, via) for who, via in by)
    said = " and ".join(names) or "somebody else"
    return f"{said[0].upper()}{said[1:]} {what} {meanwhile}."


def _one_of(actor: Actor, known: Mapping[int, str], who: int | None, via: Via) -> str:
    if via not in (Via.SCREEN, Via.DEMO):
        return via.label
    return "you" if who == actor.user_id else known.get(who or 0, "somebody else")


def in_words(actor: Actor, spec: FieldSpec, raw: Any) -> str:
    """A value as the log keeps it, as plain text."""
    if spec.to in ENTITIES and isinstance(raw, int):
        return load(lists.titles, spec.to, [raw]).get(raw, "a hidden record")
    if spec.kind is FieldKind.DATE and isinstance(raw, str):
        raw = date.fromisoformat(raw)
    if spec.kind is FieldKind.DATETIME and isinstance(raw, str):
        raw = datetime.fromisoformat(raw)
    return fmt.value(actor, spec, raw)


def form_name(entity_key: str, record_id: int) -> str:
    """What the form of a record is called in the state of the session."""
    return f"edit_{entity_key}_{record_id}"


def open_form(
    entity_key: str, record_id: int, *, fields: Sequence[str] | None = None, typed: Mapping[str, Any] | None = None
) -> None:
    """A form is opened: what was typed into it before it was closed without saving is there again, and so is a question that was not answered. ``typed``:
    what its inputs begin with besides."""
    name = form_name(entity_key, record_id)
    drawn: Drawn | None = st.session_state.get(f"_drawn_{name}")
    clash: Clash | None = st.session_state.get(f"_clash_{name}")
    kept = {key: value for key, value in st.session_state.get(f"_typed_{name}", {}).items() if fields is None or key in fields}
    close_form(entity_key, record_id)
    if clash is not None:
        st.session_state[f"_drawn_{name}"] = drawn
        st.session_state[f"_clash_{name}"] = replace(clash, changes={**clash.changes, **(typed or {})})
    elif kept and drawn is not None:
        now = load(_draw, entity_key, record_id)
        untouched = all(to_json(now.values.get(key)) == to_json(drawn.values.get(key)) for key in kept)
        begun = now if untouched else drawn
        st.session_state[f"_drawn_{name}"] = replace(begun, typed={**kept, **(typed or {})}, again=True, turn=drawn.turn)


def close_form(entity_key: str, record_id: int) -> None:
    """Forget the drawn state of a form, so that the next opening starts from the stored record."""
    name = form_name(entity_key, record_id)
    forget_gate(name)
    for prefix in ("_drawn_", "_clash_", "_typed_"):
        st.session_state.pop(prefix + name, None)
    for key in [key for key in st.session_state if str(key).startswith(name + "_")]:
        del st.session_state[key]
    st.session_state.pop("_invalid", None)


# --- one input per kind ----------------------------------------------------------------------------------------------------


def _inputs(
    actor: Actor,
    specs: Mapping[str, FieldSpec],
    keys: Sequence[str],
    values: Mapping[str, Any],
    titles: Mapping[str, str],
    name: str,
) -> dict[str, Any]:
    """Two columns of inputs; long texts take the whole width. Returns field → typed value. What may only be read stands last, as text."""
    found: dict[str, Any] = {}
    fixed = [key for key in keys if actor.locked(specs[key].entity, key)]
    keys = [key for key in keys if key not in fixed]
    short = [key for key in keys if specs[key].kind is not FieldKind.LONG_TEXT]
    places: list[Any] = []
    for key in short:
        if not _asked(specs[key], {**values, **found}):
            continue
        places = places or list(st.columns(2))
        with places.pop(0):
            if (specs[key].entity, key) == ("deal", "stage_id"):
                found |= _stage(specs, values, found, f"{name}_{key}")
            else:
                found[key] = field_input(actor, specs[key], values.get(key), key=f"{name}_{key}", title=titles.get(key, ""))
    for key in keys:
        if key not in found and key not in short:
            found[key] = field_input(actor, specs[key], values.get(key), key=f"{name}_{key}")
    _only_read(actor, [specs[key] for key in fixed], values, titles, name)
    return found


def _asked(spec: FieldSpec, given: Mapping[str, Any]) -> bool:
    """Whether the answers so far leave this field open: money off is no question where percents come off."""
    return spec.only_with is None or given.get(spec.only_with[0]) in (None, spec.only_with[1])


def _only_read(actor: Actor, specs: Sequence[FieldSpec], values: Mapping[str, Any], titles: Mapping[str, str], name: str) -> None:
    """Fields that the person may read but not change: their content, and why there is no input. Empty ones of a new record are left out."""
    shown = [spec for spec in specs if values.get(spec.key) not in (None, "") or name.startswith("edit_")]
    if not shown:
        return
    with st.container(border=True, gap="small", key=f"{name}_only_read"):
        st.caption(":material/lock: Your role may read these, but not change them.")
        for at in range(0, len(shown), 2):
            for column, spec in zip(st.columns(2), shown[at : at + 2], strict=False):
                text = fmt.value(actor, spec, values.get(spec.key), titles.get(spec.key))
                column.markdown(f":gray[{fmt.md(spec.label)}]  \n{fmt.md(text[:500])}")


def _stage(specs: Mapping[str, FieldSpec], values: Mapping[str, Any], given: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The stage of a deal: of the pipeline that is chosen before it. A closed deal that changes its pipeline is not asked: it stays as closed there."""
    before = values.get("pipeline_id")
    pipeline = given.get("pipeline_id", before)
    if pipeline != before and values.get("outcome") not in (None, StageKind.OPEN):
        st.caption(f"It stays {StageKind(values['outcome']).label.lower()} in the other pipeline.")
        return {}
    return {"stage_id": stage_choice(specs["stage_id"].label + " *", pipeline, values.get("stage_id"), key)}


def field_input(actor: Actor, spec: FieldSpec, value: Any, *, key: str, title: str = "") -> Any:
    """The input for a field. Values come and go as they are stored; money is shown in major units."""
    label = (fmt.md(spec.label) if spec.custom else spec.label) + (" *" if spec.required else "")  # labels are read as Markdown
    hint = fmt.md(spec.help) if spec.help else None
    if spec.key == "timezone" and not spec.custom:
        return _timezone_input(label, value, key, hint)
    match spec.kind:
        case FieldKind.BOOLEAN:
            return st.toggle(label, value=bool(value), key=key, help=hint)
        case FieldKind.CHOICE | FieldKind.PICK if spec.options:
            return _options(spec, value, label, key, hint)
        case FieldKind.REFERENCE:
            return _reference_input(spec, value, label, key, title)
        case FieldKind.MONEY:
            shown = float(to_major(int(value), actor.currency)) if value is not None else None
            step, most = 10.0 ** -exponent(actor.currency), most_major(actor.currency)
            typed = st.number_input(
                f"{label} ({actor.currency})",
                value=shown,
                min_value=-most,
                max_value=most,
                step=step,
                format=f"%.{exponent(actor.currency)}f",
                key=key,
                help=hint,
            )
            return _minor(typed, actor.currency)
        case FieldKind.INTEGER:
            return whole_input(label, value, key=key, help=hint)
        case FieldKind.DECIMAL | FieldKind.PERCENT:
            return st.number_input(label, value=float(value) if value is not None else None, format="%g", key=key, help=hint)
        case FieldKind.DATE:
            return day_input(label, value=value, key=key, help=hint, min_value=date(1900, 1, 1), max_value=date(2199, 12, 31))
        case FieldKind.DATETIME:
            return instant_input(label, value=_as_typed(actor, value), key=key, help=hint)
        case FieldKind.LONG_TEXT:
            tall = (spec.entity, spec.key) == ("article", "body")
            return st.text_area(label, value=value or "", key=key, help=hint, height=320 if tall else 100)
    return st.text_input(label, value=value or "", key=key, help=hint, max_chars=spec.max_length)


def _as_typed(actor: Actor, value: datetime | None) -> datetime | None:
    """An instant in the person's own time, as it is typed; what was typed already is that."""
    return fmt.local(actor, value).replace(tzinfo=None) if value is not None and value.tzinfo else value


def _minor(typed: float | None, currency: str) -> Any:
    """Minor units of what was typed. An absurd amount goes on as text, so that the service answers it with the field's sentence."""
    if typed is None:
        return None
    try:
        return to_minor(typed, currency)
    except ValueError:
        return f"{typed:.0f}"


def _absurd(spec: FieldSpec, value: Any) -> bool:
    """An amount that ``_minor`` gave on as text."""
    return spec.kind is FieldKind.MONEY and isinstance(value, str)


def _timezone_input(label: str, value: Any, key: str, hint: str | None) -> Any:
    zones = list(timezones())
    at = zones.index(value) if value in zones else None
    return st.selectbox(label, zones, index=at, key=key, help=hint, placeholder="–")


def _options(spec: FieldSpec, value: Any, label: str, key: str, hint: str | None) -> Any:
    options = list(spec.options or {})
    stored = to_json(value)
    if stored is not None and stored not in options:
        options.append(stored)  # an option that was taken away stays valid on old rows
    at = options.index(stored) if stored in options else None
    return st.selectbox(
        label,
        options,
        index=at,
        format_func=lambda option: (spec.options or {}).get(option, option),
        key=key,
        help=hint,
        placeholder="–",
    )


def _reference_input(spec: FieldSpec, value: Any, label: str, key: str, title: str) -> Any:
    if spec.to not in ENTITIES:
        return value
    if ENTITIES[spec.to].lookup:
        options = load(lists.choices, spec.to, limit=500, include=[value])
        at = list(options).index(value) if value in options else None
        return st.selectbox(
            label, list(options), index=at, format_func=lambda option: options.get(option, "–"), key=key, placeholder="–"
        )
    return picker(label, lambda q: load(lists.choices, spec.to, q, limit=20), key=key, value=value, title=title)
