"""What an automation would do with one record, step by step: every step is really taken, in a savepoint that is rolled back."""

import logging
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlmodel import Session

from crm_core import lists
from crm_core.access import Actor, require
from crm_core.entities import entity
from crm_core.errors import CrmError, Invalid, NotFound
from crm_core.kit.clock import utcnow
from crm_core.services.automation import automations, flow_rules, steps
from crm_core.services.automation.engine import STEPS_AT_ONCE
from crm_core.services.automation.sight import wanted
from crm_core.services.automation.steps.base import Branched, Context, Exit, Later, Skipped, Waited
from crm_core.services.automation.steps.control import matches
from crm_core.services.automation.steps.outreach import over
from crm_core.vocabulary import Action, StepOutcome

log = logging.getLogger("rapport.automation")


@dataclass(frozen=True)
class Line:
    """One step as it would go. ``words``: what the step is; ``message``: what would come of it; ``at``: when; ``outcome``: None where it would wait
    before the step."""

    at: datetime
    kind: str
    words: str
    message: str
    outcome: StepOutcome | None


@dataclass(frozen=True)
class Trial:
    """``matches``: whether the record meets the conditions now; the steps are shown in either case."""

    title: str
    matches: bool
    lines: tuple[Line, ...]
    end: str


def run(session: Session, actor: Actor, flow: Mapping[str, Any], record_id: int, *, automation_id: int | None = None) -> Trial:
    """Take every step of a flow with a record that the actor may see, and take all of it back. Waits are passed over, conditions look at the
    record as it is now. Raises Invalid while the flow has faults, NotFound."""
    require(actor, "automation", Action.MANAGE)
    tidy = flow_rules.tidy(flow)
    wrong = {place: sentence for place, sentence in automations.problems(session, actor, tidy).items() if place != "trigger"}
    if wrong:
        raise Invalid("Finish the automation first: " + " ".join(dict.fromkeys(wrong.values())), fields=wrong)
    title = lists.titles(session, actor, tidy["entity"], {record_id}).get(record_id)
    if title is None:
        raise NotFound("This record does not exist, or is not shared with you.")
    sentences = automations.describe(session, actor, tidy)
    info = dict(session.info)
    point = session.begin_nested()
    try:
        walk = _Walk(session, actor, tidy, record_id, sentences, automation_id or 0)
        return Trial(title, walk.fits(), tuple(walk), walk.end)
    finally:
        point.rollback()
        session.info.clear()  # no worker is called, nothing counts as changed
        session.info.update(info)


class _Walk:
    """The steps that one run would take, in their order."""

    def __init__(
        self,
        session: Session,
        actor: Actor,
        flow: Mapping[str, Any],
        record_id: int,
        sentences: Mapping[str, str],
        automation_id: int,
    ) -> None:
        self.session, self.actor, self.flow, self.record_id = session, actor, flow, record_id
        self.sentences, self.automation_id = sentences, automation_id
        self.now, self.end, self.name = utcnow(), "", f"trial-{uuid.uuid4().hex}"

    def context(self, step_id: str) -> Context:
        found = entity(self.flow["entity"])
        mine = select(found.model).where(found.table.c.id == self.record_id, *wanted(self.session, self.actor, found.key, None))
        record = self.session.execute(mine.execution_options(populate_existing=True)).scalar()
        if record is None:
            raise NotFound("The record is no longer shared with you.")
        key = f"{self.name}:{step_id}"
        return Context(self.session, self.actor, self.automation_id, "", found.key, record, key, self.now)

    def fits(self) -> bool:
        return matches(self.context(""), self.flow.get("if"))

    def __iter__(self) -> Iterator[Line]:
        step_id = flow_rules.first(self.flow["steps"])
        for _ in range(STEPS_AT_ONCE):
            step = flow_rules.find(self.flow["steps"], step_id) if step_id else None
            if step is None:
                return
            line, step_id = self.take(step)
            if line is not None:
                yield line

    def take(self, step: Mapping[str, Any]) -> tuple[Line | None, str]:
        """One step, and the name of the next."""
        at = self.now
        try:
            with self.session.begin_nested():
                context = self.context(step["id"])
                if why := over(context, self.flow):
                    self.end = f"{why}."
                    return None, ""
                result = steps.kind(step["kind"]).run(context, step)
                self.session.flush()
        except Exception as error:
            self.end = "Here it would stop and wait for somebody to look."
            return self.line(at, step, _words(error), StepOutcome.FAILED), ""
        if isinstance(result, Later):
            waits = self.line(at, step, f"Would wait for {result.why}", None)
            if result.open_end:
                self.end = "From here it would go on by itself."
                return waits, ""
            self.now = max(self.now, result.until)
            return waits, step["id"]
        outcome = StepOutcome.SKIPPED if isinstance(result, Skipped) else StepOutcome.DONE
        return self.line(at, step, self.came_of(result), outcome), self.behind(step, result)

    def line(self, at: datetime, step: Mapping[str, Any], message: str, outcome: StepOutcome | None) -> Line:
        return Line(at, step["kind"], self.sentences.get(step["id"], ""), message, outcome)

    def came_of(self, result: Any) -> str:
        if isinstance(result, Waited):
            self.now = max(self.now, result.until)
            return ""
        if isinstance(result, Branched):
            return "Yes" if result.yes else "No"
        return str(result.message)

    def behind(self, step: Mapping[str, Any], result: Any) -> str:
        if isinstance(result, Exit):
            self.end = "It ends here."
            return ""
        if isinstance(result, Branched):
            return flow_rules.into(self.flow["steps"], step["id"], "yes" if result.yes else "no")
        return flow_rules.after(self.flow["steps"], step["id"])


def _words(error: Exception) -> str:
    if isinstance(error, CrmError):
        return error.message
    log.error("a step failed in a trial", exc_info=error)
    return f"A fault in the program ({type(error).__name__}); the log holds the details"
