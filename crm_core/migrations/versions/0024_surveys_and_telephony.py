"""surveys with their invitations and answers; telephone menus and calls

Revision ID: 0024
Revises: 0023
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

INSTANT = sqlmodel.sql.sqltypes.UTCDateTime
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
GRANTS = (
    *((role, area, action) for role in ("administrator", "manager") for area in ("survey", "telephony") for action in ("read", "manage")),
    *(("marketer", "survey", action) for action in ("read", "manage")),
    *(("support_agent", area, "read") for area in ("survey", "telephony")),
    ("analyst", "survey", "read"),
)  # fmt: skip


def _text(name: str, length: int, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sqlmodel.sql.sqltypes.AutoString(length=length), nullable=nullable)


def _choice(name: str, enum: str, *values: str, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Enum(*values, name=enum, native_enum=False, length=32), nullable=nullable)


def _int(*names: str, nullable: bool = False) -> list[sa.Column]:
    return [sa.Column(name, sa.Integer(), nullable=nullable) for name in names]


def _at(*names: str, nullable: bool = True) -> list[sa.Column]:
    return [sa.Column(name, INSTANT(), nullable=nullable) for name in names]


def _bool(*names: str) -> list[sa.Column]:
    return [sa.Column(name, sa.Boolean(), nullable=False) for name in names]


def _to(table: str, column: str, target: str, ondelete: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}_{target}"), ondelete=ondelete)


def _table(name: str, *items: sa.schema.SchemaItem) -> None:
    op.create_table(
        name,
        *_int("id"),
        *_at("created_at", "updated_at", nullable=False),
        *_int("version"),
        *items,
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
        sqlite_autoincrement=True,
    )


def upgrade() -> None:
    _surveys()
    _telephony()
    for role, area, action in GRANTS:
        op.execute(
            sa.text(
                "insert into role_permission (role_id, entity, action, scope) "
                "select id, :area, :action, 'all' from role where key = :role and not exists (select 1 from role_permission p "
                "where p.role_id = role.id and p.entity = :area and p.action = :action)"
            ).bindparams(role=role, area=area, action=action)
        )


def _surveys() -> None:
    _table(
        "survey",
        _text("name", 80),
        _choice("kind", "surveykind", "csat", "nps", "ces"),
        *(_text(name, length) for name, length in (("question", 300), ("follow_up", 300), ("thanks", 500), ("mail_subject", 200), ("mail_intro", 2000))),
        _choice("trigger", "surveytrigger", "ticket_solved", "deal_won", "order_fulfilled", "quarterly", "manual"),
        sa.Column("filter", JSON, nullable=True),
        *_int("wait_hours", "sample_pct", "cooldown_days", "expires_days", "round_after"),
        *_bool("needs_consent", "is_active"),
        *_int("owner_id", nullable=True),
        _text("base_url", 200),
        _text("round_name", 10),
        *_at("active_since"),
        sa.UniqueConstraint("name", name=op.f("uq_survey_name")),
        _to("survey", "owner_id", "app_user", "SET NULL"),
    )  # fmt: skip
    op.create_index("ix_survey_active", "survey", ["is_active", "trigger"])
    _table(
        "survey_invitation",
        *_int("survey_id", "record_id"),
        _text("dedupe_key", 120),
        _text("entity", 20),
        *_int("contact_id", "account_id", "owner_id", "team_id", nullable=True),
        _text("category", 120, nullable=True),
        *_at("sent_at", "opened_at", "expires_at"),
        _text("skipped", 20),
        sa.UniqueConstraint("dedupe_key", name=op.f("uq_survey_invitation_dedupe_key")),
        _to("survey_invitation", "survey_id", "survey", "CASCADE"),
        _to("survey_invitation", "contact_id", "contact", "SET NULL"),
    )
    op.create_index("ix_survey_invitation_survey", "survey_invitation", ["survey_id", "sent_at"])
    op.create_index("ix_survey_invitation_contact", "survey_invitation", ["contact_id", "sent_at"])
    op.create_index("ix_survey_invitation_record", "survey_invitation", ["entity", "record_id"])
    _table(
        "survey_answer",
        *_int("invitation_id", "survey_id", "score"),
        sa.Column("comment", sa.Text(), nullable=False),
        *_at("at", nullable=False),
        *_at("changed_at", "detractor_at"),
        _choice("way", "surveyway", "mail", "demo"),
        *_int("task_id", nullable=True),
        sa.UniqueConstraint("invitation_id", name=op.f("uq_survey_answer_invitation_id")),
        _to("survey_answer", "invitation_id", "survey_invitation", "CASCADE"),
        _to("survey_answer", "survey_id", "survey", "CASCADE"),
        _to("survey_answer", "task_id", "task", "SET NULL"),
    )
    op.create_index("ix_survey_answer_survey", "survey_answer", ["survey_id", "at", "score"])


def _telephony() -> None:
    _table(
        "voice_menu",
        *(_text(name, length) for name, length in (("name", 80), ("key", 40), ("number", 40), ("language", 12))),
        *_int("calendar_id", "team_id", "owner_id", nullable=True),
        sa.Column("token_sealed", sa.Text(), nullable=False),
        sa.Column("flow", JSON, nullable=False),
        *_int("published_no"),
        *_bool("is_active"),
        sa.UniqueConstraint("name", name=op.f("uq_voice_menu_name")),
        sa.UniqueConstraint("key", name=op.f("uq_voice_menu_key")),
        _to("voice_menu", "calendar_id", "service_calendar", "SET NULL"),
        _to("voice_menu", "team_id", "team", "SET NULL"),
        _to("voice_menu", "owner_id", "app_user", "SET NULL"),
    )
    _table(
        "voice_version",
        *_int("menu_id", "no"),
        sa.Column("flow", JSON, nullable=False),
        *_int("by_id", nullable=True),
        sa.UniqueConstraint("menu_id", "no", name="uq_voice_version"),
        _to("voice_version", "menu_id", "voice_menu", "CASCADE"),
        _to("voice_version", "by_id", "app_user", "SET NULL"),
    )
    _table(
        "voice_call",
        *_int("menu_id", "version_no", "turn", "tries"),
        *(_text(name, length) for name, length in (("call_sid", 64), ("caller", 40), ("caller_key", 40), ("node", 20), ("recording_url", 500))),
        *_int("contact_id", "activity_id", "ticket_id", "task_id", "owner_id", "seconds", nullable=True),
        sa.Column("steps", JSON, nullable=False),
        _choice("outcome", "callend", "queued", "callback", "voicemail", "informed", "abandoned", nullable=True),
        *_at("started_at", nullable=False),
        *_at("ended_at"),
        sa.UniqueConstraint("menu_id", "call_sid", name="uq_voice_call"),
        _to("voice_call", "menu_id", "voice_menu", "CASCADE"),
        *(_to("voice_call", f"{target}_id", target, "SET NULL") for target in ("contact", "activity", "ticket", "task")),
    )  # fmt: skip
    op.create_index("ix_voice_call_list", "voice_call", ["started_at"])
    op.create_index("ix_voice_call_contact", "voice_call", ["contact_id", "started_at"])


def downgrade() -> None:
    op.execute("delete from role_permission where entity in ('survey', 'telephony')")
    for table in ("voice_call", "voice_version", "voice_menu", "survey_answer", "survey_invitation", "survey"):
        op.drop_table(table)
