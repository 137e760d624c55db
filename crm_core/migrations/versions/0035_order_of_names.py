"""names are sorted as in an address book, along indexes of a column that keeps each one's place; Æ and Œ are found by what people type for them

Revision ID: 0035
Revises: 0034
"""

import sqlalchemy as sa
from alembic import op

from crm_core.kit.text import sort_key

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

TABLES = ("account", "contact", "lead", "deal", "product")
INDEXES = (
    ("account", "ix_account_list", ["deleted_at", "{}"]),
    ("account", "ix_account_owner", ["owner_id", "deleted_at", "{}"]),
    ("account", "ix_account_name", ["{}"]),
    ("contact", "ix_contact_list", ["deleted_at", "{}"]),
    ("contact", "ix_contact_owner", ["owner_id", "deleted_at", "{}"]),
    ("contact", "ix_contact_name", ["{}"]),
    ("lead", "ix_lead_name", ["{}"]),
    ("deal", "ix_deal_name", ["deleted_at", "{}", "id"]),
    ("product", "ix_product_list", ["deleted_at", "{}"]),
    ("product", "ix_product_name", ["{}"]),
)
BATCH = 10_000


def upgrade() -> None:
    kept = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    for table, name, _ in INDEXES:
        op.drop_index(name, table_name=table)
    for table in TABLES:
        op.add_column(table, sa.Column("name_sort", kept, nullable=False, server_default=""))
        _fill(op.get_bind(), table)
    for table, name, columns in INDEXES:
        op.create_index(name, table, [column.format("name_sort") for column in columns])
    _fold_again(op.get_bind())


def downgrade() -> None:
    for table, name, _ in INDEXES:
        op.drop_index(name, table_name=table)
    for table in TABLES:
        op.drop_column(table, "name_sort")
    for table, name, columns in INDEXES:
        op.create_index(name, table, [column.format("name") for column in columns])


def _fill(connection: sa.Connection, table: str) -> None:
    if connection.dialect.name == "sqlite":
        raw = connection.connection.driver_connection
        raw.create_function("rapport_sort_key", 1, sort_key, deterministic=True)  # type: ignore[union-attr]
        connection.execute(sa.text(f"UPDATE {table} SET name_sort = rapport_sort_key(name)"))  # noqa: S608
        return
    plain = "octet_length(name) = char_length(name)"
    connection.execute(sa.text(f"UPDATE {table} SET name_sort = left(lower(name COLLATE \"C\"), 200) WHERE {plain}"))  # noqa: S608
    rows = connection.execute(sa.text(f"SELECT id, name FROM {table} WHERE NOT ({plain})")).all()  # noqa: S608
    filled = sa.text(
        f"UPDATE {table} SET name_sort = given.sort FROM unnest(CAST(:ids AS integer[]), CAST(:sorts AS text[])) AS given(id, sort) "  # noqa: S608
        f"WHERE {table}.id = given.id"
    )
    for start in range(0, len(rows), BATCH):
        some = rows[start : start + BATCH]
        connection.execute(filled, {"ids": [row.id for row in some], "sorts": [sort_key(row.name) for row in some]})


def _fold_again(connection: sa.Connection) -> None:
    """Capitals of æ and œ stood as such in search texts and keys, where the words that are looked for hold ae and oe."""
    plain, odd = "replace(replace({0}, 'æ', 'ae'), 'œ', 'oe')", "({0} LIKE '%æ%' OR {0} LIKE '%œ%')"
    connection.execute(sa.text(f"UPDATE search_document SET text = {plain.format('text')} WHERE {odd.format('text')}"))  # noqa: S608
    rows = connection.execute(sa.text(f"SELECT id, key FROM match_key WHERE kind IN ('company', 'person') AND {odd.format('key')}")).all()  # noqa: S608
    for row in rows:
        words = row.key.replace("æ", "ae").replace("œ", "oe").split()
        connection.execute(sa.text("UPDATE match_key SET key = :key WHERE id = :id"), {"key": " ".join(sorted(words))[:250], "id": row.id})
