"""What analyses leave behind: runs with their parameters and evidence, the tables of a run, and the published value per record."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import Index, LargeBinary, Text, UniqueConstraint
from sqlmodel import Field

from crm_core.models.base import Base, Json, Record, choice_type, table_args
from crm_core.vocabulary import Reliance, RunState


class AnalysisRun(Record, table=True):
    """One row per analysis that somebody asked for: with what, over whose rows, of which day, and what came out.

    ``key`` is what makes two questions the same (kind, parameters, scope, day, versions of the tables and of the code); ``scope`` is the
    fingerprint of what the asker could see, which a reader must equal. ``data_versions`` are those of the tables when it was asked for.
    """

    __tablename__ = "analysis_run"
    __table_args__ = table_args(
        UniqueConstraint("key", name="uq_analysis_run_key"), Index("ix_analysis_run_find", "kind", "scope", "state", "id")
    )
    kind: str = Field(max_length=40)
    name: str = Field(default="", max_length=120)
    params: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    key: str = Field(max_length=80)
    scope: str = Field(max_length=64)
    data_versions: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    as_of: date
    code_version: str = Field(max_length=60)
    requested_by: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL", index=True)
    state: RunState = Field(default=RunState.QUEUED, sa_type=choice_type(RunState))
    job_id: str = Field(default="", max_length=200)
    verdict: str = Field(default="", sa_type=Text)
    reliable: Reliance | None = Field(default=None, sa_type=choice_type(Reliance))
    result: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    warnings: list[Any] = Field(default_factory=list, sa_type=Json, nullable=False)
    started_at: datetime | None = None
    finished_at: datetime | None = None
    published_at: datetime | None = None
    archived_at: datetime | None = None


class AnalysisTable(Base, table=True):
    """One row per table of a run, as compressed Arrow; read only when it is shown."""

    __tablename__ = "analysis_table"
    __table_args__ = table_args(UniqueConstraint("run_id", "name", name="uq_analysis_table_name"))
    id: int = Field(default=None, primary_key=True)
    run_id: int = Field(foreign_key="analysis_run.id", ondelete="CASCADE")
    name: str = Field(max_length=60)
    rows: int
    data: bytes = Field(sa_type=LargeBinary)


class AnalysisMark(Base, table=True):
    """One row per record and kind of mark (cluster, persona, risk, score, next offer): the value that was published last."""

    __tablename__ = "analysis_mark"
    __table_args__ = table_args(
        UniqueConstraint("kind", "entity", "record_id", name="uq_analysis_mark_record"),
        Index("ix_analysis_mark_number", "kind", "entity", "number", "record_id"),
        Index("ix_analysis_mark_label", "kind", "entity", "label", "record_id"),
        Index("ix_analysis_mark_run", "run_id"),
    )
    id: int = Field(default=None, primary_key=True)
    kind: str = Field(max_length=40)
    entity: str = Field(max_length=40)
    record_id: int
    number: float | None = None
    label: str = Field(default="", max_length=200)
    detail: dict[str, Any] = Field(default_factory=dict, sa_type=Json, nullable=False)
    run_id: int | None = Field(default=None, foreign_key="analysis_run.id", ondelete="SET NULL")
    at: datetime


class ProductSuggestion(Base, table=True):
    """One row per suggested product that somebody took or turned down on a record: how often a rule is right in practice."""

    __tablename__ = "product_suggestion"
    __table_args__ = table_args(
        UniqueConstraint("entity", "record_id", "product_id", name="uq_product_suggestion_record"),
        Index("ix_product_suggestion_rule", "because_id", "product_id", "at"),
    )
    id: int = Field(default=None, primary_key=True)
    entity: str = Field(max_length=40)
    record_id: int
    product_id: int = Field(foreign_key="product.id", ondelete="CASCADE")
    because_id: int | None = Field(default=None, foreign_key="product.id", ondelete="CASCADE")
    run_id: int | None = Field(default=None, foreign_key="analysis_run.id", ondelete="SET NULL")
    user_id: int | None = Field(default=None, foreign_key="app_user.id", ondelete="SET NULL")
    taken: bool
    at: datetime
