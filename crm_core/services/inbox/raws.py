"""The untouched sources of messages: kept as files below the data folder, so that nothing that came in is lost to a mistake of ours."""

import gzip
import hashlib
import re
from pathlib import Path

from crm_core.errors import Unavailable
from crm_core.settings import settings

FOLDER = "inbox"
_NAME = re.compile(r"[0-9a-f]{64}")


def keep(raw: bytes) -> str:
    """Keep a source, whole or not at all; gives the name under which it lies."""
    name = hashlib.sha256(raw).hexdigest()
    path = _path(name)
    if path.exists():
        return name
    part = path.with_name(f"{name}.{id(raw):x}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(gzip.compress(raw, 6))
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise Unavailable("The message could not be kept: the data folder is full or can't be written to.") from error
    return name


def read(name: str) -> bytes:
    """The source; empty when it was cleared away."""
    if not _NAME.fullmatch(name):
        return b""
    try:
        return gzip.decompress(_path(name).read_bytes())
    except (OSError, EOFError, ValueError):
        return b""


def forget(name: str) -> None:
    """Clear a source away."""
    if _NAME.fullmatch(name):
        _path(name).unlink(missing_ok=True)


def _path(name: str) -> Path:
    return settings().data_dir / FOLDER / name[:2] / f"{name}.eml.gz"
