"""Files on records. The content lies once under its hash in the data folder; the row says whose it is. Only through here does it come out again."""

import hashlib
import mimetypes
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlmodel import Session, col, select

from crm_core import events, lists, records
from crm_core.access import Actor
from crm_core.entities import RECORDS
from crm_core.errors import Invalid, NotFound, Unavailable
from crm_core.kit import clock
from crm_core.kit.text import clean
from crm_core.models import Attachment
from crm_core.settings import settings
from crm_core.vocabulary import Action

MAX_MB = 25
MAX_FILES = 200
FOLDER = "files"
HARMLESS = ("image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf", "text/plain", "text/csv")
"""Types that a browser may know by their name. Everything else (HTML and SVG above all) leaves as bytes that nothing opens by itself."""

OPAQUE = "application/octet-stream"


@dataclass(frozen=True)
class FileView:
    """A file as its record's page shows it."""

    id: int
    name: str
    media_type: str
    size_bytes: int
    by: str
    at: datetime


def find(session: Session, actor: Actor, entity_key: str, record_id: int) -> list[FileView]:
    """The files of a record the actor may see, the newest first."""
    records.get(session, actor, entity_key, record_id)
    rows = _of(session, entity_key, record_id)
    people = lists.titles(session, actor, "user", (row.uploaded_by_id for row in rows))
    return [
        FileView(row.id, row.name, row.media_type, row.size_bytes, people.get(row.uploaded_by_id or 0, ""), row.created_at)
        for row in rows
    ]


def attach(session: Session, actor: Actor, entity_key: str, record_id: int, *, name: str, content: bytes) -> Attachment:
    """Put a file on a record that the actor may edit. The same file under the same name again is the one that is there."""
    if entity_key not in RECORDS:
        raise Invalid("Files can't be attached here.")
    record = records.get(session, actor, entity_key, record_id, action=Action.EDIT)
    if not content:
        raise Invalid("The file is empty.")
    if len(content) > MAX_MB << 20:
        raise Invalid(f"The file is larger than {MAX_MB} MB.")
    title, digest = file_name(name), hashlib.sha256(content).hexdigest()
    there = _of(session, entity_key, record_id)
    same = next((row for row in there if (row.sha256, row.name) == (digest, title)), None)
    if same is not None:
        return same
    if len(there) >= MAX_FILES:
        raise Invalid(f"A record can have at most {MAX_FILES} files.")
    _keep(digest, content)
    row = Attachment(
        entity=entity_key, record_id=record_id, name=title, media_type=_type_of(title), size_bytes=len(content), sha256=digest, uploaded_by_id=actor.user_id,
    )  # fmt: skip
    session.add(row)
    session.flush()
    events.record(session, actor, "file.attached", record, data={"name": title})
    return row


def carry_over(session: Session, entity_key: str, record_id: int, to_entity: str, to_record_id: int) -> list[int]:
    """The files of a record hang on another one too: what it became; gives those that are new there. Part of what has asked for permission; each
    once."""
    there, made = {(row.name, row.sha256) for row in _of(session, to_entity, to_record_id)}, []
    for row in reversed(_of(session, entity_key, record_id)):
        if (row.name, row.sha256) in there:
            continue
        made.append(
            Attachment(
                entity=to_entity, record_id=to_record_id, uploaded_by_id=row.uploaded_by_id, name=row.name, media_type=row.media_type,
                size_bytes=row.size_bytes, sha256=row.sha256,
            )
        )  # fmt: skip
    session.add_all(made)
    session.flush()
    return [row.id for row in made]


def take_off(session: Session, file_ids: Iterable[int]) -> None:
    """Take back what ``carry_over`` hung there. Part of taking back, which asks."""
    for row in session.exec(select(Attachment).where(col(Attachment.id).in_(list(file_ids)), col(Attachment.deleted_at).is_(None))):
        row.deleted_at = clock.utcnow()
        session.add(row)


def read(session: Session, actor: Actor, file_id: int) -> tuple[str, str, bytes]:
    """Name, type to hand out and content of a file, for whoever may see its record."""
    row = _seen(session, actor, file_id)
    return row.name, row.media_type if row.media_type in HARMLESS else OPAQUE, content_of(row.sha256)


def content_of(digest: str) -> bytes:
    """What lies under a hash, whole and unaltered. Whoever calls has asked."""
    try:
        content = _path(digest).read_bytes()
    except OSError as error:
        raise Unavailable("The content of this file is missing in the data folder. Ask the administrator to restore it.") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise Unavailable("The content of this file is damaged in the data folder. Ask the administrator to restore it.")
    return content


def forget(digest: str) -> None:
    """Delete a content from the data folder. Whoever calls knows that nothing needs it any more."""
    if digest:
        _path(digest).unlink(missing_ok=True)


def remove(session: Session, actor: Actor, file_id: int) -> None:
    """Take a file off its record. The content stays in the data folder, where other records may share it."""
    row = _seen(session, actor, file_id)
    record = records.get(session, actor, row.entity, row.record_id, action=Action.EDIT)
    row.deleted_at = clock.utcnow()
    session.add(row)
    session.flush()
    events.record(session, actor, "file.removed", record, data={"name": row.name})


def file_name(name: str) -> str:
    """A name without folders and signs that file systems trip over; the ending stays."""
    last = re.split(r"[\\/]", clean(name))[-1]
    plain = re.sub(r'[<>:"|?*\u202a-\u202e\u2066-\u2069]', "_", last).strip(" .") or "file"
    stem, suffix = Path(plain).stem, Path(plain).suffix[:20]
    return stem[: 200 - len(suffix)] + suffix


def _type_of(name: str) -> str:
    return (mimetypes.guess_type(name)[0] or OPAQUE)[:120]


def _of(session: Session, entity_key: str, record_id: int) -> Sequence[Attachment]:
    query = select(Attachment).where(
        Attachment.entity == entity_key, Attachment.record_id == record_id, col(Attachment.deleted_at).is_(None)
    )
    return session.exec(query.order_by(col(Attachment.id).desc())).all()


def _seen(session: Session, actor: Actor, file_id: int) -> Attachment:
    """A file, for whoever sees its record; of others it is told as of one that does not exist."""
    row = session.get(Attachment, file_id) if 0 < file_id < 2**31 else None
    if row is None or row.deleted_at is not None or records.found(session, actor, row.entity, row.record_id) is None:
        raise NotFound("This file does not exist, or is not shared with you.")
    return row


def _path(digest: str) -> Path:
    return settings().data_dir / FOLDER / digest[:2] / digest


def _keep(digest: str, content: bytes) -> None:
    """Write the content under its hash, whole or not at all; a file that is there already is the same."""
    path = _path(digest)
    if path.exists() and path.stat().st_size == len(content):
        return
    part = path.with_name(f"{digest}.{id(content):x}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise Unavailable("The file could not be kept: the data folder is full or can't be written to.") from error
