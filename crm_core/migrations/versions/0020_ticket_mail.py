"""mailboxes, mail that came in, mail of tickets, macros, merged tickets; replies to campaigns

Revision ID: 0020
Revises: 0019
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

INSTANT = sqlmodel.sql.sqltypes.UTCDateTime
TEXT = sqlmodel.sql.sqltypes.AutoString
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")


def upgrade() -> None:
    op.create_table(
        "macro",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT(), nullable=False),
        sa.Column("updated_at", INSTANT(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", TEXT(length=80), nullable=False),
        sa.Column("about", TEXT(length=300), nullable=False),
        sa.Column("visibility", sa.Enum("private", "shared", name="visibility", native_enum=False, length=32), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("steps", JSON, nullable=False),
        sa.Column("used_count", sa.Integer(), nullable=False),
        sa.Column("used_at", INSTANT(), nullable=True),
        sa.ForeignKeyConstraint(["owner_id"], ["app_user.id"], name=op.f("fk_macro_owner_id_app_user"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_macro")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_macro_owner", "macro", ["owner_id", "visibility"], unique=False)
    op.create_table(
        "mailbox",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT(), nullable=False),
        sa.Column("updated_at", INSTANT(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", TEXT(length=80), nullable=False),
        sa.Column("address", TEXT(length=254), nullable=False),
        sa.Column("address_key", TEXT(length=254), nullable=False),
        sa.Column("source", sa.Enum("imap", "web", "files", name="mailsource", native_enum=False, length=32), nullable=False),
        sa.Column("host", TEXT(length=253), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("tls", sa.Enum("tls", "starttls", "none", name="mailtls", native_enum=False, length=32), nullable=False),
        sa.Column("username", TEXT(length=254), nullable=False),
        sa.Column("secret_sealed", sa.Text(), nullable=False),
        sa.Column("folder", TEXT(length=200), nullable=False),
        sa.Column("first_days", sa.Integer(), nullable=False),
        sa.Column("key_sha256", TEXT(length=64), nullable=True),
        sa.Column("signing_sealed", sa.Text(), nullable=False),
        sa.Column("becomes", sa.Enum("ticket", "timeline", name="mailbecomes", native_enum=False, length=32), nullable=False),
        sa.Column(
            "unknown", sa.Enum("contact", "plain", "tray", name="unknownsender", native_enum=False, length=32), nullable=False
        ),
        sa.Column("team_id", sa.Integer(), nullable=True),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("category", TEXT(length=120), nullable=True),
        sa.Column("impact", sa.Enum("low", "medium", "high", name="level", native_enum=False, length=32), nullable=False),
        sa.Column("urgency", sa.Enum("low", "medium", "high", name="level", native_enum=False, length=32), nullable=False),
        sa.Column("signature", TEXT(length=2000), nullable=False),
        sa.Column("plus_address", sa.Boolean(), nullable=False),
        sa.Column("acknowledge", sa.Boolean(), nullable=False),
        sa.Column("ack_subject", TEXT(length=200), nullable=False),
        sa.Column("ack_body", TEXT(length=4000), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("uid_validity", sa.BigInteger(), nullable=True),
        sa.Column("last_uid", sa.BigInteger(), nullable=False),
        sa.Column("last_pull_at", INSTANT(), nullable=True),
        sa.Column("last_good_at", INSTANT(), nullable=True),
        sa.Column("next_pull_at", INSTANT(), nullable=True),
        sa.Column("lease_until", INSTANT(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("message", TEXT(length=500), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["app_user.id"], name=op.f("fk_mailbox_owner_id_app_user"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("fk_mailbox_team_id_team"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mailbox")),
        sa.UniqueConstraint("address_key", name="uq_mailbox_address"),
        sa.UniqueConstraint("key_sha256", name=op.f("uq_mailbox_key_sha256")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_mailbox_due", "mailbox", ["is_active", "next_pull_at"], unique=False)
    op.create_table(
        "ticket_merge",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT(), nullable=False),
        sa.Column("updated_at", INSTANT(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("target_id", sa.Integer(), nullable=False),
        sa.Column("moved", JSON, nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=True),
        sa.Column("undone_at", INSTANT(), nullable=True),
        sa.ForeignKeyConstraint(["by_id"], ["app_user.id"], name=op.f("fk_ticket_merge_by_id_app_user"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["source_id"], ["ticket.id"], name=op.f("fk_ticket_merge_source_id_ticket"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["target_id"], ["ticket.id"], name=op.f("fk_ticket_merge_target_id_ticket"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ticket_merge")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_ticket_merge_source_id"), "ticket_merge", ["source_id"], unique=False)
    op.create_index(op.f("ix_ticket_merge_target_id"), "ticket_merge", ["target_id"], unique=False)
    op.create_table(
        "inbound_mail",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT(), nullable=False),
        sa.Column("updated_at", INSTANT(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("dedupe_key", TEXT(length=80), nullable=False),
        sa.Column("mailbox_id", sa.Integer(), nullable=True),
        sa.Column("message_id", TEXT(length=300), nullable=False),
        sa.Column("sender", TEXT(length=254), nullable=False),
        sa.Column("sender_key", TEXT(length=254), nullable=False),
        sa.Column("sender_name", TEXT(length=200), nullable=False),
        sa.Column("subject", TEXT(length=500), nullable=False),
        sa.Column("preview", TEXT(length=300), nullable=False),
        sa.Column("sent_at", INSTANT(), nullable=True),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "ticket",
                "thread",
                "timeline",
                "reply",
                "tray",
                "auto",
                "bounce",
                "own",
                "discarded",
                name="inboundstate",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("reason", TEXT(length=500), nullable=False),
        sa.Column("raw", TEXT(length=64), nullable=False),
        sa.Column("ticket_id", sa.Integer(), nullable=True),
        sa.Column("ticket_message_id", sa.Integer(), nullable=True),
        sa.Column("contact_id", sa.Integer(), nullable=True),
        sa.Column("activity_id", sa.Integer(), nullable=True),
        sa.Column("settled_by_id", sa.Integer(), nullable=True),
        sa.Column("settled_at", INSTANT(), nullable=True),
        sa.Column("undo", JSON, nullable=True),
        sa.ForeignKeyConstraint(
            ["activity_id"], ["activity.id"], name=op.f("fk_inbound_mail_activity_id_activity"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contact.id"], name=op.f("fk_inbound_mail_contact_id_contact"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["mailbox_id"], ["mailbox.id"], name=op.f("fk_inbound_mail_mailbox_id_mailbox"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["settled_by_id"], ["app_user.id"], name=op.f("fk_inbound_mail_settled_by_id_app_user"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["ticket_id"], ["ticket.id"], name=op.f("fk_inbound_mail_ticket_id_ticket"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["ticket_message_id"],
            ["ticket_message.id"],
            name=op.f("fk_inbound_mail_ticket_message_id_ticket_message"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbound_mail")),
        sa.UniqueConstraint("dedupe_key", name=op.f("uq_inbound_mail_dedupe_key")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_inbound_mail_activity_id"), "inbound_mail", ["activity_id"], unique=False)
    op.create_index(op.f("ix_inbound_mail_contact_id"), "inbound_mail", ["contact_id"], unique=False)
    op.create_index("ix_inbound_mail_list", "inbound_mail", ["mailbox_id", "id"], unique=False)
    op.create_index(op.f("ix_inbound_mail_message_id"), "inbound_mail", ["message_id"], unique=False)
    op.create_index("ix_inbound_mail_sender", "inbound_mail", ["sender_key", "created_at"], unique=False)
    op.create_index("ix_inbound_mail_state", "inbound_mail", ["state", "id"], unique=False)
    op.create_index(op.f("ix_inbound_mail_ticket_id"), "inbound_mail", ["ticket_id"], unique=False)
    op.create_index(op.f("ix_inbound_mail_ticket_message_id"), "inbound_mail", ["ticket_message_id"], unique=False)
    op.add_column("campaign_member", sa.Column("replied_at", INSTANT(), nullable=True))
    op.add_column("mail_delivery", sa.Column("attachments", JSON, nullable=True))
    op.add_column("ticket", sa.Column("mailbox_id", sa.Integer(), nullable=True))
    op.add_column("ticket", sa.Column("follows_id", sa.Integer(), nullable=True))
    op.add_column("ticket", sa.Column("merged_into_id", sa.Integer(), nullable=True))
    op.create_index(op.f("ix_ticket_follows_id"), "ticket", ["follows_id"], unique=False)
    op.create_index(op.f("ix_ticket_mailbox_id"), "ticket", ["mailbox_id"], unique=False)
    op.create_index(op.f("ix_ticket_merged_into_id"), "ticket", ["merged_into_id"], unique=False)
    op.add_column("ticket_message", sa.Column("quoted", sa.Text(), nullable=True))
    op.add_column("ticket_message", sa.Column("html", sa.Text(), nullable=True))
    op.add_column("ticket_message", sa.Column("mail", JSON, nullable=True))

    for role, action in (("administrator", "read"), ("administrator", "manage"), ("manager", "read"), ("support_agent", "read")):
        op.execute(
            sa.text(
                "insert into role_permission (role_id, entity, action, scope) "
                "select id, 'mailbox', :action, 'all' from role where key = :role and not exists (select 1 from role_permission p "
                "where p.role_id = role.id and p.entity = 'mailbox' and p.action = :action)"
            ).bindparams(role=role, action=action)
        )


def downgrade() -> None:
    op.execute("delete from role_permission where entity = 'mailbox'")

    op.drop_column("ticket_message", "mail")
    op.drop_column("ticket_message", "html")
    op.drop_column("ticket_message", "quoted")
    op.drop_index(op.f("ix_ticket_merged_into_id"), table_name="ticket")
    op.drop_index(op.f("ix_ticket_mailbox_id"), table_name="ticket")
    op.drop_index(op.f("ix_ticket_follows_id"), table_name="ticket")
    op.drop_column("ticket", "merged_into_id")
    op.drop_column("ticket", "follows_id")
    op.drop_column("ticket", "mailbox_id")
    op.drop_column("mail_delivery", "attachments")
    op.drop_column("campaign_member", "replied_at")
    op.drop_index(op.f("ix_inbound_mail_ticket_message_id"), table_name="inbound_mail")
    op.drop_index(op.f("ix_inbound_mail_ticket_id"), table_name="inbound_mail")
    op.drop_index("ix_inbound_mail_state", table_name="inbound_mail")
    op.drop_index("ix_inbound_mail_sender", table_name="inbound_mail")
    op.drop_index(op.f("ix_inbound_mail_message_id"), table_name="inbound_mail")
    op.drop_index("ix_inbound_mail_list", table_name="inbound_mail")
    op.drop_index(op.f("ix_inbound_mail_contact_id"), table_name="inbound_mail")
    op.drop_index(op.f("ix_inbound_mail_activity_id"), table_name="inbound_mail")
    op.drop_table("inbound_mail")
    op.drop_index(op.f("ix_ticket_merge_target_id"), table_name="ticket_merge")
    op.drop_index(op.f("ix_ticket_merge_source_id"), table_name="ticket_merge")
    op.drop_table("ticket_merge")
    op.drop_index("ix_mailbox_due", table_name="mailbox")
    op.drop_table("mailbox")
    op.drop_index("ix_macro_owner", table_name="macro")
    op.drop_table("macro")
