"""Tables out of the house as CSV or XLSX, with cells that a spreadsheet would run as formulas made harmless."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from crm_core.kit.text import clip

_DANGEROUS = ("=", "+", "-", "@", "\t", "\r")


MOST_IN_CELL = 32_767
"""Characters that a cell of a workbook takes; a longer text would leave it empty."""


def harmless(value: Any) -> Any:
    """A value that no spreadsheet runs: text that begins like a formula gets an apostrophe in front. Numbers stay as they are."""
    if isinstance(value, str) and value.startswith(_DANGEROUS) and not _is_number(value):
        return "'" + value
    return value


def as_written(text: str) -> str:
    """A cell of a file without the apostrophe that ``harmless`` puts in front: what was exported comes back as it was."""
    return text[1:] if text[:1] == "'" and text[1:2] in _DANGEROUS else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def to_csv(header: Sequence[str], rows: Iterable[Sequence[Any]], *, timezone: str = "UTC") -> bytes:
    """CSV in UTF-8 with a byte order mark, so that spreadsheets read umlauts. Instants are written in ``timezone`` with its offset."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([harmless(name) for name in header])
    zone = ZoneInfo(timezone)
    for row in rows:
        writer.writerow([instant_words(value, zone) if isinstance(value, datetime) else harmless(value) for value in row])
    return b"\xef\xbb\xbf" + out.getvalue().encode("utf-8")


def instant_words(value: datetime, zone: ZoneInfo) -> str:
    """An instant as text: day, time and offset in a time zone, such as ``2026-11-28 01:16:28+13:00``; a naive one as it stands."""
    return (value.astimezone(zone) if value.tzinfo else value).isoformat(sep=" ")


def to_xlsx(
    header: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    sheet: str = "Export",
    formats: Sequence[str] = (),
    timezone: str = "UTC",
) -> bytes:
    """An Excel workbook; text is written as text (never as a formula or a link). ``formats``: how the numbers of a column look, empty for as they
    are; instants are written in ``timezone``, since a workbook knows none."""
    import xlsxwriter

    out = io.BytesIO()
    options = {
        "in_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "default_date_format": "yyyy-mm-dd",
    }
    zone = ZoneInfo(timezone)
    with xlsxwriter.Workbook(out, options) as book:
        page = book.add_worksheet(sheet[:31])
        bold = book.add_format({"bold": True})
        page.write_row(0, 0, list(header), bold)
        looks = [book.add_format({"num_format": each}) if each else None for each in formats]
        looks += [None] * (len(header) - len(looks))
        instant = book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
        widths = [len(name) + 3 for name in header]
        last = 0
        for last, row in enumerate(rows, start=1):
            for column, value in enumerate(row):
                if isinstance(value, datetime):
                    value = value.astimezone(zone).replace(tzinfo=None) if value.tzinfo else value
                    page.write_datetime(last, column, value, instant)
                    widths[column] = max(widths[column], 16)
                else:
                    _write(page, last, column, value, looks[column])
                    widths[column] = max(widths[column], _width(value))
        page.freeze_panes(1, 0)
        if header:
            page.autofilter(0, 0, last, len(header) - 1)
        for column, width in enumerate(widths):
            page.set_column(column, column, min(width, 48) + 1)
    return out.getvalue()


def _width(value: Any) -> int:
    return len(value) if isinstance(value, str) else 0 if value is None else 11


def _write(page: Any, row: int, column: int, value: Any, look: Any) -> None:
    if value is None or value == "":
        return
    if isinstance(value, str):
        page.write_string(row, column, clip(value, MOST_IN_CELL))
    else:
        page.write(row, column, value, look)
