"""Where a list goes on: an opaque text that holds the last value, its id, and a mark of the list it belongs to."""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from crm_core.errors import Invalid
from crm_core.services.collaboration.outward import Position


def mark(*parts: Any) -> str:
    """A short mark of what a list shows and how it is sorted."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode("utf-8", "replace")).hexdigest()[:12]


def encode(position: Position | None, of: str) -> str | None:
    """The cursor of a position; None at the end."""
    if position is None:
        return None
    return base64.urlsafe_b64encode(json.dumps([position[0], position[1], of]).encode()).decode().rstrip("=")


def decode(text: str | None, of: str) -> Position | None:
    """The position of a cursor. Raises Invalid for one that is not of this list."""
    if not text:
        return None
    try:
        value, record_id, belongs = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, TypeError, RecursionError) as error:
        raise Invalid(fields={"cursor": "This cursor is not one of ours. Begin again without it."}) from error
    if belongs != of:
        raise Invalid(fields={"cursor": "This cursor belongs to another filter or sort order. Begin again without it."})
    if isinstance(record_id, bool) or not isinstance(record_id, int) or isinstance(value, list | Mapping) or abs(record_id) > 2**31:
        raise Invalid(fields={"cursor": "This cursor is not one of ours. Begin again without it."})
    return value, record_id
