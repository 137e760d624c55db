"""What every table shares: keys, instants, optimistic version, soft delete, and how a column describes itself to people.

A column made with ``field(...)`` carries its label, kind and privacy mark in ``Column.info``; the field registry reads them from
there, so that forms, lists, filters, import and export all know a column from the one place where it is defined.
"""

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, ClassVar

from pydantic import ConfigDict
from sqlalchemy import JSON, BigInteger, Date, Enum, MetaData, Table, Text, event, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapper, declared_attr, registry
from sqlmodel import Field, SQLModel

from crm_core.kit.clock import utcnow
from crm_core.kit.text import sort_key
from crm_core.vocabulary import Choice, FieldKind

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

Json = JSON().with_variant(JSONB(), "postgresql")


class Base(SQLModel, registry=registry(metadata=MetaData(naming_convention=NAMING))):
    """Root of all tables, with a registry of its own (a second import of the models then harms nothing)."""

    model_config = ConfigDict(defer_build=True)  # type: ignore[assignment]  # tables don't validate: no validator until one is asked for


def choice_type(enum: type[Choice]) -> Enum:
    """A portable enumeration: stores the value as text, no native type, no CHECK (both break on a new member)."""
    return Enum(enum, native_enum=False, create_constraint=False, length=32, values_callable=lambda e: [m.value for m in e])


_SA_TYPES: dict[FieldKind, Any] = {
    FieldKind.LONG_TEXT: Text(),
    FieldKind.MONEY: BigInteger(),
    FieldKind.DATE: Date(),
}
_LENGTHS = {FieldKind.TEXT: 300, FieldKind.EMAIL: 254, FieldKind.PHONE: 64, FieldKind.URL: 500, FieldKind.PICK: 120}


def field(
    label: str,
    kind: FieldKind = FieldKind.TEXT,
    *,
    default: Any = ...,
    enum: type[Choice] | None = None,
    to: str | None = None,
    pii: bool = False,
    required: bool = False,
    editable: bool = True,
    help: str = "",
    low: float | None = None,
    high: float | None = None,
    index: bool = False,
    max_length: int | None = None,
    ondelete: str | None = None,
    sorted_by: str = "",
    only_with: tuple[str, str] | None = None,
    **kwargs: Any,
) -> Any:
    """A column that the field registry shows to people.

    ``to`` names the referred entity (its table has the same name, ``user`` is ``app_user``); ``low``/``high`` bound a number inclusively;
    ``default=...`` means None unless ``required``. ``sorted_by``: the column (made with ``sort_column``) that lists follow instead of this one.
    ``only_with``: a field and its value; forms ask for this one only beside that answer.
    """
    info: dict[str, Any] = {
        "label": label,
        "kind": FieldKind.CHOICE if enum else FieldKind.REFERENCE if to else kind,
        "enum": enum,
        "to": to,
        "pii": pii,
        "required": required,
        "editable": editable,
        "help": help,
        "low": low,
        "high": high,
        "sorted_by": sorted_by,
        "only_with": only_with,
    }
    if enum is not None:
        kwargs["sa_type"] = choice_type(enum)
    elif to is not None:
        kwargs["foreign_key"] = f"{TABLE_OF.get(to, to)}.id"
        kwargs["ondelete"] = ondelete or ("RESTRICT" if required else "SET NULL")
        index = True
    elif kind in _SA_TYPES:
        kwargs["sa_type"] = _SA_TYPES[kind]
    else:
        kwargs["max_length"] = max_length or _LENGTHS.get(kind)
    if default is ...:
        default = ... if required else None
    if callable(default) and not isinstance(default, StrEnum):
        kwargs["default_factory"] = default
    elif default is not ...:
        kwargs["default"] = default
    return Field(index=index, sa_column_kwargs={"info": info}, **kwargs)


def sort_column(of: str) -> Any:
    """The column that keeps where a row stands in the order of its text ``of`` (``kit.text.sort_key``), so that lists follow an index of plain
    characters, the same on both databases. Written with the text: by ``keep_sorted`` for the mapper, by bulk writers with ``sort_values``."""
    kept = Text().with_variant(Text(collation="C"), "postgresql")
    return Field(default="", sa_type=kept, sa_column_kwargs={"info": {"sorts": of}, "server_default": ""})  # type: ignore[call-overload]


def sort_values(table: Table, row: Mapping[str, Any]) -> dict[str, str]:
    """The values of a table's ``sort_column``s that go with those of ``row``; none for texts that it does not hold."""
    return {key: sort_key(row[of] or "") for key, of in sort_columns(table) if of in row}


@lru_cache(maxsize=256)
def sort_columns(table: Table) -> tuple[tuple[str, str], ...]:
    """The sort columns of a table, each with the text that it follows."""
    return tuple((column.key, column.info["sorts"]) for column in table.c if "sorts" in column.info)


def keep_sorted(models: registry) -> None:
    """Let the mapper write sort columns with their texts."""

    def write(mapper: Mapper[Any], _connection: Any, row: Any) -> None:
        for key, value in sort_values(mapper.local_table, vars(row)).items():  # type: ignore[arg-type]
            setattr(row, key, value)

    for mapper in models.mappers:
        if sort_columns(mapper.local_table):  # type: ignore[arg-type]
            event.listen(mapper, "before_insert", write)
            event.listen(mapper, "before_update", write)


def described(
    label: str, kind: FieldKind = FieldKind.TEXT, *, to: str | None = None, enum: type[Choice] | None = None
) -> dict[str, Any]:
    """Keyword arguments of a column that filters know although no form shows it."""
    kind = FieldKind.CHOICE if enum else FieldKind.REFERENCE if to else kind
    return {"info": {"label": label, "kind": kind, "to": to, "enum": enum, "editable": False}}


TABLE_OF = {"user": "app_user", "order": "sales_order"}


class Record(Base):
    """A row with a key, two instants and an optimistic version that the mapper checks on every update."""

    __table_args__: ClassVar[Any] = {"sqlite_autoincrement": True}

    id: int = Field(default=None, primary_key=True)
    created_at: datetime = Field(
        default_factory=utcnow,
        nullable=False,
        sa_column_kwargs={"info": {"label": "Created", "kind": FieldKind.DATETIME, "editable": False}},
    )
    updated_at: datetime = Field(
        default_factory=utcnow,
        nullable=False,
        sa_column_kwargs={
            "onupdate": utcnow,
            "info": {"label": "Last changed", "kind": FieldKind.DATETIME, "editable": False},
        },
    )
    version: int = Field(default=1, nullable=False)

    @declared_attr.directive
    @classmethod
    def __mapper_args__(cls) -> dict[str, Any]:
        return {"version_id_col": cls.__table__.c.version} if hasattr(cls, "__table__") else {}


class Customisable(Record):
    """A business record: soft delete, and a JSON column for the fields that an administrator adds."""

    deleted_at: datetime | None = Field(default=None, index=True)
    extra: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)


def table_args(*items: Any) -> tuple[Any, ...]:
    """Indexes and constraints of a table, plus never re-used keys on SQLite."""
    return (*items, {"sqlite_autoincrement": True})


def thin_out(metadata: MetaData) -> None:
    """Make indexes as small as their use. One that begins another index goes. One that begins with a reference that may be empty, or stands on a single
    column that may be, holds only rows with a value: a million empty references in it would make SQLite's planner believe that it finds nothing quickly.
    Owners stay whole, as people look for what has none, and so does what says ``info={"whole": True}``: figures add up over all of its rows."""
    for table in metadata.tables.values():
        longer = {next(iter(index.columns)).name for index in table.indexes if len(index.columns) > 1}
        for index in list(table.indexes):
            first, alone = next(iter(index.columns)), len(index.columns) == 1
            if alone and not index.unique and first.name in longer:
                table.indexes.remove(index)
            elif index.unique or first.name == "owner_id" or index.info.get("whole"):
                continue
            elif first.nullable and (alone or first.foreign_keys):
                for dialect in ("sqlite", "postgresql"):
                    index.dialect_options[dialect]["where"] = text(f"{first.name} IS NOT NULL")


__all__ = [
    "Base",
    "Customisable",
    "Json",
    "Record",
    "choice_type",
    "date",
    "described",
    "field",
    "keep_sorted",
    "sort_column",
    "sort_columns",
    "sort_values",
    "table_args",
    "thin_out",
]
