"""Automations as people keep them: write, check, switch on and off, look at runs, try again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, func, select
from sqlmodel import Session, col

from crm_core import db, events, filters, lists, records
from crm_core.access import Actor, require
from crm_core.automation_inbox import call_worker
from crm_core.entities import entity
from crm_core.errors import Conflict, CrmError, Invalid, NotFound
from crm_core.fields import registry
from crm_core.format import instant
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clean, fold, sort_key
from crm_core.models import Automation, AutomationRun, AutomationVersion, Event
from crm_core.ordering import alphabetical
from crm_core.services.automation import flow_rules, steps
from crm_core.services.automation.engine import (
    AUTOMATIONS,
    EVENTS,
    OPEN,
    RUNS,
    STEPS,
    VERSIONS,
    Known,
    active,
    alone,
    end,
    owner_of,
    stop_run,
)
from crm_core.services.automation.steps.base import Names
from crm_core.services.automation.taking_up import Cause, begin, fits
from crm_core.services.collaboration import halts
from crm_core.vocabulary import Action, AutomationState, FieldKind, FlowState, HaltKind, StepOutcome, TriggerKind


@dataclass(frozen=True)
class Row:
    """An automation on the list: runs of the last 30 days by state, and when it last did something."""

    automation: Automation
    owner: str
    runs: Mapping[FlowState, int]
    last_at: datetime | None


@dataclass(frozen=True)
class StepTaken:
    """One step of a run as its log shows it."""

    at: datetime
    kind: str
    outcome: StepOutcome
    message: str


@dataclass(frozen=True)
class RunView:
    """One run; ``title``: the record's name as the reader may see it, "" for a hidden one."""

    run: AutomationRun
    title: str
    taken: tuple[StepTaken, ...]


# --- looking ----------------------------------------------------------------------------------------------------------------


def find(session: Session, actor: Actor) -> list[Row]:
    """All automations: those that need a look first, then by name."""
    require(actor, "automation", Action.READ)
    since = utcnow() - timedelta(days=30)
    counts: dict[int, dict[FlowState, int]] = {}
    last: dict[int, datetime] = {}
    found = select(RUNS.c.automation_id, RUNS.c.state, func.count(), func.max(RUNS.c.created_at)).where(RUNS.c.created_at > since)
    for key, state, n, at in session.execute(found.group_by(RUNS.c.automation_id, RUNS.c.state)):
        counts.setdefault(key, {})[FlowState(state)] = n
        last[key] = max(at, last.get(key, at))
    rows = session.execute(select(Automation)).scalars().all()
    owners = lists.titles(session, actor, "user", {row.owner_id for row in rows})
    made = [Row(row, owners.get(row.owner_id or 0, ""), counts.get(row.id, {}), last.get(row.id)) for row in rows]
    order = {AutomationState.PAUSED: 0, AutomationState.ACTIVE: 1, AutomationState.DRAFT: 2}
    return sorted(made, key=lambda row: (order[row.automation.state], sort_key(row.automation.name)))


def get(session: Session, actor: Actor, automation_id: int | None) -> Automation:
    """One automation. Raises NotFound."""
    require(actor, "automation", Action.READ)
    row = session.get(Automation, automation_id) if automation_id else None
    if row is None:
        raise NotFound("This automation no longer exists.")
    return row


def flow(session: Session, actor: Actor, automation_id: int, number: int | None = None) -> dict[str, Any]:
    """What an automation does, in its current version or in an earlier one."""
    row = get(session, actor, automation_id)
    query = select(AutomationVersion).where(
        col(AutomationVersion.automation_id) == automation_id, col(AutomationVersion.number) == (number or row.current)
    )
    found = session.execute(query).scalar()
    if found is None:
        raise NotFound("There is no such version.")
    return dict(found.flow)


def versions(session: Session, actor: Actor, automation_id: int) -> list[tuple[int, datetime, str]]:
    """Number, instant and author of every version, the latest first."""
    get(session, actor, automation_id)
    found = select(AutomationVersion).where(col(AutomationVersion.automation_id) == automation_id)
    rows = session.execute(found.order_by(col(AutomationVersion.number).desc())).scalars().all()
    names = lists.titles(session, actor, "user", {row.author_id for row in rows})
    return [(row.number, row.created_at, names.get(row.author_id or 0, "")) for row in rows]


def taken_over(session: Session, actor: Actor, automation_id: int) -> list[tuple[datetime, str, str]]:
    """When it began to act for somebody else, for whom, and for whom before, the latest first."""
    get(session, actor, automation_id)
    told = select(Event).where(
        col(Event.entity) == "automation", col(Event.record_id) == automation_id, col(Event.type) == "automation.taken_over"
    )
    rows = session.execute(told.order_by(col(Event.id).desc()).limit(20)).scalars().all()
    names = lists.titles(session, actor, "user", {row.actor_id for row in rows})
    return [(row.at, names.get(row.actor_id or 0, ""), str(row.data.get("before") or "")) for row in rows]


@dataclass(frozen=True)
class Story:
    """What an automation does, in words: ``when`` it begins, each step by its name. Plain text; filters and arms are in ``flow``."""

    flow: Mapping[str, Any]
    when: str
    sentences: Mapping[str, str]

    @property
    def entity(self) -> str:
        return str(self.flow.get("entity") or "")

    @property
    def filter(self) -> Mapping[str, Any] | None:
        return self.flow.get("if")

    @property
    def steps(self) -> tuple[tuple[str, int], ...]:
        """Each step as a sentence with its depth."""
        return tuple((self.sentences[step["id"]], depth) for step, depth in flow_rules.walk(self.flow.get("steps") or ()))


def story(session: Session, actor: Actor, automation_id: int, number: int | None = None) -> Story:
    """An automation in words, in its current version or in an earlier one."""
    return told(session, actor, flow(session, actor, automation_id, number))


def told(session: Session, actor: Actor, shown: Mapping[str, Any]) -> Story:
    """A flow in words, finished or not."""
    require(actor, "automation", Action.READ)
    if shown.get("entity") not in flow_rules.ENTITIES:
        return Story(shown, "", {})
    specs = registry(session, shown["entity"])

    def value(field: str, raw: Any) -> str:
        spec = specs.get(field)
        if spec is not None and spec.to and isinstance(raw, int):
            return lists.titles(session, actor, spec.to, {raw}).get(raw, "something hidden")
        if isinstance(raw, bool):
            return "yes" if raw else "no"
        return str((spec.options or {}).get(raw, raw) if spec is not None else raw)

    when = flow_rules.when(shown, {key: spec.label for key, spec in specs.items()}, value)
    return Story(shown, when, describe(session, actor, shown))


def describe(session: Session, actor: Actor, shown: Mapping[str, Any]) -> dict[str, str]:
    """Every step of a flow as a sentence, by its name. Plain text."""
    names = Names(session, actor, shown["entity"])
    return {step["id"]: _sentence(step, names) for step, _ in flow_rules.walk(shown.get("steps") or ())}


def _sentence(step: Mapping[str, Any], names: Names) -> str:
    kind = steps.kinds().get(str(step.get("kind")))
    if kind is None:
        return "A step that this version does not know"
    try:
        return kind.describe(step, names)
    except CrmError as error:
        return f"{kind.title}: {error.message}"


def run_counts(session: Session, actor: Actor, automation_id: int) -> dict[FlowState, int]:
    """How many runs there are in each state."""
    get(session, actor, automation_id)
    found = select(RUNS.c.state, func.count()).where(RUNS.c.automation_id == automation_id).group_by(RUNS.c.state)
    return {FlowState(state): n for state, n in session.execute(found)}


def under_way(session: Session, actor: Actor, automation_id: int) -> dict[int, int]:
    """How many runs are under way in each version."""
    get(session, actor, automation_id)
    open_ones = select(RUNS.c.version_number, func.count()).where(RUNS.c.automation_id == automation_id, RUNS.c.state.in_(OPEN))
    return dict(session.execute(open_ones.group_by(RUNS.c.version_number)).tuples().all())


def runs(
    session: Session, actor: Actor, automation_id: int, *, state: FlowState | None = None, page: int = 1, size: int = 20
) -> tuple[list[RunView], int]:
    """One page of runs, the latest first, with what each step did."""
    automation = get(session, actor, automation_id)
    clause = [RUNS.c.automation_id == automation_id, *([RUNS.c.state == state] if state else [])]
    total = session.execute(select(func.count()).select_from(RUNS).where(*clause)).scalar_one()
    page = min(max(1, page), max(1, -(-total // size)))
    query = select(AutomationRun).where(*clause).order_by(RUNS.c.id.desc()).limit(size).offset((page - 1) * size)
    found = list(session.execute(query).scalars())
    return _views(session, actor, automation.entity, found), int(total)


def runs_of(session: Session, actor: Actor, entity_key: str, record_id: int) -> list[tuple[RunView, str]]:
    """What automations did with a record that the actor may see, the latest first, with the automations' names."""
    entity(entity_key)
    if record_id not in lists.titles(session, actor, entity_key, {record_id}):
        return []
    query = select(AutomationRun).where(
        RUNS.c.entity == entity_key, RUNS.c.record_id == record_id, RUNS.c.state != FlowState.SKIPPED
    )
    found = list(session.execute(query.order_by(RUNS.c.id.desc()).limit(10)).scalars())
    names = dict(session.execute(select(col(Automation.id), col(Automation.name))).tuples().all()) if found else {}
    return [(view, names.get(view.run.automation_id, "")) for view in _views(session, actor, entity_key, found)]


def _views(session: Session, actor: Actor, entity_key: str, found: Sequence[AutomationRun]) -> list[RunView]:
    titles = lists.titles(session, actor, entity_key, {run.record_id for run in found})
    taken: dict[int, list[StepTaken]] = {}
    log = select(STEPS).where(STEPS.c.run_id.in_([run.id for run in found])).order_by(STEPS.c.id)
    for row in session.execute(log) if found else ():
        taken.setdefault(row.run_id, []).append(StepTaken(row.at, row.kind, row.outcome, _said(actor, row)))
    return [
        RunView(run, titles.get(run.record_id, ""), tuple(taken.get(run.id, ())) if run.record_id in titles else ())
        for run in found
    ]


def _said(actor: Actor, step: Any) -> str:
    """What a step said; of a wait its end on the reader's own clock."""
    return str(step.message) if step.until is None else f"Until {instant(actor, step.until)}"


# --- keeping ----------------------------------------------------------------------------------------------------------------


def problems(session: Session, actor: Actor, shown: Mapping[str, Any]) -> dict[str, str]:
    """What keeps a flow from being switched on: sentences per place or name of a step."""
    wrong = flow_rules.problems(shown)
    if "entity" in wrong:
        return wrong
    if message := _trigger_problem(session, shown):
        wrong.setdefault("trigger", message)
    for place in ("if", "before", "goal"):
        if shown.get(place) and (message := _filter_problem(session, actor, shown["entity"], shown[place])):
            wrong[place] = message
    for step, _ in flow_rules.walk(shown.get("steps") or ()):
        if message := _step_problem(session, actor, shown, step):
            wrong[step["id"]] = message
    return wrong


def _trigger_problem(session: Session, shown: Mapping[str, Any]) -> str:
    """What is wrong with the fields that a trigger watches or counts from: they may be gone meanwhile."""
    trigger, specs = shown.get("trigger") or {}, registry(session, shown["entity"])
    if trigger.get("kind") == TriggerKind.DATE.value and trigger.get("field"):
        spec = specs.get(str(trigger["field"]))
        return (
            "" if spec and spec.kind in (FieldKind.DATE, FieldKind.DATETIME) else "The date to count from is gone. Choose another."
        )
    if trigger.get("kind") == TriggerKind.CHANGED.value and any(
        one.get("field") not in specs for one in trigger.get("fields") or ()
    ):
        return "A field that it watches is gone. Choose again."
    return ""


def _filter_problem(session: Session, actor: Actor, entity_key: str, ast: Mapping[str, Any]) -> str:
    try:
        filters.bind(session, entity_key, ast, filters.Context(actor))
    except CrmError as error:
        return error.message
    return ""


def _step_problem(session: Session, actor: Actor, shown: Mapping[str, Any], step: Mapping[str, Any]) -> str:
    kind = steps.kinds().get(str(step.get("kind")))
    if kind is None:
        return "This version does not know such a step."
    if kind.entities and shown["entity"] not in kind.entities:
        return f"“{kind.title}” can't be done with {entity(shown['entity']).plural.lower()}."
    asked = [param for param in kind.params if param.only is None or step.get(param.only[0]) == param.only[1]]
    missing = [param.label for param in asked if param.required and step.get(param.key) in (None, "", [])]
    if missing:
        return f"Fill in: {', '.join(missing)}."
    return kind.problem(session, actor, shown, step) if kind.problem else ""


def save(
    session: Session, actor: Actor, automation_id: int | None, *, name: str, flow: Mapping[str, Any], hourly_cap: int = 200,
    recipe: str = "", base_version: int | None = None,
) -> Automation:  # fmt: skip
    """Write an automation down as a new version. Runs under way keep the version they began with. A draft may be unfinished; an active
    one may not, and acts with the rights of whoever saved it last. Events: automation.saved, automation.taken_over."""
    require(actor, "automation", Action.MANAGE)
    row = (
        get(session, actor, automation_id)
        if automation_id
        else Automation(name="", entity="", owner_id=actor.user_id, recipe=recipe)
    )
    records.refuse_stale("this automation", row, base_version)
    tidy = flow_rules.tidy(flow)
    if tidy["entity"] not in flow_rules.ENTITIES:
        raise Invalid(fields={"entity": "Choose what the automation is about."})
    if automation_id and row.entity != tidy["entity"]:
        raise Invalid(fields={"entity": "What an automation is about stays as it was. Make a new one instead."})
    if row.state is AutomationState.ACTIVE:
        _refuse(session, actor, tidy)
        _take_over(session, actor, row)
    row.name, row.entity = _free_name(session, name, row.id), tidy["entity"]
    row.hourly_cap = max(1, min(int(hourly_cap), flow_rules.MOST_AN_HOUR))
    before = _flow_of(session, row) if row.current else None
    if before is None or before["trigger"] != tidy["trigger"]:
        row.active_since = row.checked_at = utcnow()  # what another trigger would have wanted until now is past
    if before != tidy:
        row.current += 1
        row.listens = flow_rules.listens(tidy)
        session.add(row)
        session.flush()
        session.add(AutomationVersion(automation_id=row.id, number=row.current, flow=tidy, author_id=actor.user_id))
    session.add(row)
    session.flush()
    events.record(session, actor, "automation.saved", entity="automation", record_id=row.id, data={"name": row.name})
    return row


def _take_over(session: Session, actor: Actor, row: Automation) -> None:
    """Let it act for the actor from now on; told where it acted for somebody else."""
    before, row.owner_id = row.owner_id, actor.user_id
    if before not in (None, actor.user_id):
        told = {"name": row.name, "before": lists.titles(session, actor, "user", {before}).get(before or 0, "")}
        events.record(session, actor, "automation.taken_over", entity="automation", record_id=row.id, data=told)


def _flow_of(session: Session, row: Automation) -> dict[str, Any]:
    """The current flow of a loaded automation. The caller has asked."""
    query = select(AutomationVersion.flow).where(  # type: ignore[call-overload]
        col(AutomationVersion.automation_id) == row.id, col(AutomationVersion.number) == row.current
    )
    return dict(session.execute(query).scalar_one())


def _free_name(session: Session, name: str, own_id: int | None) -> str:
    text = clean(name)[:120]
    if not text:
        raise Invalid(fields={"name": "Give the automation a name."})
    taken = session.execute(select(col(Automation.id), col(Automation.name))).tuples().all()
    if any(other != own_id and fold(known) == fold(text) for other, known in taken):
        raise Invalid(fields={"name": f"There is an automation called “{text}” already."})
    return text


def _refuse(session: Session, actor: Actor, tidy: Mapping[str, Any]) -> None:
    wrong = problems(session, actor, tidy)
    if wrong:
        raise Invalid("This can't be switched on yet: " + " ".join(dict.fromkeys(wrong.values())), fields=wrong)


def activate(session: Session, actor: Actor, automation_id: int) -> Automation:
    """Switch an automation on. From now on it acts with the rights of whoever switches it on. Events: automation.activated,
    automation.taken_over."""
    require(actor, "automation", Action.MANAGE)
    row = get(session, actor, automation_id)
    _refuse(session, actor, _flow_of(session, row))
    _take_over(session, actor, row)
    row.state, row.reason = AutomationState.ACTIVE, ""
    row.active_since = row.checked_at = utcnow()
    session.add(row)
    session.flush()
    events.record(session, actor, "automation.activated", entity="automation", record_id=row.id, data={"name": row.name})
    call_worker(session)
    return row


def pause(session: Session, actor: Actor, automation_id: int) -> Automation:
    """Switch an automation off for now: nothing new starts, runs under way rest until it is on again. Events: automation.paused."""
    require(actor, "automation", Action.MANAGE)
    row = get(session, actor, automation_id)
    if row.state is AutomationState.ACTIVE:
        row.state, row.reason = AutomationState.PAUSED, f"by {actor.name}"
        session.add(row)
        session.flush()
        data = {"name": row.name, "reason": row.reason}
        events.record(session, actor, "automation.paused", entity="automation", record_id=row.id, data=data)
    return row


def remove(session: Session, actor: Actor, automation_id: int) -> None:
    """Delete an automation with its runs; what it did to records stays. Events: automation.removed."""
    require(actor, "automation", Action.MANAGE)
    row = get(session, actor, automation_id)
    if row.state is AutomationState.ACTIVE:
        raise Conflict("Switch the automation off before you remove it.")
    session.delete(row)
    session.flush()
    events.record(session, actor, "automation.removed", entity="automation", record_id=automation_id, data={"name": row.name})


# --- runs by hand ------------------------------------------------------------------------------------------------------------


def manual(session: Session, actor: Actor, entity_key: str) -> list[Any]:
    """Automations that are on and wait for somebody to start them for a kind of record: id, name and flow of each, by name."""
    if not (actor.can("automation", Action.READ) and actor.can(entity_key, Action.EDIT)):
        return []
    return list(
        db.shared(session, ("by hand", entity_key), (AUTOMATIONS.name, VERSIONS.name), lambda: _manual(session, entity_key))
    )


def _manual(session: Session, entity_key: str) -> list[Any]:
    current = and_(VERSIONS.c.automation_id == AUTOMATIONS.c.id, VERSIONS.c.number == AUTOMATIONS.c.current)
    on = (AUTOMATIONS.c.entity == entity_key, AUTOMATIONS.c.state == AutomationState.ACTIVE)
    query = select(AUTOMATIONS.c.id, AUTOMATIONS.c.name, VERSIONS.c.flow).join(VERSIONS, current).where(*on)
    rows = session.execute(query.order_by(alphabetical(AUTOMATIONS.c.name))).all()
    return [row for row in rows if row.flow["trigger"].get("kind") == TriggerKind.MANUAL.value]


def start(session: Session, actor: Actor, automation_id: int, record_id: int, *, submit_key: str) -> bool:
    """Start an automation by hand for a record that the actor may see; False when its conditions do not hold or it runs already."""
    row = get(session, actor, automation_id)
    require(actor, row.entity, Action.EDIT)
    if record_id not in lists.titles(session, actor, row.entity, {record_id}):
        raise NotFound("This record does not exist, or is not shared with you.")
    known = next((one for one in active(session) if one.row.id == automation_id), None)
    if known is None:
        raise Conflict("This automation is not switched on.")
    if halts.halted(session, HaltKind.AUTOMATIONS):
        raise Conflict("All automations are stopped for now. Start this one when they go on again.")
    alone(session, f"hand:{automation_id}:{record_id}")
    started = begin(session, known, record_id, f"hand:{submit_key}")
    if started:
        call_worker(session)
    return started is not None


def retry(session: Session, actor: Actor, run_id: int) -> AutomationRun:
    """Take a failed run up again at the step where it failed. Events: automation.run_retried."""
    run, row = _run(session, actor, run_id)
    if run.state is not FlowState.FAILED:
        raise Conflict("Only a failed run can be tried again.")
    run.state, run.due_at, run.ended_at, run.attempts, run.message = FlowState.RUNNING, utcnow(), None, 0, ""
    if not run.step_id:
        _ask_again(session, run, row)
    session.add(run)
    session.flush()
    events.record(session, actor, "automation.run_retried", entity="automation", record_id=row.id, data={"name": row.name})
    call_worker(session)
    return run


def _ask_again(session: Session, run: AutomationRun, row: Automation) -> None:
    """A run whose condition could not be asked takes the flow of today, if its condition holds. Raises Conflict while it can't be asked."""
    current, owner = _flow_of(session, row), owner_of(session, row)
    if owner is None:
        raise Conflict("The person it acts for was deactivated. Switch it on again first.")
    event = session.execute(select(EVENTS).where(EVENTS.c.id == run.cause_id)).first()
    try:
        holds = fits(session, Known(row, current, owner), Cause(run.record_id, run.trigger_key, event))
    except CrmError as error:
        raise Conflict(f"The condition still can't be asked: {error.message}") from error
    run.version_number, run.step_id = row.current, flow_rules.first(current["steps"])
    if not holds:
        end(run, FlowState.SKIPPED, "Its condition does not hold")


def retry_all(session: Session, actor: Actor, automation_id: int) -> int:
    """Take up to 500 failed runs up again, the oldest first; gives how many. Events: automation.run_retried each."""
    require(actor, "automation", Action.MANAGE)
    failed = select(RUNS.c.id).where(RUNS.c.automation_id == automation_id, RUNS.c.state == FlowState.FAILED)
    ids = list(session.execute(failed.order_by(RUNS.c.id).limit(500)).scalars())
    for run_id in ids:
        retry(session, actor, run_id)
    return len(ids)


def stop(session: Session, actor: Actor, run_id: int) -> AutomationRun:
    """End a run that is under way. Events: automation.run_stopped."""
    run, row = _run(session, actor, run_id)
    return stop_run(session, actor, run, row.name)


def _run(session: Session, actor: Actor, run_id: int) -> tuple[AutomationRun, Automation]:
    require(actor, "automation", Action.MANAGE)
    run = session.get(AutomationRun, run_id)
    if run is None:
        raise NotFound("This run no longer exists.")
    return run, get(session, actor, run.automation_id)
