"""What a dry run or a run came to, as people read it: counts, reasons, values that no list has, records created on the way."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crm_core.kit.text import clip
from crm_core.vocabulary import RowOutcome

_EXAMPLES, _REASONS, _UNKNOWN, _NAMES = 50, 40, 300, 40


@dataclass
class Tally:
    """Counts over all rows; examples and names are cut where they become long, numbers never are."""

    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    examples: list[dict[str, Any]] = field(default_factory=list)
    unknown: dict[str, Counter[str]] = field(default_factory=dict)
    linked: dict[str, list[str]] = field(default_factory=dict)
    linked_counts: Counter[str] = field(default_factory=Counter)

    def row(self, n: int, outcome: RowOutcome, errors: Mapping[str, str]) -> None:
        """Count a row with its reasons (rejected) or notes (taken)."""
        self.outcomes[outcome.value] += 1
        target = self.reasons if outcome is RowOutcome.REJECTED else self.notes
        for header, sentence in errors.items():
            target[f"{header}: {sentence}" if header else sentence] += 1
        if outcome is RowOutcome.REJECTED and len(self.examples) < _EXAMPLES:
            self.examples.append({"row": n, "why": clip(" ".join(errors.values()), 300)})

    def value_unknown(self, header: str, text: str) -> None:
        """Count a value that the list of its field does not have."""
        values = self.unknown.setdefault(header, Counter())
        if text in values or len(values) < _UNKNOWN:
            values[text] += 1

    def created_link(self, entity_key: str, name: str) -> None:
        """Count a linked record that was created on the way."""
        self.linked_counts[entity_key] += 1
        names = self.linked.setdefault(entity_key, [])
        if len(names) < _NAMES:
            names.append(clip(name, 80))

    def to_json(self) -> dict[str, Any]:
        return {
            "outcomes": {outcome.value: self.outcomes[outcome.value] for outcome in RowOutcome},
            "reasons": [[clip(text, 300), count] for text, count in self.reasons.most_common(_REASONS)],
            "other_reasons": max(0, len(self.reasons) - _REASONS),
            "notes": [[clip(text, 300), count] for text, count in self.notes.most_common(_REASONS)],
            "examples": self.examples,
            "unknown": {header: dict(values.most_common()) for header, values in self.unknown.items()},
            "linked": {key: {"count": self.linked_counts[key], "names": names} for key, names in self.linked.items()},
        }
