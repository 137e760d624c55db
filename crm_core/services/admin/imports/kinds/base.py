"""What an importer of one kind of record may say about itself; the defaults suit most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlmodel import Session

from crm_core.access import Actor, require
from crm_core.fields import FieldSpec
from crm_core.vocabulary import Action

if TYPE_CHECKING:
    from crm_core.services.admin.imports.batch import Batch


class RowRefused(Exception):
    """The row can't be taken: field key → sentence."""

    def __init__(self, **errors: str) -> None:
        super().__init__(" ".join(errors.values()))
        self.errors = errors


@dataclass(frozen=True)
class ToCreate:
    """A linked record that does not exist yet; it is created when the row turns out to be good."""

    entity: str
    name: str
    header: str


@dataclass
class Written:
    """A row that was written: its record's columns as they are now, and before (empty when created). ``given``: what the file said."""

    n: int
    id: int
    columns: dict[str, Any]
    old: dict[str, Any] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)
    event_type: str = ""
    event_data: dict[str, Any] = field(default_factory=dict)


class Kind:
    """The importer of one entity."""

    entity: str = ""
    extra: tuple[FieldSpec, ...] = ()
    """Things to import into that are no field of the record itself, such as a second phone number."""
    opened: frozenset[str] = frozenset()
    """Read-only fields that a file may set because the past can't be entered otherwise."""
    closed: frozenset[str] = frozenset()
    """Fields that follow from others and are not offered."""
    synonyms: Mapping[str, tuple[str, ...]] = {}
    """Field key → other names of the column."""
    match: tuple[tuple[str, ...], ...] = ()
    """Keys by which a record is recognised, best first."""
    unique: frozenset[str] = frozenset()
    """Fields whose value the database allows once."""
    templates: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Field → targets whose columns make up its value when no column is matched with it."""
    tables: tuple[str, ...] = ()
    """Further tables that are written beside the record's own."""
    notes: tuple[str, ...] = ()
    """Rules that people should know before they run the import."""

    def require(self, actor: Actor, action: Action = Action.IMPORT) -> None:
        """Raise NotPermitted unless the actor may import (or create, edit) such records."""
        require(actor, self.entity, action)

    def satisfied(self, given: frozenset[str]) -> frozenset[str]:
        """Required fields that the importer fills by itself, given the fields that the plan feeds."""
        return frozenset()

    def begin(self, batch: "Batch") -> None:
        """Load what the whole batch needs."""

    def fill(self, batch: "Batch", values: dict[str, Any], old: Any | None) -> None:
        """Derive what follows from the values of a row, in place. ``old``: the record that it updates. Raises RowRefused."""

    def wrote(self, batch: "Batch", created: Sequence[Written], updated: Sequence[Written]) -> None:
        """Write what hangs on the records. Runs in the same savepoint."""

    def name_change(self, row: Written) -> None:
        """Give an update that means more than changed fields its event, in place. Runs before it is written."""

    def also(self, created: Sequence[Written]) -> list[Written]:
        """Further events of records that were created: each as a row whose ``event_type`` says what."""
        return []

    def finished(self, batch: "Batch") -> None:
        """After the last row."""

    def restored(self, session: Session, actor: Actor, ids: Sequence[int]) -> dict[int, str]:
        """Let what hangs on records follow the old values that an undo gave them back. Record → what could not follow, in words."""
        return {}
