"""What is wrong with a plan before any row is looked at, and what people should know about it."""

from collections import Counter

from sqlmodel import Session

from crm_core.access import Actor
from crm_core.entities import entity, label_of
from crm_core.fields import FieldSpec
from crm_core.kit.text import fold
from crm_core.services.admin.custom_fields import KINDS as FIELD_KINDS
from crm_core.services.admin.imports.kinds import Kind
from crm_core.services.admin.imports.matching import NEW
from crm_core.services.admin.imports.plan import Mode, Plan, Unknown, places
from crm_core.services.admin.imports.targets import targets
from crm_core.vocabulary import Action


def problems(session: Session, actor: Actor, kind: Kind, plan: Plan) -> list[str]:
    """Sentences that must be answered before the plan can run; empty when it can."""
    specs = targets(session, actor, kind)
    return [
        *_columns(plan, specs),
        *_new_fields(actor, kind, plan, specs),
        *_constants(plan, specs),
        *_required(kind, plan, specs),
        *_key(kind, plan, specs),
        *_rights(actor, kind, plan),
    ]


def _columns(plan: Plan, specs: dict[str, FieldSpec]) -> list[str]:
    said = [
        f"The column “{column.header}” is matched with a field that does not exist or is hidden from your role."
        for column in plan.columns
        if column.to and column.to not in specs
    ]
    twice = [key for key, count in Counter(column.to for column in plan.columns if column.to).items() if count > 1]
    said += [f"Two columns are matched with “{specs[key].label}”. Choose one of them." for key in twice if key in specs]
    if not any(column.used for column in plan.columns):
        said.append("No column is matched with a field yet.")
    return said


def _new_fields(actor: Actor, kind: Kind, plan: Plan, specs: dict[str, FieldSpec]) -> list[str]:
    fresh = [column.new for column in plan.columns if column.new is not None and not column.to]
    if not fresh:
        return []
    if not actor.can("custom_field", Action.MANAGE):
        return ["Your role does not allow to add custom fields. Drop these columns, or ask an administrator."]
    if "extra" not in entity(kind.entity).table.c:
        return [f"{label_of(kind.entity, plural=True)} can't have custom fields."]
    said = [f"“{new.label}” can't be a field of the kind “{new.kind.label}”." for new in fresh if new.kind not in FIELD_KINDS]
    names = Counter(fold(new.label) for new in fresh) + Counter({fold(spec.label): 1 for spec in specs.values() if spec.custom})
    said += [
        f"There would be two fields called “{new.label}”. Give one another name." for new in fresh if names[fold(new.label)] > 1
    ]
    return list(dict.fromkeys(said))


def _constants(plan: Plan, specs: dict[str, FieldSpec]) -> list[str]:
    headers = {column.header for column in plan.columns}
    said = []
    for key, template in plan.constants.items():
        if template and key not in specs:
            said.append(f"The fixed value “{template[:60]}” is meant for a field that does not exist.")
        said += [
            f"The fixed value of “{specs[key].label}” names a column “{name}” that the file does not have."
            for name in places(template)
            if name not in headers and key in specs
        ]
    return said


def _required(kind: Kind, plan: Plan, specs: dict[str, FieldSpec]) -> list[str]:
    if plan.mode is Mode.UPDATE:
        return []
    fed = frozenset({column.to for column in plan.columns if column.to} | {key for key, text in plan.constants.items() if text})
    filled = kind.satisfied(fed)
    blank = entity(kind.entity).model()
    return [
        f"“{spec.label}” is needed: match a column with it, or give a fixed value."
        for key, spec in specs.items()
        if spec.required and key not in fed and key not in filled and (spec.custom or getattr(blank, key, None) in (None, ""))
    ]


def _key(kind: Kind, plan: Plan, specs: dict[str, FieldSpec]) -> list[str]:
    if not plan.match:
        return [] if plan.mode is Mode.CREATE else ["Choose by which field existing records are recognised, or create only."]
    fed = {column.to for column in plan.columns} | set(plan.constants)
    fresh = {NEW + column.header for column in plan.columns if column.new is not None and not column.to}
    said = []
    for key in plan.match:
        if key.startswith(NEW):
            said += [] if key in fresh else [f"The column “{key.removeprefix(NEW)}” is to recognise records but becomes no field."]
        elif key not in specs or key in {spec.key for spec in kind.extra}:
            said.append("Records can't be recognised by the chosen field.")
        elif key not in fed:
            said.append(f"Records are to be recognised by “{specs[key].label}”, but no column is matched with it.")
    return said


def _rights(actor: Actor, kind: Kind, plan: Plan) -> list[str]:
    if kind.entity == "user":
        return []
    words = label_of(kind.entity, plural=True).lower()
    said = []
    if plan.mode is not Mode.UPDATE and not actor.can(kind.entity, Action.CREATE):
        said.append(f"Your role does not allow to create {words}; choose to update only.")
    if plan.mode is not Mode.CREATE and not actor.can(kind.entity, Action.EDIT):
        said.append(f"Your role does not allow to change {words}; choose to create only.")
    return said


def remarks(session: Session, actor: Actor, kind: Kind, plan: Plan) -> list[str]:
    """What is good to know: columns that will be dropped, rules of the kind, values that will be added to lists."""
    said = []
    if plan.dropped:
        said.append("Not imported: " + ", ".join(f"“{header}”" for header in plan.dropped) + ".")
    adding = [column.header for column in plan.columns if column.to and column.unknown is Unknown.ADD]
    if adding:
        said.append(
            "New values or records are created where these columns hold unknown ones: "
            + ", ".join(f"“{header}”" for header in adding)
            + "."
        )
    for column in plan.columns:
        read = [f"“{text}” as {f'“{meant}”' if meant else 'empty'}" for text, meant in list(column.values.items())[:8]]
        if column.to and read:
            more = len(column.values) - len(read)
            said.append(f"“{column.header}”: {', '.join(read)}{f' and {more} more' if more > 0 else ''}.")
    return [*said, *kind.notes]
