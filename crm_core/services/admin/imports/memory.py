"""What one process keeps between the batches of a run: the columns' readers, the indexes of known records, the counts so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlmodel import Session

from crm_core.access import Actor
from crm_core.entities import entity
from crm_core.errors import Invalid
from crm_core.fields import FieldSpec, registry
from crm_core.models import Organisation
from crm_core.services.admin import pick_lists
from crm_core.services.admin.imports.finder import Finder
from crm_core.services.admin.imports.kinds import Kind, kind_of
from crm_core.services.admin.imports.plan import Column, Plan, places
from crm_core.services.admin.imports.tally import Tally
from crm_core.services.admin.imports.targets import FOUND_BY, targets
from crm_core.services.admin.imports.values import Converter, Locale
from crm_core.services.admin.imports.writing import defaults
from crm_core.vocabulary import Action


@dataclass
class Memory:
    """Everything that stays the same for the rows of a run, for one actor."""

    actor: Actor
    plan: Plan
    headers: tuple[str, ...]
    kind: Kind
    specs: Mapping[str, FieldSpec]
    fields: Mapping[str, FieldSpec]
    phone_region: str
    blank: dict[str, Any]
    cells: list[Converter] = field(default_factory=list)
    constants: dict[str, tuple[str, Converter, bool]] = field(default_factory=dict)
    finders: dict[tuple[str, ...], Finder] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    required: list[tuple[str, FieldSpec]] = field(default_factory=list)
    owns: bool = False
    """Records get the acting person as owner, because the plan names none."""
    session: Session | None = None
    """The session of the batch that runs: values of lists are added in it."""

    @classmethod
    def prepare(cls, session: Session, actor: Actor, entity_key: str, plan: Plan, headers: tuple[str, ...]) -> "Memory":
        """Bind a plan to the fields as they are now. Raises Invalid when a field of the plan no longer exists."""
        kind = kind_of(entity_key)
        organisation = session.execute(select(Organisation.phone_region).limit(1)).scalar()  # type: ignore[call-overload]
        memory = cls(
            actor=actor,
            plan=plan,
            headers=headers,
            kind=kind,
            specs=targets(session, actor, kind),
            fields=registry(session, entity_key),
            phone_region=organisation or "US",
            blank=defaults(entity(entity_key)),
        )
        memory._bind()
        memory.required = [(key, spec) for key, spec in memory.fields.items() if spec.required]
        memory.owns = "owner_id" in memory.blank and plan.column_for("owner_id") is None and not plan.constants.get("owner_id")
        return memory

    def _bind(self) -> None:
        place = {header: n for n, header in enumerate(self.headers)}
        for column in self.plan.columns:
            if column.to:
                if column.header not in place:
                    raise Invalid(f"The file has no column “{column.header}” any more.")
                self.cells.append(self._converter(place[column.header], column))
        # A stage is looked for in the pipeline of its row, so the pipeline must be read first.
        self.cells.sort(key=lambda cell: cell.spec.to == "stage")
        for key, template in self.plan.constants.items():
            if template:
                label = self.specs[key].label if key in self.specs else key
                converter = self._converter(-1, Column(header=label, to=key))
                self.constants[key] = (template, converter, bool(places(template)))

    def _converter(self, index: int, column: Column) -> Converter:
        spec = self.specs.get(column.to)
        if spec is None:
            raise Invalid(
                f"The field for the column “{column.header}” no longer exists, or is hidden from your role. Match the column again."
            )
        locale = Locale(self.actor.timezone, self.actor.currency)

        def add(value: str) -> str:
            assert self.session is not None
            return pick_lists.add(self.session, self.actor, self.kind.entity, spec.key, value)

        may_add = pick_lists.is_list(spec) and self.actor.can("custom_field", Action.MANAGE)
        return Converter(index, column.header, column, spec, locale, add if may_add else None)

    def finder(self, session: Session, entity_key: str, keys: tuple[str, ...]) -> Finder:
        """The index of an entity's records by some of its fields."""
        name = (entity_key, *keys)
        if name not in self.finders:
            specs = registry(session, entity_key)
            missing = [key for key in keys if key not in specs]
            if missing:
                raise Invalid(f"There is no field “{missing[0]}” by which records could be found.")
            self.finders[name] = Finder(session, self.actor, entity_key, [specs[key] for key in keys])
        return self.finders[name]

    def finders_for(self, session: Session, entity_key: str, by: str = "") -> list[Finder]:
        """The indexes through which a name in a file finds its record, in the order in which they are asked."""
        keys = (by,) if by else FOUND_BY.get(entity_key, ("name",))
        return [self.finder(session, entity_key, (key,)) for key in keys if not self.actor.masked(entity_key, key)]

    def refresh(self, session: Session) -> None:
        """Between batches: know what others created meanwhile."""
        for finder in self.finders.values():
            finder.refresh(session)
