"""What the parts of a shared analysis are made of: figures, tables, marks with their ranges, and which rows stay hidden. Never single records."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup
from sqlmodel import Session

from crm_core import format as fmt
from crm_core.access import Actor
from crm_core.kit.money import exponent
from crm_core.services.analytics import paper, paper_charts, runs
from crm_core.services.analytics.runs import Run
from crm_core.services.analytics.suppression_rules import hidden, is_small

if TYPE_CHECKING:
    import pandas as pd

Column = tuple[str, str, str]
"""Column of the run's table, its heading, its form (``FORMS``)."""
MOST = 40


@dataclass(frozen=True)
class Draw:
    """What the parts are made of."""

    session: Session
    actor: Actor
    run: Run

    def frame(self, name: str, *needed: str) -> "pd.DataFrame | None":
        """A table of the run; None when it has none, an empty one, or one without the columns that are ``needed``: an old run's page has fewer
        parts, and no fault."""
        found = runs.table(self.session, self.actor, self.run.id, name) if name in self.run.tables else None
        return None if found is None or found.empty or not {*needed} <= {*found.columns} else found

    def money(self, major: float) -> str:
        return fmt.money(self.actor, round(float(major) * 10 ** exponent(self.actor.currency)), compact=True)

    @property
    def series(self) -> str:
        """The form of what a forecast is about."""
        return "money" if self.run.summary.get("money") else "whole"

    def text(self, value: Any, form: str) -> str:
        """A value as people read it."""
        if value is None or value != value or str(value) == "NaT":
            return fmt.NOTHING
        if form == "money":
            return self.money(value)
        if form == "percent":
            return fmt.percent(self.actor, float(value), 0)
        if form == "times":
            return f"{fmt.number(self.actor, float(value), digits=1)}×"
        if form in ("whole", "one", "two"):
            return fmt.number(self.actor, float(value), digits=("whole", "one", "two").index(form))
        return fmt.day(self.actor, value.date()) if form == "day" else str(value)[:200]


Part = Callable[[Draw], Markup | None]


# --- pieces -----------------------------------------------------------------------------------------------------------------


def paragraphs(lines: Sequence[str]) -> Markup:
    return Markup("").join(Markup('<p class="text">{}</p>').format(line) for line in lines if line)


def small_print(words: str) -> Markup:
    return Markup('<p class="note">{}</p>').format(words) if words else Markup("")


def left_out(gone: int) -> str:
    return (
        f"{gone} rows about few records are not shown." if gone > 1 else "One row about few records is not shown." if gone else ""
    )


def figure(title: str, text: str, note: str = "") -> Markup:
    return paper.section(title, Markup('<p class="big">{}</p>').format(text) + small_print(note), 3)


def told(key: str, label: str, form: str, *, cases: bool = False, of: str = "", note: str = "") -> Part:
    """A figure of the summary; ``cases``: it counts records, so that it is not told when there are few; ``of``: the count of those whom a sum is
    about. A sum of money that is nothing is not known. ``form`` "series": money, or records, as the run says."""

    def draw(on: Draw) -> Markup | None:
        value, people = on.run.summary.get(key), on.run.summary.get(of, 0)
        if not isinstance(value, int | float) or value != value or (form == "money" and value <= 0):
            return None
        if (cases and is_small(int(value))) or is_small(int(people or 0)):
            return None
        return figure(label, on.text(value, on.series if form == "series" else form), note)

    return draw


def kept(frame: "pd.DataFrame", cases: str) -> "tuple[pd.DataFrame, int]":
    """The rows that rest on enough records, and how many do not."""
    counted = [int(value) if value == value else 0 for value in frame[cases].tolist()]
    gone = hidden(counted)
    rows = [n for n in range(len(frame)) if n not in gone and counted[n] > 0]
    return frame.iloc[rows], len(gone)


def listed(
    name: str, title: str, columns: Sequence[Column], *, cases: str = "", note: str = "", names: dict[str, str] | None = None
) -> Part:
    """A table of the run with the columns that a reader needs. ``cases``: the column that says how many records a row rests on; ``names``:
    what stands for the values of its first column."""

    def draw(on: Draw) -> Markup | None:
        frame = on.frame(name, *(key for key, _, _ in columns), *([cases] if cases else []))
        if frame is None:
            return None
        frame, gone = kept(frame, cases) if cases else (frame, 0)
        if frame.empty:
            return None
        rows = [[on.text(row[key], form) for key, _, form in columns] for row in frame.head(MOST).to_dict("records")]
        rows = [[(names or {}).get(row[0], row[0]), *row[1:]] for row in rows]
        return paper.section(
            title, paper_charts.table([label for _, label, _ in columns], rows) + small_print(left_out(gone)) + small_print(note)
        )

    return draw


def spans(
    name: str, title: str, label: str, value: str, form: str, *, low: str = "low", high: str = "high", cases: str = "", note: str = "",
    names: dict[str, str] | None = None,
) -> Part:  # fmt: skip
    """Marks with their ranges, one per row of a table."""

    def draw(on: Draw) -> Markup | None:
        frame = on.frame(name, label, value, low, high, *([cases] if cases else []))
        if frame is None:
            return None
        frame, gone = kept(frame, cases) if cases else (frame, 0)
        if frame.empty:
            return None
        rows = [
            _mark(on, (names or {}).get(row[label], str(row[label])), [row[key] for key in (value, low, high)], form)
            for row in frame.head(MOST).to_dict("records")
            if row[value] == row[value]
        ]
        return paper.section(title, paper_charts.ranges(rows, note=note or None) + small_print(left_out(gone))) if rows else None

    return draw


def _mark(on: Draw, label: str, numbers: Sequence[Any], form: str) -> tuple[str, float, str, float | None, float | None]:
    """A mark with its range, or without one where too little is known for a range."""
    value, low, high = (float(one) if one is not None and one == one else None for one in numbers)
    said = on.text(value, form)
    said += f" ({on.text(low, form)} to {on.text(high, form)})" if low is not None and high is not None else ""
    return label, float(value or 0), said, low, high
