"""views that teams see, that people keep at hand, and that lists of people or roles open with; leads by status have an index

Revision ID: 0054
Revises: 0053
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0054"
down_revision = "0053"
branch_labels = None
depends_on = None

LINKS = {"view_id": "saved_view", "team_id": "team", "user_id": "app_user", "role_id": "role"}
TABLES = {
    "view_team": (("view_id", False), ("team_id", False)),
    "view_pin": (("user_id", False), ("view_id", False)),
    "view_default": (("view_id", False), ("user_id", True), ("role_id", True)),
}
ONCE = {"view_team": [("view_id", "team_id")], "view_pin": [("user_id", "view_id")], "view_default": [("entity", "user_id"), ("entity", "role_id")]}
INDEXED = {"view_team": ["team_id"], "view_pin": ["view_id"], "view_default": ["view_id", "user_id", "role_id"]}
MORE = {
    "view_team": [],
    "view_pin": [lambda: sa.Column("position", sa.Integer(), nullable=False)],
    "view_default": [lambda: sa.Column("entity", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False)],
}


def upgrade() -> None:
    for table, links in TABLES.items():
        op.create_table(
            table,
            sa.Column("id", sa.Integer(), nullable=False),
            sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
            sa.Column("updated_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
            sa.Column("version", sa.Integer(), nullable=False),
            *(sa.Column(column, sa.Integer(), nullable=optional) for column, optional in links),
            *(make() for make in MORE[table]),
            *(
                sa.ForeignKeyConstraint([column], [f"{LINKS[column]}.id"], name=op.f(f"fk_{table}_{column}_{LINKS[column]}"), ondelete="CASCADE")
                for column, _ in links
            ),
            sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
            *(sa.UniqueConstraint(*columns, name=op.f(f"uq_{table}_{'_'.join(columns)}")) for columns in ONCE[table]),
            sqlite_autoincrement=True,
        )
        for column in INDEXED[table]:
            op.create_index(op.f(f"ix_{table}_{column}"), table, [column])
    op.drop_index("ix_lead_status_id", table_name="lead")  # the next one begins with the same column
    op.create_index("ix_lead_status", "lead", ["status_id", "deleted_at", "created_at", "estimated_minor"])


def downgrade() -> None:
    op.drop_index("ix_lead_status", table_name="lead")
    op.create_index("ix_lead_status_id", "lead", ["status_id"])
    for table in reversed(TABLES):
        op.drop_table(table)
