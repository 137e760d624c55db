"""Numbers in sentences are written for their reader: with ``written`` or a function of ``crm_core.format``, not with Python's own comma and point."""

import ast
import re

from tests.architecture.source import files, name, tree

ENGLISH = re.compile(r",|\.[1-9][f%g]|%[bB]|%[IpcxX]")
"""Specs that are English: a comma between thousands, decimals behind a point, names of months, times of a twelve-hour clock."""

FREE = {
    "crm_core/cli": "a command line is English",
    "crm_core/kit/numerals.py": "the way itself",
    "crm_core/services/admin/demo": "planted facts, in the log of whoever builds the demo",
    "crm_core/services/analytics/churn_fit.py": "sentences of a run are kept for all readers in English; the page shows them with as_read",
    "crm_core/services/analytics/methods": "sentences of a run",
    "crm_core/services/analytics/metric_pages.py": "writes docs/metrics.md",
    "crm_core/services/analytics/paper_charts.py": "widths of a style sheet",
    "crm_core/services/analytics/score_fit.py": "sentences of a run",
    "crm_core/services/booking/taking.py": "the day in a mail to a stranger, whose formats nobody knows",
    "crm_core/services/collaboration/invitation_rules.py": "the same",
    "ui/components/campaign_audience.py": "widths of a style sheet",
    "ui/components/tile_charts.py": "a colour",
    "web": "pages for strangers, and the API: English",
    "worker": "keys of jobs",
}  # fmt: skip


def english_specs() -> list[str]:
    """Where a number or a day is put into text as English writes it."""
    found = []
    for path in files("crm_core", "ui", "pages", "worker", "web"):
        known = name(path)
        if any(known == free or known.startswith(f"{free}/") for free in FREE):
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FormattedValue) and isinstance(node.format_spec, ast.JoinedStr):
                spec = "".join(str(part.value) for part in node.format_spec.values if isinstance(part, ast.Constant))
                if ENGLISH.search(spec):
                    found.append(f"{known}:{node.lineno} {{{ast.unparse(node.value)}:{spec}}}")
    return found


def test_no_sentence_writes_numbers_as_english_does():
    assert english_specs() == [], "write it with written(…) (crm_core.kit.numerals, fmt.written in ui and pages) or with fmt.number"


def test_what_is_free_is_still_there():
    known = [name(path) for path in files()]
    assert [free for free in FREE if not any(each == free or each.startswith(f"{free}/") for each in known)] == []
