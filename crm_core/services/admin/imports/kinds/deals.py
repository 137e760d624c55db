"""Deals: stages and what they mean, days on which things happened, one stage event per deal so that speed and funnels can be computed.

The days of an imported deal are those of the file. A deal that gives no opening day gets the earliest other day of its row, and without one
the day of the import. A closed deal stands in its stage since its closing day, a new open one since its opening day. An open deal that an update moves
comes into its stage with the import. How long a deal stood where an earlier import put it is not known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sqlalchemy import select

from crm_core.kit import clock
from crm_core.models import Pipeline, Stage, StageEvent
from crm_core.services.admin.imports.kinds.base import Kind, RowRefused, ToCreate, Written
from crm_core.services.sales import deal_rules
from crm_core.vocabulary import StageKind

if TYPE_CHECKING:
    from crm_core.services.admin.imports.batch import Batch

_STAGES: Any = Stage.__table__  # type: ignore[attr-defined]
_PIPELINES: Any = Pipeline.__table__  # type: ignore[attr-defined]
_EVENTS: Any = StageEvent.__table__  # type: ignore[attr-defined]

NEW_STAGE_PCT = 25
"""Win probability of a stage that an import creates, until somebody who knows better sets it."""


@dataclass(frozen=True)
class StageFacts:
    """What a row needs to know about its stage; ``id`` is None while the stage is still to be created."""

    id: int | None
    pipeline_id: int | None
    kind: StageKind
    probability_pct: int


class Deals(Kind):
    entity = "deal"
    opened = frozenset({"closed_on"})
    closed = frozenset({"amount_locked"})
    tables = ("stage_event",)
    templates = (("name", ("account_id", "product_id")),)
    synonyms = {
        "name": ("deal name", "opportunity", "opportunity name", "title", "subject"),
        "account_id": ("account", "account name", "company", "customer", "organisation", "organization", "client"),
        "contact_id": ("contact", "person", "contact name"),
        "owner_id": ("owner", "deal owner", "sales agent", "sales rep", "agent", "rep", "opportunity owner"),
        "stage_id": ("stage", "deal stage", "stage name", "status"),
        "pipeline_id": ("pipeline", "pipeline name"),
        "amount_minor": ("amount", "close value", "value", "deal value", "revenue", "price"),
        "created_on": ("engage date", "create date", "created", "created date", "opened", "open date", "start date"),
        "closed_on": ("close date", "closed", "closed date", "won time", "lost time"),
        "expected_close_on": ("expected close date", "expected close", "target close date"),
        "product_id": ("product", "main product", "item"),
        "lost_reason": ("loss reason", "reason lost", "closed lost reason"),
        "won_reason": ("closed won reason", "reason won"),
        "probability_pct": ("probability", "win probability"),
        "source": ("lead source", "deal source"),
        "campaign_id": ("campaign",),
        "description": ("notes", "deal description"),
    }
    notes = (
        "A deal without an opening day gets the earliest other day of its row, or else the day of the import.",
        "A closed deal stands in its stage since its closing day. For an open deal a closing day counts as the expected one.",
    )

    def satisfied(self, given: frozenset[str]) -> frozenset[str]:
        return frozenset({"pipeline_id", "stage_id", "created_on", "stage_since"})

    def begin(self, batch: "Batch") -> None:
        rows = batch.session.execute(select(_STAGES).order_by(_STAGES.c.pipeline_id, _STAGES.c.position, _STAGES.c.id)).all()
        self.stages = {row.id: StageFacts(row.id, row.pipeline_id, row.kind, row.probability_pct) for row in rows}
        self.names = {row.id: row.name for row in rows}
        default = (
            select(_PIPELINES.c.id)
            .where(_PIPELINES.c.is_active)
            .order_by(_PIPELINES.c.is_default.desc(), _PIPELINES.c.position, _PIPELINES.c.id)
        )
        self.pipeline = batch.session.execute(default.limit(1)).scalar()
        self.today = clock.today(batch.actor.timezone)
        self.expects_account = batch.plan.column_for("account_id") is not None

    def fill(self, batch: "Batch", values: dict[str, Any], old: Any | None) -> None:
        stage = self._stage(values, old)
        moved = old is None or stage.id is None or stage.id != old.stage_id
        if old is None:
            values["currency"] = batch.actor.currency
            if not values.get("created_on"):
                values["created_on"] = self._earliest(values)
                batch.remark(
                    "created_on",
                    f"No opening day given; {'the day of the import' if values['created_on'] == self.today else 'the earliest day of the row'} is used.",
                )
            if self.expects_account and not values.get("account_id"):
                batch.remark("account_id", "No account given; the deal is kept without one (filter: account is empty).")
        opened_on = values.get("created_on") or (old.created_on if old is not None else self.today)
        values["pipeline_id"] = stage.pipeline_id
        if moved:
            values.setdefault("stage_id", stage.id)
            values["outcome"] = stage.kind
            values["probability_own"] = False
        self._close(values, stage, opened_on, old)
        self._probability(values, stage, moved)
        if moved:
            by_file = old is not None and stage.kind is StageKind.OPEN  # no file says when an open deal came into its stage
            values["stage_since"] = batch.now if by_file else self._since(batch, values.get("closed_on") or opened_on)

    def _stage(self, values: dict[str, Any], old: Any | None) -> StageFacts:
        given, pipeline = values.get("stage_id"), values.get("pipeline_id")
        if isinstance(given, ToCreate):
            return StageFacts(
                None, pipeline or (old.pipeline_id if old is not None else self.pipeline), StageKind.OPEN, NEW_STAGE_PCT
            )
        if given is not None:
            stage = self.stages[given]
            expected = pipeline or (old.pipeline_id if old is not None else None)
            if expected is not None and stage.pipeline_id != expected:
                raise RowRefused(stage_id=f"The stage “{self.names[given]}” belongs to another pipeline.")
            return stage
        if old is not None and (pipeline is None or pipeline == old.pipeline_id):
            return self.stages[old.stage_id]
        first = next(
            (s for s in self.stages.values() if s.pipeline_id == (pipeline or self.pipeline) and s.kind is StageKind.OPEN), None
        )
        if first is None:
            raise RowRefused(pipeline_id="This pipeline has no open stage. An administrator can add one.")
        return first

    def _earliest(self, values: dict[str, Any]) -> date:
        days = [values[key] for key in ("closed_on", "expected_close_on", "next_step_on") if values.get(key)]
        return min([*days, self.today])

    def _close(self, values: dict[str, Any], stage: StageFacts, opened_on: date, old: Any | None) -> None:
        """The closing day and the reasons must fit the outcome."""
        closed_on = values.get("closed_on")
        if stage.kind is StageKind.OPEN:
            if closed_on and not values.get("expected_close_on"):
                values["expected_close_on"] = closed_on
            values["closed_on"] = None
        else:
            closed_on = closed_on or (old.closed_on if old is not None else None)
            if closed_on is None:
                raise RowRefused(closed_on=f"A {stage.kind.label.lower()} deal needs the day on which it was closed.")
            if closed_on > self.today:
                raise RowRefused(closed_on=f"The closing day {closed_on} lies in the future.")
            if closed_on < opened_on:
                raise RowRefused(closed_on=f"The deal can't be closed on {closed_on}, before it was opened on {opened_on}.")
            values["closed_on"] = closed_on
        for key, kind in (("lost_reason", StageKind.LOST), ("won_reason", StageKind.WON)):
            if stage.kind is not kind and (values.get(key) or (old is not None and getattr(old, key))):
                values[key] = None

    def _probability(self, values: dict[str, Any], stage: StageFacts, moved: bool) -> None:
        given = values.pop("probability_pct", None)
        if stage.kind is not StageKind.OPEN:
            values["probability_pct"] = stage.probability_pct
        elif given is not None and given != stage.probability_pct:
            values["probability_pct"], values["probability_own"] = round(given), True
        elif moved:
            values["probability_pct"] = stage.probability_pct

    def _since(self, batch: "Batch", day: date) -> datetime:
        """Noon of the day where the person is, so that it stays the same day for readers in most other time zones; never in the future."""
        noon = datetime.combine(day, time(12), ZoneInfo(batch.actor.timezone)).astimezone(UTC)
        return min(noon, batch.now)

    def wrote(self, batch: "Batch", created: Sequence[Written], updated: Sequence[Written]) -> None:
        moved = [row for row in updated if "stage_id" in row.old]
        unseen = self._unseen(batch, moved)
        rows = [self._event(batch, row, known=row.id not in unseen) for row in (*created, *moved)]
        if rows:
            batch.insert(_EVENTS, rows)

    def _unseen(self, batch: "Batch", moved: Sequence[Written]) -> set[int]:
        """Deals whose stay until now began with an import."""
        since = {row.id: row.old.get("stage_since", row.columns["stage_since"]) for row in moved}
        found = select(_EVENTS.c.deal_id, _EVENTS.c.at, _EVENTS.c.created_at).where(_EVENTS.c.deal_id.in_(list(since)))
        rows = batch.session.execute(found).all() if since else []
        return {row.deal_id for row in rows if row.at == since[row.deal_id] and deal_rules.began_unseen(row.at, row.created_at)}

    def _event(self, batch: "Batch", row: Written, *, known: bool) -> dict[str, Any]:
        at = row.columns["stage_since"]
        since = row.old.get("stage_since", at if row.old else None)
        seconds = max(0, int((at - since).total_seconds())) if since and known else None
        return batch.stamp(
            deal_id=row.id,
            from_stage_id=row.old.get("stage_id"),
            to_stage_id=row.columns["stage_id"],
            at=at,
            by_id=batch.actor.user_id,
            seconds_in_from=seconds,
        )

    def name_change(self, row: Written) -> None:
        """The event of an update that moved the deal says so."""
        if "stage_id" not in row.old:
            return
        now, before = self.stages.get(row.columns["stage_id"]), self.stages.get(row.old["stage_id"])
        kind = now.kind if now else StageKind.OPEN
        reopened = kind is StageKind.OPEN and before is not None and before.kind is not StageKind.OPEN
        row.event_type = (
            "deal.reopened" if reopened else {StageKind.WON: "deal.won", StageKind.LOST: "deal.lost"}.get(kind, "deal.stage_moved")
        )
        names = {"from": self.names.get(row.old["stage_id"], ""), "to": self.names.get(row.columns["stage_id"], "")}
        row.event_data = {**names, "reason": row.columns.get("lost_reason") or ""}
