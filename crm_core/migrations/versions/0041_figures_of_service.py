"""tickets keep what the figures of service read: first solved, answers, how promises ended, working minutes, satisfaction

Revision ID: 0041
Revises: 0040
"""

import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import sqlalchemy as sa
import sqlmodel
from alembic import op

from crm_core.kit.business_calendar import BusinessCalendar, DayException

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

WHERE = ["owner_id", "category", "priority", "team_id"]
OLD = {
    "ix_ticket_opened": ["deleted_at", "opened_at", "owner_id", "status", "first_response_at", "solved_at", "category", "priority"],
    "ix_ticket_solved": ["deleted_at", "solved_at", "status", "owner_id", "opened_at", "category", "priority"],
}
NEW = {
    "ix_ticket_opened": [*OLD["ix_ticket_opened"], "team_id", "response_promise", "resolution_promise", "response_minutes"],
    "ix_ticket_solved": [*OLD["ix_ticket_solved"], "team_id", "resolution_minutes"],
    "ix_ticket_first_solved": ["deleted_at", "first_solved_at", "reopened_count", "answer_count", *WHERE],
    "ix_ticket_rated": ["deleted_at", "rated_at", "satisfaction", *WHERE],
}
COLUMNS = (
    ("first_solved_at", sqlmodel.sql.sqltypes.UTCDateTime()),
    ("answer_count", sa.Integer()),
    ("response_promise", sa.String(32)),
    ("resolution_promise", sa.String(32)),
    ("response_minutes", sa.Integer()),
    ("resolution_minutes", sa.Integer()),
    ("satisfaction", sa.Integer()),
    ("rated_at", sqlmodel.sql.sqltypes.UTCDateTime()),
)
FILL = (
    "UPDATE ticket SET first_solved_at = solved_at WHERE merged_into_id IS NULL AND reopened_count = 0",
    """UPDATE ticket SET answer_count =
        (SELECT COUNT(*) FROM ticket_message WHERE ticket_message.ticket_id = ticket.id AND ticket_message.direction = 'outbound')""",
    *(
        f"""UPDATE ticket SET {column} = (
            SELECT CASE WHEN sla_clock.breached_at IS NOT NULL THEN 'late' WHEN sla_clock.met_at IS NOT NULL THEN 'kept' END
            FROM sla_clock WHERE sla_clock.ticket_id = ticket.id AND sla_clock.target = '{target}' AND sla_clock.seq = 1)
           WHERE merged_into_id IS NULL AND EXISTS (SELECT 1 FROM sla_clock WHERE sla_clock.ticket_id = ticket.id)"""  # noqa: S608
        for column, target in (("response_promise", "first"), ("resolution_promise", "resolve"))
    ),
    *(
        f"""UPDATE ticket SET {column} = (
            SELECT survey_answer.{of} FROM survey_answer JOIN survey_invitation ON survey_invitation.id = survey_answer.invitation_id
            JOIN survey ON survey.id = survey_answer.survey_id
            WHERE survey.kind = 'csat' AND survey_invitation.entity = 'ticket' AND survey_invitation.record_id = ticket.id
            ORDER BY survey_answer.at DESC, survey_answer.id DESC LIMIT 1)
           WHERE id IN (SELECT record_id FROM survey_invitation WHERE entity = 'ticket')"""  # noqa: S608
        for column, of in (("satisfaction", "score"), ("rated_at", "at"))
    ),
)
STATUS = {"sqlite": "json_extract(event_log.changes, '$.status[{n}]')", "postgresql": "event_log.changes #>> '{{status,{n}}}'"}
"""The status before (0) and after (1) an event. Whatever it is called: an answer, a mail and a form can solve and re-open a ticket too."""
CAME_BACK = """UPDATE ticket SET first_solved_at = COALESCE(
    (SELECT MIN(event_log.at) FROM event_log WHERE event_log.entity = 'ticket' AND event_log.record_id = ticket.id
     AND ({before} IN ('solved', 'closed') OR {after} IN ('solved', 'closed'))), solved_at, closed_at)
   WHERE merged_into_id IS NULL AND reopened_count > 0"""
INSTANT = sqlmodel.sql.sqltypes.UTCDateTime()
CLOCK = sa.table(
    "sla_clock",
    *(sa.column(name) for name in ("ticket_id", "target", "policy_id", "paused_seconds")),
    *(sa.column(name, INSTANT) for name in ("started_at", "met_at")),
)
BATCH = 10_000


def upgrade() -> None:
    for name, kind in COLUMNS:
        counted = {"nullable": False, "server_default": "0"} if name == "answer_count" else {"nullable": True}
        op.add_column("ticket", sa.Column(name, kind, **counted))  # type: ignore[arg-type]
    for statement in FILL:
        op.execute(statement)
    status = STATUS[op.get_bind().dialect.name]
    op.execute(CAME_BACK.format(before=status.format(n=0), after=status.format(n=1)))
    _fill_minutes(op.get_bind())
    for name in OLD:
        op.drop_index(name, table_name="ticket")
    for name, columns in NEW.items():
        op.create_index(name, "ticket", columns)


def downgrade() -> None:
    for name in NEW:
        op.drop_index(name, table_name="ticket")
    for name, _ in COLUMNS:
        op.drop_column("ticket", name)
    for name, columns in OLD.items():
        op.create_index(name, "ticket", columns)


def _fill_minutes(connection: sa.Connection) -> None:
    """Working minutes of promises that were kept, by the hours of their level as they are now."""
    levels: dict[Any, Any] = dict(connection.execute(sa.text("SELECT id, calendar_id FROM sla_policy")).tuples().all())
    hours = {row.id: _calendar(row) for row in connection.execute(sa.text("SELECT id, timezone, week, exceptions FROM service_calendar"))}
    for target, column in (("first", "response_minutes"), ("resolve", "resolution_minutes")):
        change = sa.text(f"UPDATE ticket SET {column} = :minutes WHERE id = :ticket AND merged_into_id IS NULL")  # noqa: S608
        for rows in _batches(connection, target):
            values = []
            for row in rows:
                calendar = hours.get(levels.get(row.policy_id))
                span = calendar.between(row.started_at, row.met_at) if calendar else (row.met_at - row.started_at).total_seconds()
                values.append({"ticket": row.ticket_id, "minutes": max(0, round((span - row.paused_seconds) / 60))})
            connection.execute(change, values)


def _batches(connection: sa.Connection, target: str) -> Iterator[Any]:
    last = 0
    wanted = sa.select(CLOCK).where(CLOCK.c.target == target, CLOCK.c.met_at.is_not(None)).order_by(CLOCK.c.ticket_id).limit(BATCH)
    while rows := connection.execute(wanted.where(CLOCK.c.ticket_id > last)).all():
        yield rows
        last = rows[-1].ticket_id


def _calendar(row: Any) -> BusinessCalendar:
    week, exceptions = (json.loads(value) if isinstance(value, str) else value for value in (row.week, row.exceptions))
    days = tuple(
        DayException(date.fromisoformat(one["first"]), date.fromisoformat(one["last"]), tuple((int(a), int(b)) for a, b in one["hours"]))
        for one in exceptions or ()
    )
    return BusinessCalendar(row.timezone, tuple(tuple((int(a), int(b)) for a, b in spans) for spans in week), days)
