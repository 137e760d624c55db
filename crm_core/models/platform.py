"""What the product itself keeps: events, saved views, imports, custom fields, versions, summaries, workers."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Index, Text, UniqueConstraint, text
from sqlmodel import Field

from crm_core.models.base import Base, Json, Record, choice_type, table_args
from crm_core.vocabulary import FieldKind, HaltKind, ImportState, ReadWay, RowOutcome, StageKind, Via, Visibility


class Event(Base, table=True):
    """One row per thing that happened to a record: the log that timeline, audit, automations and caches read. Append-only."""

    __tablename__ = "event_log"
    __table_args__ = table_args(
        Index("ix_event_log_record", "entity", "record_id", "id"),
        Index("ix_event_log_account", "account_id", "id"),
        Index("ix_event_log_at", "at"),
        Index("ix_event_log_actor", "actor_id", "id"),
        Index("ix_event_log_type", "type", "at", "record_id"),
    )
    id: int = Field(default=None, primary_key=True)
    type: str = Field(max_length=60)
    entity: str = Field(max_length=40)
    record_id: int
    record_version: int = 1
    account_id: int | None = None
    at: datetime
    actor_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
    via: Via = Field(default=Via.SCREEN, sa_type=choice_type(Via))
    changes: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    data: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    cause_id: int | None = None
    depth: int = 0


class AuditSeal(Base, table=True):
    """One row per sealed run of events: the hash chains to the seal before it, so that a later edit of the log shows. Once the
    retention took some of its events, ``kept_…`` seal those that are left."""

    __tablename__ = "audit_seal"
    id: int = Field(default=None, primary_key=True)
    first_id: int
    last_id: int
    count: int
    previous: str = Field(max_length=64)
    sha256: str = Field(max_length=64)
    at: datetime
    kept_count: int | None = None
    kept_sha256: str | None = Field(default=None, max_length=64)
    trimmed_at: datetime | None = None


class PersonalRead(Base, table=True):
    """One row per person, record and quarter of an hour in which its personal data was looked at (``slot``: which one), and one per list that
    went out (``ids``: ``,1,2,3,``). No foreign key to the record: what was looked at stays noted."""

    __tablename__ = "personal_read"
    __table_args__ = table_args(
        UniqueConstraint("user_id", "entity", "record_id", "way", "slot", name="uq_personal_read"),
        Index("ix_personal_read_record", "entity", "record_id", "at"),
        Index("ix_personal_read_at", "at"),
    )
    id: int = Field(default=None, primary_key=True)
    at: datetime
    slot: int
    user_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
    entity: str = Field(max_length=40)
    record_id: int | None = None
    way: ReadWay = Field(sa_type=choice_type(ReadWay))
    via: Via = Field(default=Via.SCREEN, sa_type=choice_type(Via))
    count: int = 1
    ids: str | None = Field(default=None, sa_type=Text)
    words: str = Field(default="", max_length=200)


class AuditPolicy(Record, table=True):
    """One row: whether looks at personal data are noted, and for how many months each part of the trail is kept (None: for ever)."""

    __tablename__ = "audit_policy"
    log_reads: bool = True
    keep_reads_months: int | None = 12
    keep_signins_months: int | None = None
    keep_settings_months: int | None = None
    keep_values_months: int | None = None
    redacted_until: int = 0


class Halt(Record, table=True):
    """One row per time that all automations or all outgoing mail were stopped by a person; it holds until ``ended_at``. ``kept``: whether what came
    meanwhile was worked off then; ``outcome``: how much of what there was."""

    __table_args__ = table_args(
        Index(
            "uq_halt_open", "kind", unique=True, sqlite_where=text("ended_at is null"), postgresql_where=text("ended_at is null")
        ),
    )
    kind: HaltKind = Field(sa_type=choice_type(HaltKind))
    reason: str = Field(default="", max_length=300)
    at: datetime
    by_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
    ended_at: datetime | None = None
    ended_by_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
    kept: bool = True
    outcome: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)


class SavedView(Record, table=True):
    """One row per named list view: how it is laid out, columns, sort, filter."""

    __tablename__ = "saved_view"
    __table_args__ = table_args(UniqueConstraint("entity", "owner_id", "name", name="uq_saved_view_name"))
    entity: str = Field(max_length=40, index=True)
    name: str = Field(max_length=80)
    owner_id: int = Field(foreign_key="app_user.id", ondelete="CASCADE")
    visibility: Visibility = Field(default=Visibility.PRIVATE, sa_type=choice_type(Visibility))
    layout: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    is_default: bool = False


class ViewTeam(Record, table=True):
    """One row per team that sees a saved view which is not everybody's."""

    __tablename__ = "view_team"
    __table_args__ = table_args(UniqueConstraint("view_id", "team_id"))
    view_id: int = Field(foreign_key="saved_view.id", ondelete="CASCADE")
    team_id: int = Field(foreign_key="team.id", ondelete="CASCADE", index=True)


class ViewPin(Record, table=True):
    """One row per saved view that a person keeps at hand, in the person's own order."""

    __tablename__ = "view_pin"
    __table_args__ = table_args(UniqueConstraint("user_id", "view_id"))
    user_id: int = Field(foreign_key="app_user.id", ondelete="CASCADE")
    view_id: int = Field(foreign_key="saved_view.id", ondelete="CASCADE", index=True)
    position: int = 0


class ViewDefault(Record, table=True):
    """One row per person or role whose list opens with a view that is not their own."""

    __tablename__ = "view_default"
    __table_args__ = table_args(UniqueConstraint("entity", "user_id"), UniqueConstraint("entity", "role_id"))
    entity: str = Field(max_length=40)
    view_id: int = Field(foreign_key="saved_view.id", ondelete="CASCADE", index=True)
    user_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="CASCADE", index=True)
    role_id: int | None = Field(default=None, foreign_key="role.id", ondelete="CASCADE", index=True)


class ImportRun(Record, table=True):
    """One row per imported file, from upload to done or undone."""

    __tablename__ = "import_run"
    entity: str = Field(max_length=40)
    state: ImportState = Field(default=ImportState.UPLOADED, sa_type=choice_type(ImportState))
    file_name: str = Field(max_length=300)
    file_sha256: str = Field(default="", max_length=64)
    file_path: str = Field(default="", max_length=500)
    header_hash: str = Field(default="", max_length=64, index=True)
    options: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    mapping: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    report: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    total_rows: int = 0
    done_rows: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    message: str = Field(default="", max_length=1000)
    user_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
    finished_at: datetime | None = None


class ImportRow(Base, table=True):
    """One row per row of an imported file with its outcome; ``before`` is what an undo puts back."""

    __tablename__ = "import_row"
    __table_args__ = table_args(
        UniqueConstraint("run_id", "n", name="uq_import_row"),
        Index("ix_import_row_outcome", "run_id", "outcome", "n"),
        Index("ix_import_row_record", "run_id", "record_id"),
    )
    id: int = Field(default=None, primary_key=True)
    run_id: int = Field(foreign_key="import_run.id", ondelete="CASCADE")
    n: int
    outcome: RowOutcome = Field(sa_type=choice_type(RowOutcome))
    record_id: int | None = None
    record_version: int | None = None
    raw: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    before: dict[str, Any] | None = Field(default=None, sa_type=Json)
    errors: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)


class ImportLink(Base, table=True):
    """One row per record that an import created on the way because a row named it (an account, a team, a stage): an undo takes it back too."""

    __tablename__ = "import_link"
    __table_args__ = table_args(Index("ix_import_link_run", "run_id", "entity", "record_id"))
    id: int | None = Field(default=None, primary_key=True)
    run_id: int = Field(foreign_key="import_run.id", ondelete="CASCADE")
    entity: str = Field(max_length=40)
    record_id: int
    record_version: int = 1


class ImportMapping(Record, table=True):
    """One row per remembered matching of a header line to fields."""

    __tablename__ = "import_mapping"
    __table_args__ = table_args(UniqueConstraint("entity", "header_hash", name="uq_import_mapping"))
    entity: str = Field(max_length=40)
    header_hash: str = Field(max_length=64)
    mapping: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)


class CustomField(Record, table=True):
    """One row per field that an administrator added to an entity; its values lie in the entity's ``extra``."""

    __tablename__ = "custom_field"
    __table_args__ = table_args(UniqueConstraint("entity", "key", name="uq_custom_field_key"))
    entity: str = Field(max_length=40)
    key: str = Field(max_length=60)
    label: str = Field(max_length=120)
    kind: FieldKind = Field(sa_type=choice_type(FieldKind))
    options: list[Any] = Field(default_factory=list, sa_type=Json, nullable=False)
    required: bool = False
    pii: bool = False
    filterable: bool = True
    position: int = 0
    section: str = Field(default="", max_length=80)
    help: str = Field(default="", max_length=300)
    active: bool = True


class PickOption(Record, table=True):
    """One row per value of an editable list, such as industries or lost reasons."""

    __tablename__ = "pick_option"
    __table_args__ = table_args(UniqueConstraint("entity", "field_key", "value", name="uq_pick_option"))
    entity: str = Field(max_length=40)
    field_key: str = Field(max_length=60)
    value: str = Field(max_length=120)
    position: int = 0
    active: bool = True


class TableVersion(Base, table=True):
    """One row per table: a counter that every writing transaction raises; caches use it as their key."""

    __tablename__ = "table_version"
    name: str = Field(primary_key=True, max_length=60)
    version: int = 0


class SubmitKey(Base, table=True):
    """One row per submitted form: the key that turns a second click on Save into the first one's result."""

    __tablename__ = "submit_key"
    key: str = Field(primary_key=True, max_length=64)
    at: datetime = Field(index=True)
    result: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)


class SearchDocument(Base, table=True):
    """One row per searchable record: its folded text. The full-text index of each database hangs on this table."""

    __tablename__ = "search_document"
    __table_args__ = table_args(UniqueConstraint("entity", "record_id", name="uq_search_document"))
    id: int = Field(default=None, primary_key=True)
    entity: str = Field(max_length=40)
    record_id: int
    text: str


class DealDaily(Base, table=True):
    """One row per closing day, owner, pipeline and outcome of closed deals: the summary that the KPI pages read."""

    __tablename__ = "deal_daily"
    __table_args__ = table_args(Index("ix_deal_daily_day", "day"))
    id: int = Field(default=None, primary_key=True)
    day: date
    owner_id: int | None = None
    pipeline_id: int | None = None
    product_id: int | None = None
    source: str | None = Field(default=None, max_length=120)
    outcome: StageKind = Field(sa_type=choice_type(StageKind))
    deals: int
    amount_minor: int = Field(sa_type=BigInteger)
    cycle_days: int = Field(default=0, sa_type=BigInteger)
    with_cycle: int = 0


class OrderDaily(Base, table=True):
    """One row per day, owner and source of placed and fulfilled orders."""

    __tablename__ = "order_daily"
    __table_args__ = table_args(Index("ix_order_daily_day", "day", "owner_id", "source", "orders", "revenue_minor"))
    id: int = Field(default=None, primary_key=True)
    day: date
    owner_id: int | None = None
    source: str | None = Field(default=None, max_length=120)
    orders: int
    revenue_minor: int = Field(sa_type=BigInteger)


class SaleDaily(Base, table=True):
    """One row per day, owner and product category of sold order lines."""

    __tablename__ = "sale_daily"
    __table_args__ = table_args(Index("ix_sale_daily_day", "day"))
    id: int = Field(default=None, primary_key=True)
    day: date
    owner_id: int | None = None
    category_id: int | None = None
    lines: int
    revenue_minor: int = Field(sa_type=BigInteger)


class ProductDaily(Base, table=True):
    """One row per day and product that was sold on it, whoever owns the orders: thousandths of a piece, so that days add up exactly."""

    __tablename__ = "product_daily"
    __table_args__ = table_args(
        Index("ix_product_daily_product", "product_id", "day", "orders", "quantity_milli", "revenue_minor"),
        Index("ix_product_daily_day", "day"),
    )
    id: int = Field(default=None, primary_key=True)
    day: date
    product_id: int
    orders: int
    quantity_milli: int = Field(sa_type=BigInteger)
    revenue_minor: int = Field(sa_type=BigInteger)


class TicketDaily(Base, table=True):
    """One row per day and owner of tickets: what ``crm_core.ticket_measures`` counts by the days on which they were opened, solved, first solved
    and rated. Durations are every number of minutes, with commas between them, since a median needs each."""

    __tablename__ = "ticket_daily"
    __table_args__ = table_args(Index("ix_ticket_daily_day", "day"))
    id: int = Field(default=None, primary_key=True)
    day: date
    owner_id: int | None = None
    response_minutes: str | None = Field(default=None, sa_type=Text)
    response_work: str | None = Field(default=None, sa_type=Text)
    response_promised: int = 0
    response_kept: int = 0
    resolution_promised: int = 0
    resolution_kept: int = 0
    came: int = 0
    resolution_minutes: str | None = Field(default=None, sa_type=Text)
    resolution_work: str | None = Field(default=None, sa_type=Text)
    went: int = 0
    first_solved: int = 0
    reopened: int = 0
    answered_solved: int = 0
    first_contact: int = 0
    rated: int = 0
    satisfied: int = 0


class SummaryDirty(Base, table=True):
    """One row per write that touched a day of a summary; reads take such days from the records themselves until a refresh computed them.

    Append-only on purpose: a shared row per day would line up writers on PostgreSQL, and a refresh could clear the mark of a write
    that it did not see yet. ``from_at`` and ``until_at`` bound the day in the workspace's time zone (for summaries over instants).
    """

    __tablename__ = "summary_dirty"
    __table_args__ = table_args(Index("ix_summary_dirty_day", "summary", "day"))
    id: int | None = Field(default=None, primary_key=True)
    summary: str = Field(max_length=40)
    day: date
    from_at: datetime
    until_at: datetime


class JobRun(Base, table=True):
    """One row per background job beside the job engine's own: who asked, how far it is, and the cursor from which it goes on.

    ``attempt`` rises with every start and fences off an earlier one that was thought dead; ``progress_attempt`` is the attempt that last
    moved the cursor.
    """

    __tablename__ = "job_run"
    job_id: str = Field(primary_key=True, max_length=200)
    name: str = Field(max_length=120, index=True)
    title: str = Field(default="", max_length=200)
    user_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL", index=True)
    attempt: int = 0
    progress_attempt: int = 0
    done: int = Field(default=0, sa_type=BigInteger)
    total: int | None = Field(default=None, sa_type=BigInteger)
    message: str = Field(default="", max_length=1000)
    cursor: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    created_at: datetime
    updated_at: datetime


class WorkerHeartbeat(Base, table=True):
    """One row per worker process, with the instant of its last sign of life."""

    __tablename__ = "worker_heartbeat"
    executor_id: str = Field(primary_key=True, max_length=80)
    started_at: datetime
    seen_at: datetime


class BackupRun(Base, table=True):
    """One row per backup, with what it holds and whether it was verified."""

    __tablename__ = "backup_run"
    id: int = Field(default=None, primary_key=True)
    at: datetime
    path: str = Field(max_length=500)
    size_bytes: int = Field(sa_type=BigInteger)
    seconds: float
    verified: bool
    message: str = Field(default="", max_length=500)


class BulkOperation(Record, table=True):
    """One row per bulk change, with the inverse patch that undoes it for a day."""

    __tablename__ = "bulk_operation"
    entity: str = Field(max_length=40)
    user_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
    title: str = Field(max_length=200)
    count: int = 0
    inverse: list[Any] = Field(default_factory=list, sa_type=Json, nullable=False)
    undone_at: datetime | None = None
