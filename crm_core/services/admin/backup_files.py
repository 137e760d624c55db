"""The files that people attached, beside a backup of the database: ``<backup>.files.tar``.

Contents lie under their own hash and never change, so an archive taken while people work is complete for every record of a database that was
copied just before it; bringing it back only adds what is missing.
"""

import hashlib
import os
import tarfile
from pathlib import Path

from crm_core.errors import Unavailable
from crm_core.settings import settings


def _folder() -> Path:
    return settings().data_dir / "files"


def companion(backup: Path) -> Path:
    """Where the files of a backup lie."""
    return backup.with_name(backup.name + ".files.tar")


def save(backup: Path) -> Path | None:
    """Archive the attached files beside a backup; None when nobody has attached any. Nothing half-written is left behind."""
    found = (
        [path for path in sorted(_folder().rglob("*")) if path.is_file() and not path.name.startswith(".")]
        if _folder().is_dir()
        else []
    )
    if not found:
        return None
    target = companion(backup)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with tarfile.open(part, "w") as archive:
            for path in found:
                archive.add(path, arcname=path.relative_to(_folder()).as_posix(), recursive=False)
        part.replace(target)
    except OSError as error:
        raise Unavailable(
            f"The attached files could not be written to {target}: {error.strerror or error}.", permanent=True
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return target


def bring_back(backup: Path) -> int:
    """Put the files of a backup back where they are missing; gives how many. Only contents that match their own hash are taken."""
    source = companion(backup)
    if not source.is_file():
        return 0
    brought = 0
    try:
        with tarfile.open(source) as archive:
            for member in archive:
                brought += _take(archive, member)
    except (tarfile.TarError, OSError) as error:
        raise Unavailable(
            f"The attached files in {source.name} could not be read: {error}. The database was restored.", permanent=True
        ) from error
    return brought


def _take(archive: tarfile.TarFile, member: tarfile.TarInfo) -> int:
    digest = Path(member.name).name
    content = archive.extractfile(member) if member.isfile() else None
    target = _folder() / digest[:2] / digest
    if content is None or target.exists():
        return 0
    raw = content.read()
    if hashlib.sha256(raw).hexdigest() != digest:
        return 0
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{digest}.part")
    part.write_bytes(raw)
    part.replace(target)
    return 1
