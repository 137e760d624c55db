"""Everything that is kept about a person, for the person: a page to read, the same as JSON and CSV, and their files, in one ZIP."""

import json
import secrets
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup
from sqlalchemy import ColumnElement, and_, or_, select
from sqlmodel import Session

from crm_core import events, house, reads
from crm_core.access import Actor
from crm_core.db import read_session
from crm_core.errors import Unavailable
from crm_core.fields import registry
from crm_core.frames import arrow
from crm_core.jobs import Job, Superseded, job
from crm_core.kit.clock import utcnow
from crm_core.kit.csvio import to_csv
from crm_core.kit.money import to_major
from crm_core.models import Attachment, PrivacyRequest, Role, UserRole
from crm_core.personal_data import TABLES
from crm_core.services.admin.privacy import rows, scrubbing
from crm_core.services.admin.privacy.erasing import words_of
from crm_core.services.admin.privacy.rows import Person
from crm_core.services.admin.privacy.words_rules import Words
from crm_core.services.analytics.methods import method
from crm_core.services.collaboration import files, notifications
from crm_core.settings import settings
from crm_core.vocabulary import Action, ActivityKind, Choice, MessageDirection, PrivacyState

FOLDER = "privacy"
DAYS = 7
"""So long the file lies there for whoever asked for it."""

_ROLES: Any = Role.__table__  # type: ignore[attr-defined]
_HELD_ROLES: Any = UserRole.__table__  # type: ignore[attr-defined]
_FILES: Any = Attachment.__table__  # type: ignore[attr-defined]
_REQUESTS: Any = PrivacyRequest.__table__  # type: ignore[attr-defined]
_NOT_THEIRS = {
    "id", "version", "name_sort", "extra", "ids", "headers", "html", "candidates", "why", "people", "before", "undo", "raw_path", "claim", "mail",
    "message_id", "dedupe_key", "trigger_key", "slot", "quoted", "inverse", "words", "cursor", "outcome", "job_id", "file", "told", "told_version",
    "cause_id", "depth", "record_version", "attempts", "next_at", "claimed_at", "is_latest", "funnel", "call_sid", "batch", "step_id", "source_hash",
    "digest", "reason_key", "link", "tries", "turn", "node", "delivery_key",
}  # fmt: skip
"""Columns of the product's own: keys, counters, what repeats another one, and other people's names and addresses."""
_KEYS = ("_key", "_sha256", "_hash", "sha256")
_NAMES = ("name", "title", "number", "subject", "label")
LEFT_OUT = (
    "What other people wrote only for each other is left out: internal notes, and the words of notes that colleagues took.",
    "Names and addresses of other people in lists of recipients are left out, and which colleague did something. A letter or a message is given as it "
    "was written, also where it names somebody else.",
    "Files on records of other people and of companies are not in here, even where they name you: they are looked at by hand.",
    "Backups are not searched; they are deleted one after the other.",
)


@dataclass(frozen=True)
class Part:
    """One kind of data: ``columns`` in order, ``rows`` with their values as people and programs read them; ``left_out``: how many are not shown."""

    key: str
    label: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    left_out: int = 0


@job("privacy.copy", title="Put a person's data together", keep_days=30)
def copy_job(task: Job, request_id: int) -> None:
    """Reads first and writes the file, then says where it lies; begun anew, it makes the same file again. Whoever asked for it must still be allowed to."""
    with read_session() as session:
        request = session.get_one(PrivacyRequest, request_id)
        if request.state is not PrivacyState.RUNNING or request.job_id != task.id:
            return
        actor = task.asker(session)
        rows.require_all(actor, Action.MANAGE)
        who = rows.person(session, (request.entity, request.record_id))
        words = words_of(session, who)
        parts = [*collect(session, actor, who), *analyses(session, who)]
        mine = or_(rows.about(_FILES.name, who), rows.on_business(who, companies=False))
        attached = session.execute(select(_FILES).where(mine, _FILES.c.deleted_at.is_(None), _FILES.c.sha256 != "")).all()
        organisation = house.of(session)
    by_hand = _by_hand(who, words)
    folder = settings().data_dir / FOLDER
    name = f"{request_id}-{secrets.token_hex(16)}.zip"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        pack(folder / name, organisation.name if organisation else "", actor, request, parts, attached)
        with task.transaction() as session:
            _finish(session, actor, task.id, request_id, f"{FOLDER}/{name}", who, parts, by_hand)
            task.report(1, 1)
        for half in folder.glob(f"{request_id}-*.zip"):  # of a worker that was killed over it
            if half.name != name:
                half.unlink(missing_ok=True)
    except OSError as error:
        (folder / name).unlink(missing_ok=True)
        raise Unavailable("The file could not be kept: the data folder is full or can't be written to.", permanent=True) from error
    except BaseException:
        (folder / name).unlink(missing_ok=True)
        raise


def _by_hand(who: Person, words: Words) -> list[dict[str, Any]]:
    """The files of others that may hold something about the person, looked through a batch at a time."""
    found: list[dict[str, Any]] = []
    after: Any = None
    while len(found) < scrubbing.MOST_BY_HAND:
        with read_session() as session:
            after, named = scrubbing.to_look_at(session, who, words, after)
        found += named
        if after is None:
            break
    return found[: scrubbing.MOST_BY_HAND]


def _finish(
    session: Session, actor: Actor, job_id: str, request_id: int, name: str, who: Person, parts: Iterable[Part], by_hand: list[dict[str, Any]]
) -> None:  # fmt: skip
    request = session.get_one(PrivacyRequest, request_id)
    if request.job_id != job_id:
        raise Superseded("Another job has taken this request over.")
    request.state, request.done_at, request.expires_at = PrivacyState.DONE, utcnow(), utcnow() + timedelta(days=DAYS)
    request.file = name
    request.outcome = {"counts": {part.label: len(part.rows) for part in parts}, "by_hand": by_hand}
    session.add(request)
    for key, one in who.places:
        reads.exported(session, actor, key, [one], words="ZIP, for the person")
        events.record(session, actor, f"{key}.copy_made", entity=key, record_id=one)
    params = {
        "what": f"The copy of the data of {request.entity} {request.record_id}",
        "entity": request.entity,
        "id": request.record_id,
    }
    notifications.notify(session, request.by_id, kind="privacy.done", params=params, dedupe_key=f"privacy.done:{request.id}")


def expire(session: Session) -> int:
    """Delete reports whose time is over; gives how many. For the nightly job."""
    old = session.execute(select(_REQUESTS).where(_REQUESTS.c.file != "", _REQUESTS.c.expires_at < utcnow())).all()
    for row in old:
        scrubbing.forget_report(row.file)
        session.connection().execute(_REQUESTS.update().where(_REQUESTS.c.id == row.id).values(file=""))
    return len(old)


@job("privacy.expire", title="Delete old copies of people's data", cron="55 3 * * *", keep_days=7)
def expire_job(task: Job) -> None:
    """Every night."""
    with task.transaction() as session:
        expire(session)


# --- reading ---------------------------------------------------------------------------------------------------------------------


def collect(session: Session, actor: Actor, who: Person) -> list[Part]:
    """All rows about a person, kind by kind, in the order of the list of tables; kinds without rows are left out."""
    names = ["contact", "lead", "contact_point", "consent", *sorted(rows.tables()), *rows.HANGING]
    shown = [name for name in dict.fromkeys(names) if TABLES[name].label]
    found = (_part(session, actor, name, who) for name in shown)
    return [part for part in found if part.rows or part.left_out]


def _part(session: Session, actor: Actor, name: str, who: Person) -> Part:
    table = rows.table_of(name)
    columns = [column for column in table.c if _theirs(column)]
    order = next(table.c[key] for key in ("at", "ordered_at", "created_at", "id") if key in table.c)
    found = session.execute(select(table).where(_clause(name, who)).order_by(order)).all()
    kept = [row for row in found if not _internal(name, row)]
    links = {
        column.name: _titles(session, column, {getattr(row, column.name) for row in kept})
        for column in columns
        if column.foreign_keys
    }
    specs = registry(session, key) if (key := scrubbing.entity_of_table(name)) else {}
    own = [spec for spec in specs.values() if spec.custom]
    reader = _roles(session, {row.user_id for row in kept}) if name == "personal_read" else {}
    header = [specs[column.name].label if column.name in specs else _label(column.name) for column in columns]
    header += [spec.label for spec in own] + (["By somebody who is"] if reader else [])
    lines = [
        (
            *(_value(actor, column, row, links, name) for column in columns),
            *((row.extra or {}).get(spec.key) for spec in own),
            *([reader.get(row.user_id, "")] if reader else []),
        )
        for row in kept
    ]
    used = [at for at in range(len(header)) if any(line[at] not in (None, "", [], {}) for line in lines)]
    return Part(
        name, TABLES[name].label, tuple(header[at] for at in used), tuple(tuple(line[at] for at in used) for line in lines), len(found) - len(kept)
    )  # fmt: skip


def _clause(name: str, who: Person) -> ColumnElement[bool]:
    """Of the log only what happened to their record itself: calls and tickets stand for themselves."""
    if name != "event_log":
        return rows.about(name, who)
    table = rows.table_of(name)
    return or_(*(and_(table.c.entity == key, table.c.record_id == one) for key, one in who.places))


def _theirs(column: Any) -> bool:
    if (
        column.name in _NOT_THEIRS
        or column.name.endswith(_KEYS)
        or column.name in ("entity", "record_id", "deleted_at", "updated_at")
    ):
        return False
    links = {one.column.table.name for one in column.foreign_keys}
    if links:
        return not links & {"app_user", "contact", "lead", "activity", "team", "mailbox", "meeting_guest"}
    return not column.name.endswith("_id")


def _internal(name: str, row: Any) -> bool:
    """What colleagues wrote for each other."""
    return (name == "ticket_message" and row.direction is MessageDirection.INTERNAL) or (
        name == "activity" and row.kind is ActivityKind.NOTE
    )


def _titles(session: Session, column: Any, ids: set[Any]) -> Mapping[Any, str]:
    table = next(iter(column.foreign_keys)).column.table
    name = next((key for key in _NAMES if key in table.c), None)
    if table.name == "ticket":
        name = "number"
    wanted = [one for one in ids if one is not None]
    if name is None or not wanted:
        return {}
    return dict(session.execute(select(table.c.id, table.c[name]).where(table.c.id.in_(wanted))).tuples().all())


def _roles(session: Session, users: set[Any]) -> dict[Any, str]:
    """What readers are here: not who they are."""
    found: dict[Any, str] = {}
    query = select(_HELD_ROLES.c.user_id, _ROLES.c.name).join(_ROLES, _ROLES.c.id == _HELD_ROLES.c.role_id)
    for user_id, role in session.execute(query.where(_HELD_ROLES.c.user_id.in_([one for one in users if one]))):
        found[user_id] = ", ".join(sorted({*filter(None, found.get(user_id, "").split(", ")), role}))
    return found


def _value(actor: Actor, column: Any, row: Any, links: Mapping[str, Mapping[Any, str]], name: str) -> Any:
    value = getattr(row, column.name)
    if column.name in links:
        return links[column.name].get(value, "")
    if isinstance(value, Choice):
        return value.label
    if name == "event_log" and column.name == "type":
        return str(value).replace(".", " ").replace("_", " ")
    if isinstance(value, datetime):
        return value.astimezone(ZoneInfo(actor.timezone)).isoformat(sep=" ", timespec="minutes")
    if isinstance(value, date):
        return value.isoformat()
    if column.name.endswith("_minor") and isinstance(value, int):
        return str(to_major(value, actor.currency))
    return value if isinstance(value, str | int | float | bool | list | dict) or value is None else str(value)


def _label(name: str) -> str:
    return name.removesuffix("_id").removesuffix("_minor").removesuffix("_at").removesuffix("_on").replace("_", " ").capitalize()


def analyses(session: Session, who: Person) -> list[Part]:
    """The person's rows in the tables of analyses."""
    table, runs = rows.table_of("analysis_table"), rows.table_of("analysis_run")
    lines: list[tuple[Any, ...]] = []
    after: Any = None
    while True:
        after, keys, _ = scrubbing.holding_tables(session, who, after)
        joined = select(table.c.data, table.c.name, runs.c.kind, runs.c.params, runs.c.as_of).join(
            runs, runs.c.id == table.c.run_id
        )
        for row in session.execute(joined.where(table.c.id.in_(keys))):
            frame = arrow.unpack(row.data)
            mine = frame[scrubbing.theirs(frame, row.kind, row.params or {}, who)]
            for record in json.loads(mine.to_json(orient="records", date_format="iso")):
                lines.append((method(row.kind).title, row.as_of.isoformat(), row.name.strip("_"), record))
        if after is None:
            break
    return [Part("analyses", "Results of analyses", ("Analysis", "As of", "Table", "Values"), tuple(lines))] if lines else []


# --- writing -----------------------------------------------------------------------------------------------------------------------


def pack(path: Path, house_name: str, actor: Actor, request: PrivacyRequest, parts: list[Part], attached: Iterable[Any]) -> None:
    """Write the ZIP: ``index.html``, ``data.json``, ``csv/…``, ``files/…``. It grows in the data folder; in memory is one file at a time."""
    lost = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        with file.open("data.json", "w") as out:
            for text in json.JSONEncoder(ensure_ascii=False, indent=1, default=str).iterencode(_as_json(request, parts)):
                out.write(text.encode())
        for part in parts:
            table = to_csv(part.columns, ([_cell(value) for value in line] for line in part.rows))
            file.writestr(f"csv/{part.key}.csv", table)
        for row in attached:
            try:
                file.writestr(f"files/{row.id}-{files.file_name(row.name)}", files.content_of(row.sha256))
            except Unavailable:
                lost.append(row.name)
        file.writestr("index.html", page(house_name, actor, parts, lost))


def _as_json(request: PrivacyRequest, parts: Iterable[Part]) -> dict[str, Any]:
    return {
        "made_at": utcnow().isoformat(), "record": f"{request.entity} {request.record_id}", "left_out": list(LEFT_OUT),
        "data": {
            part.key: {"label": part.label, "rows": [dict(zip(part.columns, line, strict=True)) for line in part.rows], "not_shown": part.left_out}
            for part in parts
        },
    }  # fmt: skip


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list | dict) else value


_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;color:#1f2430;background:#fff;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2.5rem}p,li{max-width:44rem}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.875rem}
th,td{text-align:left;vertical-align:top;padding:.35rem .8rem .35rem 0;border-bottom:1px solid #d9dce3}
td{max-width:26rem;overflow-wrap:anywhere;white-space:pre-wrap}small{color:#5b6270}
@media (prefers-color-scheme:dark){body{background:#14171f;color:#e6e8ee}th,td{border-color:#343a48}small{color:#a3aabb}a{color:#9db8ff}}
"""


def page(house_name: str, actor: Actor, parts: Iterable[Part], lost: Iterable[str] = ()) -> str:
    """The readable page; it needs nothing else. A kind with one row stands as a list of its values."""
    parts = list(parts)
    day = utcnow().astimezone(ZoneInfo(actor.timezone)).date().isoformat()
    title = f"Your data at {house_name}" if house_name else "Your data"
    listed = Markup("").join(
        Markup("<li><a href='#{}'>{}</a> <small>{}</small></li>").format(part.key, part.label, len(part.rows)) for part in parts
    )
    out = Markup("").join(
        Markup("<li>{}</li>").format(one) for one in (*LEFT_OUT, *(f"The file {name} could not be read." for name in lost))
    )
    body = Markup("").join(_section(part) for part in parts)
    return str(
        Markup(
            "<!doctype html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width, initial-scale=1'>"
            "<title>{title}</title><style>{style}</style></head><body><h1>{title}</h1>"
            "<p>Everything that was kept about you on {day}. The same stands in data.json and, kind by kind, in the folder csv; files are in the folder "
            "files.</p><ul>{listed}</ul><h2>What is not in here</h2><ul>{out}</ul>{body}</body></html>"
        ).format(title=title, style=Markup(_STYLE), day=day, listed=listed, out=out, body=body)  # noqa: S704  (a constant of ours)
    )  # fmt: skip


def _section(part: Part) -> Markup:
    cells = Markup("")
    if len(part.rows) == 1 and len(part.columns) > 4:
        pairs = zip(part.columns, part.rows[0], strict=True)
        cells = Markup("").join(Markup("<tr><th>{}</th><td>{}</td></tr>").format(name, _said(value)) for name, value in pairs)
    elif part.rows:
        head = Markup("").join(Markup("<th>{}</th>").format(name) for name in part.columns)
        lines = (Markup("").join(Markup("<td>{}</td>").format(_said(value)) for value in line) for line in part.rows)
        cells = Markup("<tr>{}</tr>").format(head) + Markup("").join(Markup("<tr>{}</tr>").format(line) for line in lines)
    more = Markup("<p><small>{} left out: internal notes.</small></p>").format(part.left_out) if part.left_out else ""
    return Markup("<h2 id='{}'>{}</h2>{}<div class='wide'><table>{}</table></div>").format(part.key, part.label, more, cells)


def _said(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return "\n".join(f"{_label(str(key))}: {_said(one)}" for key, one in value.items())
    if isinstance(value, list):
        pair = len(value) == 2 and not any(isinstance(one, list | dict) for one in value)
        return " → ".join(_said(one) or "–" for one in value) if pair else "\n".join(_said(one) for one in value)
    return str(value)
