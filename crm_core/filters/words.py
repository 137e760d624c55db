"""A filter as a sentence for people."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlmodel import Session

from crm_core.entities import entity, relations
from crm_core.errors import Invalid
from crm_core.events import sentence_of
from crm_core.fields import FieldSpec, registry, resolve
from crm_core.filters.nodes import WORDS, Ast
from crm_core.vocabulary import FieldKind

Show = Callable[[FieldSpec, Any], str]

SEGMENT = FieldSpec("segment", "segment", "Segment", FieldKind.REFERENCE, to="segment")
"""Stands for the names of segments where ``show`` is asked for the text of a value."""

MARKS = {
    "cluster": "Customer group", "rfm": "RFM cell", "persona": "Persona", "churn_risk": "Churn risk", "clv": "Lifetime value",
    "lead_score": "Lead score", "deal_score": "Deal score", "next_offer": "Next best offer",
}  # fmt: skip
"""Names for people of the results that analyses publish; other kinds are named after their key."""

TOUCHES = {
    "touch.any": "any marketing touch", "touch.visit": "visited the website", "touch.open": "opened an e-mail",
    "touch.click": "clicked a link in an e-mail", "touch.send": "was sent an e-mail",
}  # fmt: skip

_DAYS = {"lt": "is before", "le": "is on or before", "gt": "is after", "ge": "is on or after"}

_COUNTS = {
    "ge": "at least {n} {what}", "le": "at most {n} {what}", "gt": "more than {n} {what}", "lt": "fewer than {n} {what}",
    "eq": "exactly {n} {what}", "ne": "not exactly {n} {what}",
}  # fmt: skip
GONE = "a field that is no longer in use"
"""Stands for a condition about something that was taken out of use: words never fail, so that whoever mends the filter can get at it."""
_FIGURES = {"sum": "total", "min": "lowest", "max": "highest", "avg": "average"}


def comparison_words(spec: FieldSpec) -> Mapping[str, str]:
    """The words of the comparisons of a field: days come before and after, they are not below and above."""
    return {**WORDS, **_DAYS} if spec.kind in (FieldKind.DATE, FieldKind.DATETIME) else WORDS


def mark_label(kind: str) -> str:
    """The name for people of a published result."""
    return MARKS.get(kind) or kind.replace("_", " ").capitalize()


def event_label(event: str) -> str:
    """What an event type means, for people."""
    if event.startswith("touch."):
        return TOUCHES.get(event, f"touch: {event.partition('.')[2].replace('_', ' ')}")
    owner, _, _verb = event.partition(".")
    sentence = sentence_of(event).split(":")[0].replace("{entity}", owner)
    for words in (" from {from} to {to}", " in {to}", " to {to}", " {segment}", " {fields}"):
        sentence = sentence.replace(words, "")
    return f"{entity(owner).label}: {sentence}"


def in_words(session: Session, entity_key: str, ast: Ast | None, show: Show = lambda _spec, value: str(value)) -> str:
    """A filter as a sentence for people; ``show`` turns a stored value into its text (a segment's id with the spec ``SEGMENT``)."""
    if not ast:
        return "all records"
    if "op" in ast:
        return _group(session, entity_key, ast, show)
    if "agg" in ast:
        return _aggregate(session, entity_key, ast, show)
    special = next((made for key, made in _SPECIAL.items() if key in ast), None)
    if special is not None:
        text = special(session, entity_key, ast, show)
        return f"the {str(ast['on']).removesuffix('_id').replace('_', ' ')}: {text}" if ast.get("on") else text
    try:
        spec, trail = resolve(session, entity_key, str(ast.get("field")))
    except Invalid:
        return GONE
    before = "" if not trail else f"{trail[-1].removesuffix('_id').replace('_', ' ').capitalize()} "
    label = f"{before}{spec.label.lower()}" if before else spec.label
    return _comparison(label, spec, ast, show)


def _comparison(label: str, spec: FieldSpec, ast: Mapping[str, Any], show: Show) -> str:
    cmp = ast.get("cmp", "eq")
    if cmp in ("empty", "not_empty"):
        return f"{label} {WORDS[cmp]}"
    words = comparison_words(spec)
    value = ast.get("value")
    values = value if isinstance(value, (list, tuple)) else [value]
    joined = (" and " if cmp == "between" else ", ").join(show(spec, item) for item in values)
    return f"{label} {words[cmp]} {joined}"


def _group(session: Session, entity_key: str, ast: Mapping[str, Any], show: Show) -> str:
    parts = [in_words(session, entity_key, item, show) for item in ast.get("items", ())]
    joined = f" {'or' if ast['op'] == 'or' else 'and'} ".join(parts) if parts else "all records"
    if ast["op"] == "not":
        return f"not ({joined})"
    return f"({joined})" if len(parts) > 1 and ast["op"] == "or" else joined


def _aggregate(session: Session, entity_key: str, ast: Mapping[str, Any], show: Show) -> str:
    relation = relations(entity_key).get(str(ast["rel"]))
    if relation is None or (ast["agg"] != "count" and str(ast.get("field")) not in registry(session, relation.child)):
        return GONE
    what = relation.name
    inner = f" where {in_words(session, relation.child, ast['where'], show)}" if ast.get("where") else ""
    cmp, value = ast.get("cmp", "ge"), float(ast.get("value", 0))
    if ast["agg"] == "count":
        return _count(cmp, value, what) + inner
    spec = registry(session, relation.child)[str(ast.get("field"))]
    shown = show(spec, int(value) if spec.kind is FieldKind.MONEY else value)
    return f"{_FIGURES[ast['agg']]} {spec.label.lower()} of {what}{inner} {WORDS[cmp]} {shown}"


def _count(cmp: str, value: float, what: str) -> str:
    if (cmp, value) in (("eq", 0.0), ("lt", 1.0), ("le", 0.0)):
        return f"no {what}"
    return _COUNTS[cmp].format(n=f"{value:g}", what=what)


def _segment(_session: Session, _entity_key: str, ast: Mapping[str, Any], show: Show) -> str:
    return f"{'not ' if ast.get('cmp') == 'not_in' else ''}in the segment “{show(SEGMENT, ast['segment'])}”"


def _mark(_session: Session, entity_key: str, ast: Mapping[str, Any], show: Show) -> str:
    kind = str(ast["mark"])
    spec = FieldSpec(entity_key, kind, mark_label(kind), FieldKind.DECIMAL)
    return _comparison(spec.label, spec, ast, lambda _spec, value: f"{value:g}" if isinstance(value, (int, float)) else str(value))


def _event(_session: Session, entity_key: str, ast: Mapping[str, Any], show: Show) -> str:
    label, value = event_label(str(ast["event"])), float(ast.get("value", 1))
    spec = FieldSpec(entity_key, "at", "", FieldKind.DATETIME)
    since = f" since {show(spec, ast['within'])}" if ast.get("within") else ""
    cmp = ast.get("cmp", "ge")
    if (cmp, value) in (("eq", 0.0), ("lt", 1.0), ("le", 0.0)):
        return f"“{label}” did not happen{since}"
    if (cmp, value) in (("ge", 1.0), ("gt", 0.0)):
        return f"“{label}” happened{since}"
    return f"“{label}” happened {_COUNTS[cmp].format(n=f'{value:g}', what='times')}{since}"


_SPECIAL: dict[str, Callable[[Session, str, Mapping[str, Any], Show], str]] = {"segment": _segment, "mark": _mark, "event": _event}
