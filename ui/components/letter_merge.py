"""The wordings of a campaign as parts that two people may have changed: each subject, each text, each share; or all of them as one whole."""

from collections.abc import Mapping, Sequence
from typing import Any

from crm_core.services.marketing import plans
from ui.components.parts_clash import Part

Wordings = Sequence[Mapping[str, Any]]
_FIELDS = ("subject", "body", "weight")
_LABELS = {"subject": "Subject", "body": "Letter", "weight": "Parts of the audience"}
WHOLE = "letter"


def parts(count: int) -> dict[str, Part]:
    """What is asked about up to so many wordings."""
    found = {WHOLE: Part("Letter", _words, long=True)}
    for n in range(count):
        for field in _FIELDS:
            label = _LABELS[field] if count == 1 else f"{_LABELS[field]} of wording {'ABCD'[n]}"
            found[f"{n}_{field}"] = Part(label, lambda value: "Left out" if value is None else str(value), long=field == "body")
    return found


def each(rows: Wordings) -> dict[str, Any]:
    """``{"0_subject": …, "0_body": …, "0_weight": …, "1_subject": …}``; None for a wording that is left out."""
    return {f"{n}_{field}": None if row.get("drop") else kept for n, row in enumerate(rows) for field, kept in _kept(row).items()}


def whole(rows: Wordings) -> dict[str, Any]:
    """All of them as one part."""
    return {WHOLE: [_kept(row) for row in rows if not row.get("drop")]}


def letter(values: Mapping[str, Any], typed: Wordings, base: Wordings | Sequence[Any]) -> list[dict[str, Any]]:
    """The wordings that these parts make, as the service takes them. ``typed`` and ``base``: where a text comes from, with the kept letter that it began
    with."""
    stored = [one if isinstance(one, Mapping) else one.model_dump() for one in base]
    if WHOLE in values:
        found = [dict(row) for row in values[WHOLE]]
    else:
        found = []
        for n in range(len(values) // len(_FIELDS)):
            given = {field: values[f"{n}_{field}"] for field in _FIELDS}
            if all(value is None for value in given.values()):
                continue
            there = _kept(stored[n]) if n < len(stored) else {}
            found.append({field: there.get(field) if value is None else value for field, value in given.items()})
    begun = {plans.wording(row)[1]: row.get("template_id") for row in (*stored, *typed)}
    return [{**row, "template_id": begun.get(row["body"])} for row in found]


def _kept(row: Mapping[str, Any]) -> dict[str, Any]:
    return dict(zip(_FIELDS, plans.wording(row), strict=True))


def _words(rows: Wordings) -> str:
    return "\n\n".join(f"{row['subject']}\n{row['body']}" for row in rows)
