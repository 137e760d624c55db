"""Groups of customers under a name, and who belongs to them since when."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, text
from sqlmodel import Field

from crm_core.models.base import Base, Customisable, Json, choice_type, field, table_args
from crm_core.vocabulary import FieldKind, MembershipReason, SegmentKind, SegmentOf, Visibility


class Segment(Customisable, table=True):
    """One row per segment. A live one has a ``rule`` (filter grammar) that its owner's eyes evaluate; a static one is a kept list.

    ``member_count`` counts all members, whoever may see them: show a person only what ``segments`` counts for that person. ``progress`` is
    where keeping it up to date stands: versions of the tables read, the last event seen, why it stopped; ``drift`` how it stands
    against the run that it came from (see ``segment_drift``).
    """

    __table_args__ = table_args(Index("ix_segment_list", "deleted_at", "name"))
    name: str = field("Name", required=True, max_length=120)
    entity: SegmentOf = field("Of", enum=SegmentOf, default=SegmentOf.CONTACT, editable=False)
    kind: SegmentKind = field("Kind", enum=SegmentKind, default=SegmentKind.LIVE, editable=False)
    visibility: Visibility = field("Seen by", enum=Visibility, default=Visibility.SHARED)
    owner_id: int | None = field("Owner", to="user")
    counted_at: datetime | None = field("As of", FieldKind.DATETIME, editable=False)
    description: str | None = field("Description", FieldKind.LONG_TEXT)
    rule: dict[str, Any] | None = Field(default=None, sa_type=Json)
    source: dict[str, Any] | None = Field(default=None, sa_type=Json)
    progress: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    drift: dict[str, Any] | None = Field(default=None, sa_type=Json)
    member_count: int = 0


class SegmentMember(Base, table=True):
    """One row per stay of a record in a segment; ``left_at`` is empty while it lasts. Who comes back gets a new row."""

    __tablename__ = "segment_member"
    __table_args__ = table_args(
        Index(
            "uq_segment_member_open",
            "segment_id",
            "record_id",
            unique=True,
            sqlite_where=text("left_at is null"),
            postgresql_where=text("left_at is null"),
        ),
        Index("ix_segment_member_history", "segment_id", "entered_at", "left_at"),
        Index("ix_segment_member_record", "record_id", "segment_id"),
    )
    id: int | None = Field(default=None, primary_key=True)
    segment_id: int = Field(foreign_key="segment.id", ondelete="CASCADE")
    record_id: int
    entered_at: datetime
    left_at: datetime | None = None
    reason: MembershipReason = Field(default=MembershipReason.RULE, sa_type=choice_type(MembershipReason))
