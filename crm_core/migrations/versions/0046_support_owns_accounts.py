"""a support agent edits the accounts that were handed over to them, where the role is still the one that was installed

Revision ID: 0046
Revises: 0045
"""

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None

ONLY_READS = (
    "select r.id from role r join role_permission p on p.role_id = r.id and p.entity = 'account' "
    "where r.key = 'support_agent' and r.version = 1 group by r.id "
    "having count(*) = 1 and max(p.action) = 'read' and max(p.scope) = 'all'"
)
"""The support role whose rights on accounts are those it was installed with. Saving other rights raises a role's version."""


def upgrade() -> None:
    op.execute(
        sa.text(f"insert into role_permission (role_id, entity, action, scope) select id, 'account', 'edit', 'own' from ({ONLY_READS}) as untouched")
    )


def downgrade() -> None:
    op.execute(
        sa.text(
            "delete from role_permission where entity = 'account' and action = 'edit' and scope = 'own' "
            "and role_id in (select id from role where key = 'support_agent' and version = 1)"
        )
    )
