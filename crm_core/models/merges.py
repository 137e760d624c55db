"""Records that became one, and pairs that look as if they should."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from crm_core.models.base import Json, Record, choice_type, table_args
from crm_core.vocabulary import PairState


class RecordMerge(Record, table=True):
    """One row per contact, account or lead that went into another one, with all that is needed to take them apart. ``snapshot``: both records as they
    were, and what the merge wrote (field → [before, after]); ``moved``: which rows of which table came along."""

    __tablename__ = "record_merge"
    __table_args__ = table_args(
        Index("ix_record_merge_loser", "entity", "loser_id"), Index("ix_record_merge_survivor", "entity", "survivor_id", "id")
    )
    entity: str = Field(max_length=20)
    survivor_id: int
    loser_id: int
    snapshot: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    moved: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    by_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
    undone_at: datetime | None = None


class DuplicatePair(Record, table=True):
    """One row per pair of records of one kind that may be the same (``first_id`` is the smaller number). ``score`` 0–1, ``reasons``: keys of what they have
    in common; ``rank``: score × what the records are worth, by which the list is sorted; ``scan``: number of the last scan that found them."""

    __tablename__ = "duplicate_pair"
    __table_args__ = table_args(
        UniqueConstraint("entity", "first_id", "second_id", name="uq_duplicate_pair"),
        Index("ix_duplicate_pair_second", "entity", "second_id"),
        Index("ix_duplicate_pair_list", "entity", "state", "rank", "id"),
    )
    entity: str = Field(max_length=20)
    first_id: int
    second_id: int
    state: PairState = Field(default=PairState.OPEN, sa_type=choice_type(PairState))
    score: float = 0
    rank: float = 0
    reasons: list[Any] = Field(default_factory=list, sa_type=Json, nullable=False)
    scan: int = 0
    by_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
    decided_at: datetime | None = None
