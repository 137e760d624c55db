"""What the wizard's screen needs about one import in one read, and the small changes of a plan that its controls make."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlmodel import Session

from crm_core.access import Actor
from crm_core.errors import Invalid
from crm_core.fields import FieldSpec
from crm_core.kit.text import sort_key
from crm_core.models import ImportRun
from crm_core.services.admin import pick_lists
from crm_core.services.admin.imports import checking, matching, runs, suggest
from crm_core.services.admin.imports.kinds import kind_of
from crm_core.services.admin.imports.plan import Column, Mode, NewField, Plan, Unknown
from crm_core.services.admin.imports.profile import Profile
from crm_core.services.admin.imports.targets import locked, searchable, targets
from crm_core.vocabulary import Action, FieldKind, ImportState

NEW_FIELD = "new"
"""Stands for "a new custom field" where a column's field is chosen."""

_NUMBERS = (FieldKind.INTEGER, FieldKind.DECIMAL, FieldKind.MONEY, FieldKind.PERCENT)
_DATES = (FieldKind.DATE, FieldKind.DATETIME)


@dataclass(frozen=True)
class Line:
    """One column of the file on the screen: what is in it, what becomes of it, what can be set about it."""

    header: str
    samples: tuple[str, ...]
    filled: int
    target: str
    new: NewField | None
    date: str = ""
    decimal: str = ""
    factor: str = "1"
    unknown: Unknown | None = None
    offers: tuple[Unknown, ...] = ()
    by: str = ""
    found_by: Mapping[str, str] | None = None
    example: str = ""
    doubtful: bool = False


@dataclass(frozen=True)
class Desk:
    """An import as the wizard draws it."""

    run: ImportRun
    plan: Plan
    lines: tuple[Line, ...]
    fields: Mapping[str, str]
    required: frozenset[str]
    keys: Mapping[str, str]
    problems: tuple[str, ...]
    remarks: tuple[str, ...]
    may_add_fields: bool
    locked: Mapping[str, str]
    """Fields that the person's role may not change, and that a column therefore can't go into: key → label."""


def view(session: Session, actor: Actor, run_id: int) -> Desk:
    """Everything about an import whose plan is still open."""
    run = runs.get(session, actor, run_id)
    kind, plan, seen = kind_of(run.entity), runs.plan_of(run), runs.profile_of(run)
    specs = targets(session, actor, kind)
    named = {
        key: spec.label + (" *" if spec.required and key not in kind.satisfied(frozenset()) else "") for key, spec in specs.items()
    }
    may_add = actor.can("custom_field", Action.MANAGE) and run.entity != "user"
    return Desk(
        run=run,
        plan=plan,
        lines=tuple(_line(session, actor, column, seen, specs, run.entity) for column in plan.columns),
        fields=dict(sorted(named.items(), key=lambda item: not item[1].endswith("*"))),
        required=frozenset(key for key, label in named.items() if label.endswith("*")),
        keys=_keys(plan, specs, frozenset(spec.key for spec in kind.extra)),
        problems=tuple(checking.problems(session, actor, kind, plan)),
        remarks=tuple(checking.remarks(session, actor, kind, plan)),
        may_add_fields=may_add,
        locked=locked(session, actor, kind),
    )


def better_kinds(session: Session, actor: Actor, run_id: int) -> tuple[str, ...]:
    """Other kinds of record that know more columns of the file by name than the chosen one does: those that know the most, three at the most.

    Empty once the plan was changed by hand or used before, and when no other kind knows more.
    """
    run = runs.get(session, actor, run_id)
    if run.state is not ImportState.UPLOADED:
        return ()
    seen = runs.profile_of(run)
    known = {key: _known(session, actor, key, seen) for key in runs.importable(actor)}
    mine, most = known.get(run.entity, 0), max(known.values(), default=0)
    fed = sum(bool(column.to or column.new) for column in runs.plan_of(run).columns)
    if most <= max(mine, fed):
        return ()
    return tuple(key for key, count in known.items() if count == most)[:3]


def _known(session: Session, actor: Actor, entity_key: str, seen: Profile) -> int:
    kind = kind_of(entity_key)
    return len(matching.match(seen.columns, targets(session, actor, kind), kind))


def _line(session: Session, actor: Actor, column: Column, seen: Profile, specs: Mapping[str, FieldSpec], entity_key: str) -> Line:
    found, spec = seen.column(column.header), specs.get(column.to)
    samples = tuple(found.samples) if found else ()
    line = Line(column.header, samples, found.filled if found else 0, column.to or (NEW_FIELD if column.new else ""), column.new)
    kind = spec.kind if spec else column.new.kind if column.new else None
    if found is None or kind is None:
        return line
    if kind in _DATES:
        others = bool(found.date_others)
        return replace(
            line,
            date=column.date,
            doubtful=others and column.date == found.date,
            example=found.example if column.date == found.date else "",
        )
    if kind in _NUMBERS:
        others = bool(found.decimal_others)
        shown = found.example if column.decimal == found.decimal and others else ""
        return replace(
            line, decimal=column.decimal, factor=column.factor, doubtful=others and column.decimal == found.decimal, example=shown
        )
    if spec is None or not matching.offers(spec):
        return line
    by = searchable(session, spec.to) if spec.to and spec.to != "stage" and spec.to != entity_key else None
    may_add = actor.can("custom_field", Action.MANAGE) or not pick_lists.is_list(spec)
    offers = tuple(each for each in matching.offers(spec) if each is not Unknown.ADD or (may_add and not column.by))
    return replace(line, unknown=column.unknown, offers=offers, by=column.by, found_by=by)


def _keys(plan: Plan, specs: Mapping[str, FieldSpec], extra: frozenset[str]) -> dict[str, str]:
    """What records can be recognised by: the fields that the plan feeds."""
    found = {column.to: specs[column.to].label for column in plan.columns if column.to in specs and column.to not in extra}
    fresh = {matching.NEW + column.header: column.new.label for column in plan.columns if column.new is not None and not column.to}
    return {**found, **fresh}


# --- changes ------------------------------------------------------------------------------------------------------------------


def match_column(session: Session, actor: Actor, run_id: int, header: str, target: str) -> ImportRun:
    """Match a column with a field, with a new custom field (``NEW_FIELD``), or with nothing (empty)."""
    run = runs.get(session, actor, run_id)
    plan, seen = runs.plan_of(run), runs.profile_of(run).column(header)
    if seen is None:
        raise Invalid(f"The file has no column “{header}”.")
    if target == NEW_FIELD:
        plan = plan.with_column(header, to="", new=matching.new_field_for(seen), values={})
    else:
        spec = targets(session, actor, kind_of(run.entity)).get(target)
        unknown = matching.default_unknown(actor, spec, kind_of(run.entity)) if spec else Unknown.REJECT
        plan = plan.with_column(header, to=target, new=None, values={}, unknown=unknown, by="")
    return runs.set_plan(session, actor, run_id, _with_fed_keys(plan))


def _with_fed_keys(plan: Plan) -> Plan:
    """Without keys that no column feeds any more."""
    fed = {column.to for column in plan.columns if column.to} | {
        matching.NEW + column.header for column in plan.columns if column.new
    }
    match = tuple(key for key in plan.match if key in fed)
    return replace(plan, match=match, mode=plan.mode if match else Mode.CREATE)


def set_column(session: Session, actor: Actor, run_id: int, header: str, **changes: Any) -> ImportRun:
    """Change how a column is read (``date``, ``decimal``, ``factor``), what happens to unknown values, or the new field (``new``)."""
    return runs.set_plan(session, actor, run_id, runs.plan_of(runs.get(session, actor, run_id)).with_column(header, **changes))


def set_value(
    session: Session, actor: Actor, run_id: int, header: str, text: str, value: str | None, *, decided: bool = True
) -> ImportRun:
    """Say what a value of the file means here (None: leave empty); not ``decided``: the column's rule applies to it again."""
    plan = runs.plan_of(runs.get(session, actor, run_id))
    column = next((each for each in plan.columns if each.header == header), None)
    if column is None:
        raise Invalid(f"The file has no column “{header}”.")
    values = {key: meant for key, meant in column.values.items() if key != text}
    return runs.set_plan(session, actor, run_id, plan.with_column(header, values={**values, text: value} if decided else values))


def set_constant(session: Session, actor: Actor, run_id: int, key: str, text: str) -> ImportRun:
    """Give a field a value for rows where the file has none; an empty text takes it away."""
    plan = runs.plan_of(runs.get(session, actor, run_id))
    rest = {name: kept for name, kept in plan.constants.items() if name != key}
    return runs.set_plan(session, actor, run_id, replace(plan, constants={**rest, key: text} if text else rest))


def set_rules(session: Session, actor: Actor, run_id: int, **changes: Any) -> ImportRun:
    """Change ``mode``, ``match``, ``empty_clears`` or ``fill_short``."""
    return runs.set_plan(session, actor, run_id, replace(runs.plan_of(runs.get(session, actor, run_id)), **changes))


@dataclass(frozen=True)
class Question:
    """A value that no list has: what it was taken for so far, and what it may be."""

    header: str
    text: str
    count: int
    decided: bool
    meant: str | None
    suggestion: str


def questions(session: Session, actor: Actor, run_id: int) -> tuple[list[Question], dict[str, list[str]]]:
    """Values to decide on (those already decided first), and for each column what can be chosen."""
    run = runs.get(session, actor, run_id)
    plan, seen = runs.plan_of(run), runs.profile_of(run)
    specs = targets(session, actor, kind_of(run.entity))
    decided = [
        Question(column.header, text, _count(seen, column.header, text), True, meant, meant or "")
        for column in plan.columns
        for text, meant in column.values.items()
    ]
    fresh = [
        Question(each.header, each.text, each.count, False, None, each.suggestion)
        for each in suggest.strangers(session, actor, run.entity, plan, seen)
    ]
    found = [*decided, *fresh]
    choices = {
        column.header: sorted(suggest.known_values(session, actor, specs[column.to], column.by), key=sort_key)[:1000]
        for column in plan.columns
        if column.to in specs and any(each.header == column.header for each in found)
    }
    return found, choices


def _count(seen: Profile, header: str, text: str) -> int:
    column = seen.column(header)
    return column.values.get(text, 0) if column else 0


__all__ = [
    "NEW_FIELD",
    "Desk",
    "Line",
    "Question",
    "match_column",
    "questions",
    "set_column",
    "set_constant",
    "set_rules",
    "set_value",
    "suggest",
    "view",
]
