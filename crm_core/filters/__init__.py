"""One nested filter grammar for views, segments, gates and automations, with two back-ends that agree: SQL and a Python predicate.

A filter is ``{"op": "and"|"or"|"not", "items": [...]}`` with leaves

* ``{"field", "cmp", "value"}``: a field, through references if need be (``account.industry``);
* ``{"agg": "count"|"sum"|"min"|"max"|"avg", "rel": "orders", "field": …, "where": {…}, "cmp", "value"}``: over children of a record;
  ``"rel": "purchases"`` are the lines of its placed and fulfilled orders (``product.category_id``, ``order.ordered_at``);
* ``{"segment": id, "cmp": "in"|"not_in"}``: kept membership of a segment;
* ``{"mark": "churn_risk", "cmp", "value"}``: what an analysis published last, its number or its label, after the type of the value;
* ``{"event": "deal.won", "within": "-90d", "cmp": "ge", "value": 1}``: how often something happened to the record or to a child of it.

Segment, mark and event take ``"on": "account"`` to ask the record behind a reference.

* Values may be literals, ``@me``, ``@my_team``, or relative days: ``today``, ``-90d``, ``+2w``, ``start_of_month``.
* Nothing matches an empty value except ``empty``, ``ne``, ``not_in`` and ``not_contains``; these count empty as "not that".
* Text compares without regard to case. Money is in minor units.
"""

from crm_core.fields import to_json
from crm_core.filters.binding import AGGREGATES, bind
from crm_core.filters.first import first_fitting, tells, unaskable
from crm_core.filters.leaves import folded, is_choice
from crm_core.filters.nodes import (
    COMPARISONS,
    COUNTED,
    MARK_LABEL,
    MARK_NUMBER,
    MAX_DEPTH,
    MAX_LEAVES,
    MAX_VALUES,
    WORDS,
    Aggregate,
    Ast,
    Context,
    Group,
    Happened,
    InSegment,
    Leaf,
    Linked,
    Marked,
    Node,
)
from crm_core.filters.rows import predicate
from crm_core.filters.sql import to_sql, where
from crm_core.filters.values import relative_day
from crm_core.filters.words import comparison_words, in_words

__all__ = [
    "AGGREGATES",
    "COMPARISONS",
    "COUNTED",
    "MARK_LABEL",
    "MARK_NUMBER",
    "MAX_DEPTH",
    "MAX_LEAVES",
    "MAX_VALUES",
    "WORDS",
    "Aggregate",
    "Ast",
    "Context",
    "Group",
    "Happened",
    "InSegment",
    "Leaf",
    "Linked",
    "Marked",
    "Node",
    "bind",
    "comparison_words",
    "first_fitting",
    "folded",
    "in_words",
    "is_choice",
    "predicate",
    "relative_day",
    "tells",
    "to_json",
    "to_sql",
    "unaskable",
    "where",
]
