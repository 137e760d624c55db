"""automations: what they do, what they hear, every run and step

Revision ID: 0025
Revises: 0024
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

INSTANT = sqlmodel.sql.sqltypes.UTCDateTime
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
GRANTS = {"administrator": "read manage", "manager": "read manage", "marketer": "read manage", "sales_rep": "read", "support_agent": "read", "analyst": "read"}


def upgrade() -> None:
    op.create_table('automation',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('created_at', INSTANT(), nullable=False),
    sa.Column('updated_at', INSTANT(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(length=120), nullable=False),
    sa.Column('entity', sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
    sa.Column('state', sa.Enum('draft', 'active', 'paused', name='automationstate', native_enum=False, length=32), nullable=False),
    sa.Column('owner_id', sa.Integer(), nullable=True),
    sa.Column('current', sa.Integer(), nullable=False),
    sa.Column('listens', JSON, nullable=False),
    sa.Column('hourly_cap', sa.Integer(), nullable=False),
    sa.Column('reason', sqlmodel.sql.sqltypes.AutoString(length=300), nullable=False),
    sa.Column('recipe', sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
    sa.Column('active_since', INSTANT(), nullable=True),
    sa.Column('checked_at', INSTANT(), nullable=True),
    sa.ForeignKeyConstraint(['owner_id'], ['app_user.id'], name=op.f('fk_automation_owner_id_app_user'), ondelete='SET NULL'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_automation')),
    sa.UniqueConstraint('name', name=op.f('uq_automation_name')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_automation_state', 'automation', ['state', 'entity'], unique=False)
    op.create_table('automation_inbox',
    sa.Column('event_id', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['event_id'], ['event_log.id'], name=op.f('fk_automation_inbox_event_id_event_log'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('event_id', name=op.f('pk_automation_inbox'))
    )
    op.create_table('automation_run',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('created_at', INSTANT(), nullable=False),
    sa.Column('updated_at', INSTANT(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('automation_id', sa.Integer(), nullable=False),
    sa.Column('version_number', sa.Integer(), nullable=False),
    sa.Column('trigger_key', sqlmodel.sql.sqltypes.AutoString(length=160), nullable=False),
    sa.Column('entity', sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
    sa.Column('record_id', sa.Integer(), nullable=False),
    sa.Column('state', sa.Enum('running', 'waiting', 'done', 'stopped', 'failed', 'skipped', name='flowstate', native_enum=False, length=32), nullable=False),
    sa.Column('step_id', sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
    sa.Column('due_at', INSTANT(), nullable=True),
    sa.Column('ended_at', INSTANT(), nullable=True),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('message', sqlmodel.sql.sqltypes.AutoString(length=500), nullable=False),
    sa.Column('cause_id', sa.Integer(), nullable=True),
    sa.Column('depth', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['automation_id'], ['automation.id'], name=op.f('fk_automation_run_automation_id_automation'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_automation_run')),
    sa.UniqueConstraint('automation_id', 'trigger_key', name='uq_automation_run'),
    sqlite_autoincrement=True
    )
    op.create_index('ix_automation_run_created', 'automation_run', ['automation_id', 'created_at'], unique=False)
    op.create_index('ix_automation_run_due', 'automation_run', ['state', 'due_at'], unique=False)
    op.create_index('ix_automation_run_list', 'automation_run', ['automation_id', 'state', 'id'], unique=False)
    op.create_index('ix_automation_run_record', 'automation_run', ['entity', 'record_id', 'automation_id'], unique=False)
    op.create_table('automation_version',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('created_at', INSTANT(), nullable=False),
    sa.Column('updated_at', INSTANT(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('automation_id', sa.Integer(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('flow', JSON, nullable=False),
    sa.Column('author_id', sa.Integer(), nullable=True),
    sa.ForeignKeyConstraint(['author_id'], ['app_user.id'], name=op.f('fk_automation_version_author_id_app_user'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['automation_id'], ['automation.id'], name=op.f('fk_automation_version_automation_id_automation'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_automation_version')),
    sa.UniqueConstraint('automation_id', 'number', name='uq_automation_version'),
    sqlite_autoincrement=True
    )
    op.create_table('automation_step',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('run_id', sa.Integer(), nullable=False),
    sa.Column('automation_id', sa.Integer(), nullable=False),
    sa.Column('key', sqlmodel.sql.sqltypes.AutoString(length=120), nullable=False),
    sa.Column('step_id', sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
    sa.Column('record_id', sa.Integer(), nullable=False),
    sa.Column('outcome', sa.Enum('done', 'skipped', 'failed', name='stepoutcome', native_enum=False, length=32), nullable=False),
    sa.Column('message', sqlmodel.sql.sqltypes.AutoString(length=500), nullable=False),
    sa.Column('at', INSTANT(), nullable=False),
    sa.ForeignKeyConstraint(['automation_id'], ['automation.id'], name=op.f('fk_automation_step_automation_id_automation'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['run_id'], ['automation_run.id'], name=op.f('fk_automation_step_run_id_automation_run'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_automation_step')),
    sa.UniqueConstraint('key', name=op.f('uq_automation_step_key')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_automation_step_kind', 'automation_step', ['automation_id', 'kind', 'record_id'], unique=False)
    op.create_index('ix_automation_step_run', 'automation_step', ['run_id', 'id'], unique=False)

    for role, actions in GRANTS.items():
        for action in actions.split():
            op.execute(
                sa.text(
                    "insert into role_permission (role_id, entity, action, scope) "
                    "select id, 'automation', :action, 'all' from role where key = :role and not exists (select 1 from role_permission p "
                    "where p.role_id = role.id and p.entity = 'automation' and p.action = :action)"
                ).bindparams(role=role, action=action)
            )


def downgrade() -> None:
    op.execute("delete from role_permission where entity = 'automation'")
    op.drop_table('automation_step')
    op.drop_table('automation_version')
    op.drop_table('automation_run')
    op.drop_table('automation_inbox')
    op.drop_table('automation')
