"""Rows of a text file, one after the other: never the whole file in memory, no row left out without being counted."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from crm_core.errors import Invalid
from crm_core.kit.csvio import as_written
from crm_core.kit.numerals import written
from crm_core.kit.text import clean
from crm_core.services.admin.imports.sniff import ENCODINGS, Layout

MAX_COLUMNS = 400
MAX_CELL = 131_072  # the limit of the csv module, which is one for the whole process


@dataclass(frozen=True)
class Row:
    """One data row. ``n`` counts from 1. ``problem`` says why its cells can't be told apart; they are then as they came."""

    n: int
    cells: tuple[str, ...]
    problem: str = ""


def headers(path: Path, layout: Layout) -> tuple[str, ...]:
    """The column names: trimmed, empty ones named by their place, equal ones told apart by a number."""
    lines = _lines(path, layout)
    first: list[str] = []
    for _ in range(max(1, layout.header_line)):
        first = next(lines, [])
    if len(first) > MAX_COLUMNS:
        raise Invalid(f"The file has {written(len(first))} columns; at most {MAX_COLUMNS} can be imported. Is the delimiter right?")
    if layout.header_line == 0:
        return tuple(f"Column {n}" for n in range(1, len(first) + 1))
    if not any(cell.strip() for cell in first):
        raise Invalid(f"Line {layout.header_line} of the file holds no column names.")
    return _told_apart([clean(cell).replace("\n", " ")[:200] or f"Column {n}" for n, cell in enumerate(first, start=1)])


def _told_apart(names: list[str]) -> tuple[str, ...]:
    seen: set[str] = set()
    result = []
    for name in names:
        unique, n = name, 2
        while unique.casefold() in seen:
            unique, n = f"{name} ({n})", n + 1
        seen.add(unique.casefold())
        result.append(unique)
    return tuple(result)


def rows(path: Path, layout: Layout, width: int, *, fill_short: bool = False, after: int = 0) -> Iterator[Row]:
    """The data rows behind row ``after``. Blank lines are no rows. ``fill_short``: missing cells at the end count as empty, else as a problem."""
    lines = _lines(path, layout)
    for _ in range(layout.header_line):
        next(lines, None)
    n = 0
    for cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        n += 1
        if n > after:
            yield _row(n, cells, width, fill_short)


def _row(n: int, cells: list[str], width: int, fill_short: bool) -> Row:
    cells = [as_written(cell) for cell in cells]
    if len(cells) == width:
        return Row(n, tuple(cells))
    if len(cells) > width and not any(cell.strip() for cell in cells[width:]):
        return Row(n, tuple(cells[:width]))
    if len(cells) < width and fill_short:
        return Row(n, (*cells, *[""] * (width - len(cells))))
    problem = f"The row has {len(cells)} cells, but there are {width} columns."
    if len(cells) < width and any(cell.count("\n") > 2 for cell in cells):
        problem += " A quotation mark seems to be opened and never closed."
    return Row(n, tuple(cells), problem)


def _lines(path: Path, layout: Layout) -> Iterator[list[str]]:
    """Lines of cells, blank ones included. NUL bytes are dropped, a byte order mark too."""
    number = 0
    try:
        with path.open("r", encoding=layout.encoding, newline="") as file:
            clean_lines = (line.replace("\0", "").removeprefix("\ufeff") if "\0" in line or number == 0 else line for line in file)
            for number, cells in enumerate(csv.reader(clean_lines, delimiter=layout.delimiter, quotechar=layout.quote), start=1):  # noqa: B007
                yield cells
    except UnicodeError as error:
        name = ENCODINGS.get(layout.encoding, layout.encoding)
        raise Invalid(f"After line {number} the file is not written in {name}. Choose another encoding.") from error
    except csv.Error as error:
        raise Invalid(
            f"After line {number} a cell has more than {written(MAX_CELL)} characters. A quotation mark is probably opened and never closed, or the "
            "delimiter is another one."
        ) from error


@dataclass
class Reader:
    """Batches of rows for a run that may stop and go on: keeps its place in the file between calls."""

    path: Path
    layout: Layout
    width: int
    fill_short: bool = False
    _place: int = -1
    _rows: Iterator[Row] | None = None

    def batch(self, after: int, size: int) -> list[Row]:
        """At most ``size`` rows behind row ``after``."""
        if self._rows is None or self._place != after:
            self._rows = rows(self.path, self.layout, self.width, fill_short=self.fill_short, after=after)
        found = [row for _, row in zip(range(size), self._rows, strict=False)]
        self._place = after + len(found)
        return found


__all__ = ["MAX_COLUMNS", "Reader", "Row", "headers", "replace", "rows"]
