"""The uploaded file: its size checked before anything is read, a spreadsheet turned into plain text once, kept until the import is forgotten."""

import csv
import hashlib
import shutil
import uuid
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import IO, Any

from crm_core.errors import Invalid, Unavailable
from crm_core.settings import settings

_CHUNK = 1 << 20
_MAX_UNPACKED = 10
"""A spreadsheet may unpack to so many times the upload limit; beyond that it is a bomb."""
FOLDER = "imports"


def folder() -> Path:
    """Where uploaded files lie, inside the data folder."""
    path = settings().data_dir / FOLDER
    path.mkdir(parents=True, exist_ok=True)
    return path


def keep(source: IO[bytes], name: str) -> tuple[str, str]:
    """Copy an upload into the data folder; returns its path there (relative) and its SHA-256. Stops as soon as the limit is passed."""
    limit = settings().max_upload_mb
    target = folder() / f"{uuid.uuid4().hex}{_suffix(name)}"
    digest, size = hashlib.sha256(), 0
    try:
        with target.open("wb") as file:
            while chunk := source.read(_CHUNK):
                size += len(chunk)
                if size > limit << 20:
                    raise Invalid(
                        f"The file is larger than {limit} MB. Split it into smaller files, or ask an administrator to raise the limit."
                    )
                digest.update(chunk)
                file.write(chunk)
        if not size:
            raise Invalid("The file is empty.")
    except OSError as error:
        target.unlink(missing_ok=True)
        raise Unavailable(
            "The file could not be kept: the data folder is full or can't be written to. Nothing was imported."
        ) from error
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return f"{FOLDER}/{target.name}", digest.hexdigest()


def keep_path(path: Path) -> tuple[str, str]:
    """Like ``keep`` for a file on this machine; a file that is too large is not even opened."""
    _require_readable(path)
    with path.open("rb") as file:
        return keep(file, path.name)


def digest_of(path: Path) -> str:
    """The SHA-256 of a file on this machine, as ``keep_path`` would say it."""
    _require_readable(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _require_readable(path: Path) -> None:
    if not path.is_file():
        raise Invalid(f"There is no file {path}.")
    if path.stat().st_size > settings().max_upload_mb << 20:
        raise Invalid(
            f"The file is larger than {settings().max_upload_mb} MB. Split it into smaller files, or raise RAPPORT_MAX_UPLOAD_MB."
        )


def locate(relative: str) -> Path:
    """The kept file. Raises Unavailable when this machine does not have it (any more)."""
    path = settings().data_dir / relative
    if not relative or not path.is_file():
        raise Unavailable("The uploaded file is no longer there. Upload it again.", permanent=True)
    return path


def forget(relative: str) -> None:
    """Remove a kept file and what was made from it."""
    if relative:
        for path in folder().glob(f"{Path(relative).stem}*"):
            path.unlink(missing_ok=True)


def _suffix(name: str) -> str:
    suffix = Path(name).suffix.lower()
    return suffix if suffix in (".xlsx", ".xlsm") else ".csv"


def is_workbook(relative: str) -> bool:
    return Path(relative).suffix in (".xlsx", ".xlsm")


# --- spreadsheets -----------------------------------------------------------------------------------------------------------


def sheets(path: Path) -> list[str]:
    """Names of the sheets of a workbook."""
    workbook = _workbook(path)
    try:
        return [sheet.title for sheet in workbook.worksheets]
    finally:
        workbook.close()


def as_text(path: Path, sheet: str = "") -> Path:
    """One sheet (the first by default) written as UTF-8 CSV beside the workbook: from here on, a spreadsheet is a text file."""
    workbook = _workbook(path)
    try:
        found = next((each for each in workbook.worksheets if each.title == sheet), None) if sheet else workbook.worksheets[0]
        if found is None:
            raise Invalid(f"The workbook has no sheet “{sheet}”.")
        target = path.with_name(f"{path.stem}-{hashlib.sha256(found.title.encode()).hexdigest()[:8]}.csv")
        if not target.exists():
            half = target.with_suffix(".part")
            with half.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows(_cells(found))
            shutil.move(half, target)
        return target
    finally:
        workbook.close()


def _workbook(path: Path) -> Any:
    from openpyxl import load_workbook

    try:
        with zipfile.ZipFile(path) as packed:
            unpacked = sum(item.file_size for item in packed.infolist())
        if unpacked > _MAX_UNPACKED * (settings().max_upload_mb << 20):
            raise Invalid("The spreadsheet unpacks to an enormous size and was not opened.")
        return load_workbook(path, read_only=True, data_only=True)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, EOFError) as error:
        raise Invalid("This is not a readable .xlsx file. Open it in a spreadsheet program and save it again.") from error


def _cells(sheet: Any) -> Iterator[list[str]]:
    """The rows of a sheet without the empty columns and rows at its ends, which formatting leaves behind."""
    sheet.reset_dimensions()
    width, empty = 0, 0
    for row in sheet.iter_rows():
        cells = [_as_text(cell.value, getattr(cell, "number_format", "") or "") for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        if not cells:
            empty += 1
            continue
        yield from ([""] * width for _ in range(empty))
        empty = 0
        width = width or len(cells)
        yield cells + [""] * (width - len(cells))


def _as_text(value: Any, number_format: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        value = int(value) if value.is_integer() and abs(value) < 1e15 else format(value, ".15g")
    text = str(value)
    if number_format and set(number_format) == {"0"} and text.isdigit():  # 01234 shown, 1234 stored: a postcode
        text = text.zfill(len(number_format))
    return text
