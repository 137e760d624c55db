"""assignment rules, queues and decisions; people's skills and absences; points of leads and how soon they are contacted

Revision ID: 0023
Revises: 0022
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

INSTANT = sqlmodel.sql.sqltypes.UTCDateTime
TEXT = sqlmodel.sql.sqltypes.AutoString
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
GRANTS = (("administrator", "read", "all"), ("administrator", "manage", "all"), ("manager", "read", "all"), ("manager", "manage", "subtree"))


def _record() -> list[sa.Column]:
    return [
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", INSTANT(), nullable=False),
        sa.Column("updated_at", INSTANT(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
    ]


def upgrade() -> None:
    op.create_table('point_rule',
    *_record(),
    sa.Column('name', TEXT(length=120), nullable=False),
    sa.Column('kind', sa.Enum('fit', 'behaviour', name='leadpointkind', native_enum=False, length=32), nullable=False),
    sa.Column('points', sa.Integer(), nullable=False),
    sa.Column('filter', JSON, nullable=True),
    sa.Column('signal', TEXT(length=60), nullable=False),
    sa.Column('cap', sa.Integer(), nullable=True),
    sa.Column('half_life_days', sa.Integer(), nullable=True),
    sa.Column('is_active', sa.Boolean(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_point_rule')),
    sa.UniqueConstraint('name', name=op.f('uq_point_rule_name')),
    sqlite_autoincrement=True
    )
    op.create_table('routing_setting',
    *_record(),
    sa.Column('key', TEXT(length=40), nullable=False),
    sa.Column('value', JSON, nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_routing_setting')),
    sa.UniqueConstraint('key', name=op.f('uq_routing_setting_key')),
    sqlite_autoincrement=True
    )
    op.create_table('work_queue',
    *_record(),
    sa.Column('name', TEXT(length=80), nullable=False),
    sa.Column('team_id', sa.Integer(), nullable=True),
    sa.Column('max_wait_minutes', sa.Integer(), nullable=True),
    sa.ForeignKeyConstraint(['team_id'], ['team.id'], name=op.f('fk_work_queue_team_id_team'), ondelete='SET NULL'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_work_queue')),
    sa.UniqueConstraint('name', name=op.f('uq_work_queue_name')),
    sqlite_autoincrement=True
    )
    op.create_table('absence',
    *_record(),
    sa.Column('user_id', sa.Integer(), nullable=False),
    sa.Column('first_on', sa.Date(), nullable=False),
    sa.Column('last_on', sa.Date(), nullable=False),
    sa.Column('note', TEXT(length=120), nullable=False),
    sa.Column('hand_on', sa.Boolean(), nullable=False),
    sa.Column('handed_at', INSTANT(), nullable=True),
    sa.ForeignKeyConstraint(['user_id'], ['app_user.id'], name=op.f('fk_absence_user_id_app_user'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_absence')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_absence_days', 'absence', ['first_on', 'last_on'], unique=False)
    op.create_index(op.f('ix_absence_user_id'), 'absence', ['user_id'], unique=False)
    op.create_table('routing_rule',
    *_record(),
    sa.Column('name', TEXT(length=80), nullable=False),
    sa.Column('entity', TEXT(length=40), nullable=False),
    sa.Column('rank', sa.Integer(), nullable=False),
    sa.Column('is_active', sa.Boolean(), nullable=False),
    sa.Column('filter', JSON, nullable=True),
    sa.Column('method', sa.Enum('turns', 'weighted', 'least', 'territory', 'capable', name='routemethod', native_enum=False, length=32), nullable=False),
    sa.Column('people', JSON, nullable=False),
    sa.Column('team_id', sa.Integer(), nullable=True),
    sa.Column('queue_id', sa.Integer(), nullable=True),
    sa.Column('territory', JSON, nullable=False),
    sa.Column('skill', JSON, nullable=False),
    sa.Column('weights', JSON, nullable=False),
    sa.ForeignKeyConstraint(['queue_id'], ['work_queue.id'], name=op.f('fk_routing_rule_queue_id_work_queue'), ondelete='RESTRICT'),
    sa.ForeignKeyConstraint(['team_id'], ['team.id'], name=op.f('fk_routing_rule_team_id_team'), ondelete='SET NULL'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_routing_rule')),
    sa.UniqueConstraint('name', name=op.f('uq_routing_rule_name')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_routing_rule_order', 'routing_rule', ['entity', 'rank'], unique=False)
    op.create_table('speed_target',
    *_record(),
    sa.Column('source', TEXT(length=120), nullable=True),
    sa.Column('minutes', sa.Integer(), nullable=False),
    sa.Column('calendar_id', sa.Integer(), nullable=True),
    sa.Column('escalate_to_id', sa.Integer(), nullable=True),
    sa.ForeignKeyConstraint(['calendar_id'], ['service_calendar.id'], name=op.f('fk_speed_target_calendar_id_service_calendar'), ondelete='RESTRICT'),
    sa.ForeignKeyConstraint(['escalate_to_id'], ['app_user.id'], name=op.f('fk_speed_target_escalate_to_id_app_user'), ondelete='SET NULL'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_speed_target')),
    sa.UniqueConstraint('source', name=op.f('uq_speed_target_source')),
    sqlite_autoincrement=True
    )
    op.create_index(op.f('ix_speed_target_calendar_id'), 'speed_target', ['calendar_id'], unique=False)
    op.create_table('work_profile',
    *_record(),
    sa.Column('user_id', sa.Integer(), nullable=False),
    sa.Column('takes_work', sa.Boolean(), nullable=False),
    sa.Column('skills', JSON, nullable=False),
    sa.Column('capacity', JSON, nullable=False),
    sa.Column('calendar_id', sa.Integer(), nullable=True),
    sa.ForeignKeyConstraint(['calendar_id'], ['service_calendar.id'], name=op.f('fk_work_profile_calendar_id_service_calendar'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['user_id'], ['app_user.id'], name=op.f('fk_work_profile_user_id_app_user'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_work_profile')),
    sa.UniqueConstraint('user_id', name=op.f('uq_work_profile_user_id')),
    sqlite_autoincrement=True
    )
    op.create_index(op.f('ix_work_profile_calendar_id'), 'work_profile', ['calendar_id'], unique=False)
    op.create_table('queue_item',
    *_record(),
    sa.Column('entity', TEXT(length=40), nullable=False),
    sa.Column('record_id', sa.Integer(), nullable=False),
    sa.Column('queue_id', sa.Integer(), nullable=True),
    sa.Column('rule_id', sa.Integer(), nullable=True),
    sa.Column('since', INSTANT(), nullable=False),
    sa.Column('told_at', INSTANT(), nullable=True),
    sa.ForeignKeyConstraint(['queue_id'], ['work_queue.id'], name=op.f('fk_queue_item_queue_id_work_queue'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['rule_id'], ['routing_rule.id'], name=op.f('fk_queue_item_rule_id_routing_rule'), ondelete='SET NULL'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_queue_item')),
    sa.UniqueConstraint('entity', 'record_id', name='uq_queue_item'),
    sqlite_autoincrement=True
    )
    op.create_index(op.f('ix_queue_item_queue_id'), 'queue_item', ['queue_id'], unique=False)
    op.create_index(op.f('ix_queue_item_rule_id'), 'queue_item', ['rule_id'], unique=False)
    op.create_index('ix_queue_item_since', 'queue_item', ['since', 'id'], unique=False)
    op.create_table('routing_decision',
    *_record(),
    sa.Column('entity', TEXT(length=40), nullable=False),
    sa.Column('record_id', sa.Integer(), nullable=False),
    sa.Column('rule_id', sa.Integer(), nullable=True),
    sa.Column('rule_name', TEXT(length=80), nullable=False),
    sa.Column('method', sa.Enum('turns', 'weighted', 'least', 'territory', 'capable', name='routemethod', native_enum=False, length=32), nullable=True),
    sa.Column('outcome', sa.Enum('given', 'waits', 'no_rule', 'stays', 'taken', name='routeoutcome', native_enum=False, length=32), nullable=False),
    sa.Column('user_id', sa.Integer(), nullable=True),
    sa.Column('queue_id', sa.Integer(), nullable=True),
    sa.Column('candidates', JSON, nullable=False),
    sa.Column('why', TEXT(length=200), nullable=False),
    sa.Column('at', INSTANT(), nullable=False),
    sa.Column('by_id', sa.Integer(), nullable=True),
    sa.ForeignKeyConstraint(['by_id'], ['app_user.id'], name=op.f('fk_routing_decision_by_id_app_user'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['queue_id'], ['work_queue.id'], name=op.f('fk_routing_decision_queue_id_work_queue'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['rule_id'], ['routing_rule.id'], name=op.f('fk_routing_decision_rule_id_routing_rule'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['user_id'], ['app_user.id'], name=op.f('fk_routing_decision_user_id_app_user'), ondelete='SET NULL'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_routing_decision')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_routing_decision_at', 'routing_decision', ['at'], unique=False)
    op.create_index(op.f('ix_routing_decision_queue_id'), 'routing_decision', ['queue_id'], unique=False)
    op.create_index('ix_routing_decision_record', 'routing_decision', ['entity', 'record_id', 'id'], unique=False)
    op.create_index(op.f('ix_routing_decision_rule_id'), 'routing_decision', ['rule_id'], unique=False)
    op.create_index('ix_routing_decision_user', 'routing_decision', ['user_id', 'entity', 'at'], unique=False)
    op.create_table('routing_turn',
    *_record(),
    sa.Column('rule_id', sa.Integer(), nullable=False),
    sa.Column('state', JSON, nullable=False),
    sa.Column('turns', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['rule_id'], ['routing_rule.id'], name=op.f('fk_routing_turn_rule_id_routing_rule'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_routing_turn')),
    sa.UniqueConstraint('rule_id', name=op.f('uq_routing_turn_rule_id')),
    sqlite_autoincrement=True
    )
    op.create_table('lead_points',
    *_record(),
    sa.Column('lead_id', sa.Integer(), nullable=False),
    sa.Column('fit', sa.Float(), nullable=False),
    sa.Column('behaviour', sa.Float(), nullable=False),
    sa.Column('reached_at', INSTANT(), nullable=True),
    sa.Column('computed_at', INSTANT(), nullable=False),
    sa.ForeignKeyConstraint(['lead_id'], ['lead.id'], name=op.f('fk_lead_points_lead_id_lead'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_lead_points')),
    sa.UniqueConstraint('lead_id', name=op.f('uq_lead_points_lead_id')),
    sqlite_autoincrement=True
    )
    op.create_table('lead_watch',
    *_record(),
    sa.Column('lead_id', sa.Integer(), nullable=False),
    sa.Column('due_at', INSTANT(), nullable=False),
    sa.Column('told_at', INSTANT(), nullable=True),
    sa.Column('escalated_at', INSTANT(), nullable=True),
    sa.ForeignKeyConstraint(['lead_id'], ['lead.id'], name=op.f('fk_lead_watch_lead_id_lead'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_lead_watch')),
    sa.UniqueConstraint('lead_id', name=op.f('uq_lead_watch_lead_id')),
    sqlite_autoincrement=True
    )
    op.add_column('lead', sa.Column('points', sa.Integer(), nullable=True))
    op.add_column('lead', sa.Column('grade', TEXT(length=2), nullable=True))
    op.create_index('ix_lead_points', 'lead', ['deleted_at', 'points', 'id'], unique=False)
    for role, action, scope in GRANTS:
        op.execute(
            sa.text(
                "insert into role_permission (role_id, entity, action, scope) "
                "select id, 'assignment', :action, :scope from role where key = :role and not exists (select 1 from role_permission p "
                "where p.role_id = role.id and p.entity = 'assignment' and p.action = :action)"
            ).bindparams(role=role, action=action, scope=scope)
        )


def downgrade() -> None:
    op.execute("delete from role_permission where entity = 'assignment'")
    op.drop_index('ix_lead_points', table_name='lead')
    op.drop_column('lead', 'grade')
    op.drop_column('lead', 'points')
    op.drop_table('lead_watch')
    op.drop_table('lead_points')
    op.drop_table('routing_turn')
    op.drop_index('ix_routing_decision_user', table_name='routing_decision')
    op.drop_index(op.f('ix_routing_decision_rule_id'), table_name='routing_decision')
    op.drop_index('ix_routing_decision_record', table_name='routing_decision')
    op.drop_index(op.f('ix_routing_decision_queue_id'), table_name='routing_decision')
    op.drop_index('ix_routing_decision_at', table_name='routing_decision')
    op.drop_table('routing_decision')
    op.drop_index('ix_queue_item_since', table_name='queue_item')
    op.drop_index(op.f('ix_queue_item_rule_id'), table_name='queue_item')
    op.drop_index(op.f('ix_queue_item_queue_id'), table_name='queue_item')
    op.drop_table('queue_item')
    op.drop_index(op.f('ix_work_profile_calendar_id'), table_name='work_profile')
    op.drop_table('work_profile')
    op.drop_index(op.f('ix_speed_target_calendar_id'), table_name='speed_target')
    op.drop_table('speed_target')
    op.drop_index('ix_routing_rule_order', table_name='routing_rule')
    op.drop_table('routing_rule')
    op.drop_index(op.f('ix_absence_user_id'), table_name='absence')
    op.drop_index('ix_absence_days', table_name='absence')
    op.drop_table('absence')
    op.drop_table('work_queue')
    op.drop_table('routing_setting')
    op.drop_table('point_rule')
