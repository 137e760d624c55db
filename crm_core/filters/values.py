"""From what stands in a filter to typed values: instants become half-open ranges of the actor's days, relative days become days."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from crm_core.errors import Invalid
from crm_core.fields import FieldSpec, parse, to_json
from crm_core.filters.nodes import MAX_VALUES, Context, Group, Leaf, Node
from crm_core.kit.numerals import written
from crm_core.kit.text import has_control
from crm_core.vocabulary import FieldKind

_RELATIVE = re.compile(r"^([+-]\d{1,4})([dwmy])$")
_ANCHORS = ("today", "start_of_week", "start_of_month", "start_of_quarter", "start_of_year")


@dataclass(frozen=True)
class Maker:
    """Turns one comparison into leaves with typed values; instants become half-open ranges of the actor's days."""

    path: str
    spec: FieldSpec
    trail: tuple[str, ...]
    hops: tuple[str, ...]
    context: Context

    def leaf(self, cmp: str, value: Any = None) -> Leaf:
        if self.spec.custom and isinstance(value, datetime):
            value = to_json(value)  # as it stands in the JSON column
        return Leaf(self.path, self.spec, self.trail, self.hops, cmp, value)

    def node(self, cmp: str, value: Any) -> Node:
        if cmp == "empty":
            return self.leaf("empty")
        if cmp == "not_empty":
            return Group("not", (self.leaf("empty"),))
        if cmp == "between":
            if not isinstance(value, (list, tuple)) or len(value) != 2:
                raise Invalid(f"“{self.spec.label}” between needs two values.")
            return Group("and", (self.node("ge", value[0]), self.node("le", value[1])))
        if cmp in ("in", "not_in"):
            if not isinstance(value, (list, tuple)):
                value = [value]
            if len(value) > MAX_VALUES:
                raise Invalid(f"“{self.spec.label}” can be compared with at most {written(MAX_VALUES)} values.")
            typed = tuple(sorted({self._typed(item) for item in value}, key=str))
            return self.leaf(cmp, typed)
        if cmp in ("contains", "not_contains", "starts", "ends"):
            return self.leaf(cmp, self._plain_text(value).lower())
        if self.spec.kind is FieldKind.DATETIME:
            return self._instant(cmp, value)
        return self.leaf(cmp, self._typed(value))

    def _instant(self, cmp: str, value: Any) -> Node:
        day = self._day(value)
        if day is None:
            return self.leaf(cmp, self._typed(value))
        start, end = self.context.start_of(day), self.context.start_of(day + timedelta(days=1))
        inside: Node = Group("and", (self.leaf("ge", start), self.leaf("lt", end)))
        made: dict[str, Node] = {
            "eq": inside,
            "ne": Group("not", (inside,)),
            "lt": self.leaf("lt", start),
            "le": self.leaf("lt", end),
            "gt": self.leaf("ge", end),
            "ge": self.leaf("ge", start),
        }
        return made[cmp]

    def _day(self, value: Any) -> date | None:
        """The day that a relative or plain date value means, None when it is an instant."""
        if isinstance(value, datetime):
            return None
        text = str(value).strip()
        relative = relative_day(text, self.context.today, self.context.actor.first_weekday)
        if relative is not None:
            return relative
        try:
            day = date.fromisoformat(text) if len(text) == 10 else None
        except ValueError as error:
            raise Invalid(f"“{text[:40]}” is not a day of the calendar.") from error
        if day is not None and not 1000 <= day.year <= 2999:
            raise Invalid(f"“{self.spec.label}” must lie between the years 1000 and 2999.")
        return day

    def _plain_text(self, value: Any) -> str:
        text = str(value or "")
        if isinstance(value, (list, tuple, Mapping)) or has_control(text):
            raise Invalid(f"“{self.spec.label}” is compared with characters that no text has.")
        return text

    def _typed(self, value: Any) -> Any:
        if value is None or value == "":
            raise Invalid(f"“{self.spec.label}” needs a value to compare with.")
        if isinstance(value, (str, list, tuple, Mapping)):
            self._plain_text(value)
        if value in ("@me", "@my_team"):
            return self._mine(value)
        if self.spec.kind is FieldKind.DATE:
            day = self._day(value)
            if day is not None:
                return to_json(day) if self.spec.custom else day
        if self.spec.kind is FieldKind.PICK:
            return str(value).lower()
        try:
            typed = parse(self.spec, value, timezone=self.context.actor.timezone, currency=self.context.actor.currency)
        except ValueError as error:
            raise Invalid(str(error)) from error
        if typed is None:
            raise Invalid(f"“{self.spec.label}” needs a value to compare with.")
        if isinstance(typed, str) and not self.spec.enum:
            return typed.lower()
        return to_json(typed) if self.spec.custom else typed

    def _mine(self, value: str) -> int:
        me = self.context.actor
        if self.spec.to == "user" and value == "@me":
            return me.user_id or 0
        if self.spec.to == "team" and value == "@my_team":
            return me.team_id or 0
        raise Invalid(f"“{self.spec.label}” can't be compared with {value}.")


def relative_day(text: str, today: date, first_weekday: int = 0) -> date | None:
    """The day that ``today``, ``-90d``, ``+2w``, ``-3m``, ``-1y`` or ``start_of_month`` means; None for anything else. Weeks begin with
    ``first_weekday``, Monday 0."""
    if text in _ANCHORS:
        return {
            "today": today,
            "start_of_week": today - timedelta(days=(today.weekday() - first_weekday) % 7),
            "start_of_month": today.replace(day=1),
            "start_of_quarter": today.replace(month=(today.month - 1) // 3 * 3 + 1, day=1),
            "start_of_year": today.replace(month=1, day=1),
        }[text]
    match = _RELATIVE.match(text)
    if not match:
        return None
    amount, unit = int(match[1]), match[2]
    if unit in "dw":
        return today + timedelta(days=amount * (7 if unit == "w" else 1))
    months = today.year * 12 + today.month - 1 + amount * (12 if unit == "y" else 1)
    year, month = divmod(months, 12)
    if not 1 <= year <= 9998:
        raise Invalid("That lies too far away.")
    last = (date(year + month // 11, (month + 1) % 12 + 1, 1) - timedelta(days=1)).day
    return date(year, month + 1, min(today.day, last))
