"""Linked records: found by what the file calls them, or created from the name alone when the plan says so."""

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update
from sqlmodel import Session, col
from sqlmodel import select as model_select

from crm_core import events, records
from crm_core.access import Actor
from crm_core.entities import label_of
from crm_core.fields import FieldSpec
from crm_core.kit.text import fold
from crm_core.models import ImportLink, Pipeline, ProductCategory, Stage, Team, User, UserClosure
from crm_core.models.base import Record
from crm_core.services.admin.imports.kinds.base import RowRefused, ToCreate
from crm_core.services.admin.imports.kinds.deals import NEW_STAGE_PCT
from crm_core.services.admin.imports.plan import Column, Unknown
from crm_core.services.admin.imports.targets import CREATABLE
from crm_core.vocabulary import Action, FieldKind, ForecastCategory, StageKind

if TYPE_CHECKING:
    from crm_core.services.admin.imports.batch import Batch

_LINKS: Any = ImportLink.__table__  # type: ignore[attr-defined]
_STAGES: Any = Stage.__table__  # type: ignore[attr-defined]
_WON = ("won", "closed won", "gewonnen", "gagne")
_LOST = ("lost", "closed lost", "verloren", "perdu")


def find(batch: "Batch", spec: FieldSpec, column: Column, text: str, pipeline_id: int | None) -> int | ToCreate | None:
    """The id of the record that a text means, a promise to create it, or None to leave the field empty. Raises RowRefused."""
    target = spec.to or ""
    ids = ids_of(batch, spec, column, text, pipeline_id)
    if len(ids) == 1:
        return ids[0]
    if len(ids) > 1:
        raise RowRefused(**{column.header: f"There are {len(ids)} {label_of(target, plural=True).lower()} called “{text[:60]}”."})
    batch.memory.tally.value_unknown(column.header, text)
    if column.unknown is Unknown.EMPTY:
        return None
    if column.unknown is Unknown.ADD and target in CREATABLE and not column.by:
        return ToCreate(target, text, column.header)
    raise RowRefused(**{column.header: _not_found(batch, target, text)})


def ids_of(batch: "Batch", spec: FieldSpec, column: Column, text: str, pipeline_id: int | None = None) -> list[int]:
    """Ids of the records that a text may mean."""
    return _stage_ids(batch, text, pipeline_id) if spec.to == "stage" else _ids(batch, spec.to or "", column.by, text)


def _not_found(batch: "Batch", target: str, text: str) -> str:
    if target == "stage":
        elsewhere = batch.session.execute(
            select(Pipeline.name).join(Stage, col(Stage.pipeline_id) == Pipeline.id).where(Stage.name == text).limit(1)  # type: ignore[call-overload]
        ).scalar()
        if elsewhere:
            return f"The stage “{text[:60]}” belongs to another pipeline ({elsewhere})."
    return f"There is no {label_of(target).lower()} called “{text[:60]}” that you may see."


def _ids(batch: "Batch", target: str, by: str, text: str) -> list[int]:
    for finder in batch.memory.finders_for(batch.session, target, by):
        spec = finder.specs[0]
        value: Any = text
        if spec.kind is FieldKind.INTEGER:
            if not text.removesuffix(".0").isdigit():
                continue
            value = int(text.removesuffix(".0"))
        ids = finder.find(finder.key([value]))
        if ids:
            return ids
    return []


def _stage_ids(batch: "Batch", text: str, pipeline_id: int | None) -> list[int]:
    """A stage by its name within a pipeline; "closed won" and the like mean the stage of that kind."""
    finder = batch.memory.finder(batch.session, "stage", ("pipeline_id", "name"))
    pipeline = pipeline_id or getattr(batch.kind, "pipeline", None)
    ids = finder.find(finder.key([pipeline, text]))
    word = " ".join(fold(text).replace("-", " ").split())
    kind = StageKind.WON if word in _WON else StageKind.LOST if word in _LOST else None
    if ids or kind is None:
        return ids
    wanted = (
        select(_STAGES.c.id).where(_STAGES.c.pipeline_id == pipeline, _STAGES.c.kind == kind).order_by(_STAGES.c.position).limit(1)
    )
    return list(batch.session.execute(wanted).scalars())


def create(batch: "Batch", wanted: ToCreate, values: dict[str, Any]) -> int:
    """Create a linked record from its name, once per run; a second row that names it finds it."""
    session, actor = batch.session, batch.actor
    pipeline = values.get("pipeline_id")
    known = _stage_ids(batch, wanted.name, pipeline) if wanted.entity == "stage" else _ids(batch, wanted.entity, "", wanted.name)
    if known:
        return known[0]
    if not _may_create(actor, wanted.entity):
        words = label_of(wanted.entity, plural=True).lower()
        raise RowRefused(**{wanted.header: f"“{wanted.name[:60]}” does not exist, and your role does not allow to create {words}."})
    record = _make(session, actor, wanted, values, batch)
    values_row = {"run_id": batch.run_id, "entity": wanted.entity, "record_id": record.id, "record_version": record.version}
    session.connection().execute(insert(_LINKS).values(**values_row))
    batch.memory.tally.created_link(wanted.entity, wanted.name)
    batch.remember(wanted.entity, {"name": record.name, "pipeline_id": pipeline}, record.id)
    return int(record.id)


def _may_create(actor: Actor, entity_key: str) -> bool:
    area = {"stage": "pipeline", "team": "user", "user": "user", "product_category": "product"}.get(entity_key)
    return actor.can(area, Action.CREATE if area == "product" else Action.MANAGE) if area else actor.can(entity_key, Action.CREATE)


def _make(session: Session, actor: Actor, wanted: ToCreate, values: dict[str, Any], batch: "Batch") -> Any:
    from crm_core.services.customers import accounts, contacts

    owner = values.get("owner_id")
    given = {"name": wanted.name, **({"owner_id": owner} if isinstance(owner, int) else {})}
    data = {"import": batch.run_id}
    if wanted.entity == "account":
        return accounts.create(session, actor, given)
    if wanted.entity == "contact":
        account = values.get("account_id")
        return contacts.create(session, actor, {**given, **({"account_id": account} if isinstance(account, int) else {})})
    if wanted.entity in ("product", "campaign"):
        return records.create(
            session, actor, wanted.entity, given if wanted.entity == "campaign" else {"name": wanted.name}, event_data=data
        )
    return _logged(session, actor, wanted.entity, _lookup(session, wanted, values, batch), data)


def _logged(session: Session, actor: Actor, entity_key: str, record: Record, data: dict[str, Any]) -> Record:
    session.add(record)
    session.flush()
    events.record(session, actor, f"{entity_key}.created", record, data=data)
    session.flush()
    if isinstance(record, User):
        session.add(UserClosure(ancestor_id=record.id or 0, descendant_id=record.id or 0, depth=0))
        session.flush()
    return record


def _lookup(session: Session, wanted: ToCreate, values: dict[str, Any], batch: "Batch") -> Record:
    if wanted.entity == "team":
        return Team(name=wanted.name, office=wanted.name if "office" in fold(wanted.header) else None)
    if wanted.entity == "product_category":
        return ProductCategory(name=wanted.name)
    if wanted.entity == "user":
        return _person(wanted, values, batch)
    return _stage(session, wanted, values)


def _person(wanted: ToCreate, values: dict[str, Any], batch: "Batch") -> User:
    """A manager who is named but has no row of their own. The team is that of the first who names them."""
    from crm_core.services.admin.imports.kinds.people import People

    kind = batch.kind
    assert isinstance(kind, People)
    email = kind.address(wanted.name)
    kind.taken.add(email)
    team = values.get("team_id")
    return User(name=wanted.name, email=email, email_key=email, team_id=team if isinstance(team, int) else None)


def _stage(session: Session, wanted: ToCreate, values: dict[str, Any]) -> Stage:
    """A new open stage, before the closing ones of its pipeline."""
    pipeline = values["pipeline_id"]
    stages = list(session.exec(model_select(Stage).where(Stage.pipeline_id == pipeline).order_by(col(Stage.position))))
    place = next((stage.position for stage in stages if stage.kind is not StageKind.OPEN), len(stages))
    session.execute(
        update(Stage)
        .where(col(Stage.pipeline_id) == pipeline, col(Stage.position) >= place)
        .values(position=Stage.position + 1, version=Stage.version + 1)
    )
    return Stage(
        pipeline_id=pipeline,
        name=wanted.name[:80],
        kind=StageKind.OPEN,
        position=place,
        probability_pct=NEW_STAGE_PCT,
        forecast_category=ForecastCategory.PIPELINE,
    )


__all__ = ["create", "find", "ids_of"]
