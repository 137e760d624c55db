"""surveys with further questions and kept wordings; who came to booked meetings

Revision ID: 0051
Revises: 0050
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None

INSTANT = sqlmodel.sql.sqltypes.UTCDateTime
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
SURVEY = sa.table("survey", *(sa.column(name) for name in ("id", "question", "follow_up", "updated_at")), sa.column("revision_no"))
REVISION = sa.table(
    "survey_revision", *(sa.column(name) for name in ("created_at", "updated_at", "version", "survey_id", "no")), sa.column("form", JSON)
)  # fmt: skip


def _table(name: str, *items: sa.schema.SchemaItem) -> None:
    op.create_table(
        name,
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT(), nullable=False),
        sa.Column("updated_at", INSTANT(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        *items,
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
        sqlite_autoincrement=True,
    )


def upgrade() -> None:
    _surveys()
    _bookings()


def _surveys() -> None:
    with op.batch_alter_table("survey") as batch:
        batch.add_column(sa.Column("questions", JSON, nullable=False, server_default="[]"))
        batch.add_column(sa.Column("revision_no", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("survey_invitation") as batch:
        batch.add_column(sa.Column("revision_no", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("survey_answer") as batch:
        batch.add_column(sa.Column("completed_at", INSTANT(), nullable=True))
    _table(
        "survey_revision",
        sa.Column("survey_id", sa.Integer(), nullable=False),
        sa.Column("no", sa.Integer(), nullable=False),
        sa.Column("form", JSON, nullable=False),
        sa.UniqueConstraint("survey_id", "no", name="uq_survey_revision"),
        sa.ForeignKeyConstraint(["survey_id"], ["survey.id"], name=op.f("fk_survey_revision_survey_id_survey"), ondelete="CASCADE"),
    )
    _table(
        "survey_reply",
        sa.Column("answer_id", sa.Integer(), nullable=False),
        sa.Column("survey_id", sa.Integer(), nullable=False),
        sa.Column("question", sqlmodel.sql.sqltypes.AutoString(length=20), nullable=False),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["answer_id"], ["survey_answer.id"], name=op.f("fk_survey_reply_answer_id_survey_answer"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["survey_id"], ["survey.id"], name=op.f("fk_survey_reply_survey_id_survey"), ondelete="CASCADE"),
    )
    op.create_index("ix_survey_reply_answer_id", "survey_reply", ["answer_id"])
    op.create_index("ix_survey_reply_survey", "survey_reply", ["survey_id", "question"])
    _first_wordings()


def _first_wordings() -> None:
    """What surveys ask now is the wording of everybody who was invited so far; every answer so far was whole."""
    connection = op.get_bind()
    for row in connection.execute(sa.select(SURVEY)).all():
        form = {"question": row.question, "follow_up": row.follow_up, "questions": []}
        values = {"created_at": row.updated_at, "updated_at": row.updated_at, "version": 1, "survey_id": row.id, "no": 1, "form": form}
        connection.execute(sa.insert(REVISION).values(**values))
    op.execute("update survey set revision_no = 1")
    op.execute("update survey_invitation set revision_no = 1")
    op.execute("update survey_answer set completed_at = at")


def _bookings() -> None:
    with op.batch_alter_table("booking") as batch:
        for name in ("marked_at", "asked_at", "again_at"):
            batch.add_column(sa.Column(name, INSTANT(), nullable=True))
        batch.add_column(sa.Column("marked_by_id", sa.Integer(), nullable=True))
        batch.create_foreign_key(op.f("fk_booking_marked_by_id_app_user"), "app_user", ["marked_by_id"], ["id"], ondelete="SET NULL")
    where = sa.text("marked_by_id IS NOT NULL")
    op.create_index("ix_booking_marked_by_id", "booking", ["marked_by_id"], sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    op.execute("update booking set state = 'booked' where state in ('attended', 'no_show')")
    op.drop_index("ix_booking_marked_by_id", "booking")
    with op.batch_alter_table("booking") as batch:
        batch.drop_constraint(op.f("fk_booking_marked_by_id_app_user"), type_="foreignkey")
        for name in ("marked_at", "asked_at", "again_at", "marked_by_id"):
            batch.drop_column(name)
    for table in ("survey_reply", "survey_revision"):
        op.drop_table(table)
    with op.batch_alter_table("survey_answer") as batch:
        batch.drop_column("completed_at")
    with op.batch_alter_table("survey_invitation") as batch:
        batch.drop_column("revision_no")
    with op.batch_alter_table("survey") as batch:
        batch.drop_column("revision_no")
        batch.drop_column("questions")
