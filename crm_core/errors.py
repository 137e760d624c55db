"""Errors with a sentence for people and a code for machines. Each door (screen, HTTP, worker, CLI) translates them once."""

from typing import Any


class CrmError(Exception):
    """Something the user can understand. ``message`` is shown as it is; ``details`` is for machines."""

    code = "error"
    status = 500

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class NotFound(CrmError):
    """No such record, or one that this person may not see: both look the same."""

    code = "not_found"
    status = 404


class NotPermitted(CrmError):
    """The person's role does not allow the verb."""

    code = "not_permitted"
    status = 403


class Conflict(CrmError):
    """Somebody else was faster. ``details['fields']`` may hold ``{field: (original, theirs, mine)}``."""

    code = "conflict"
    status = 409


class Invalid(CrmError):
    """The input can't be taken. ``fields`` maps a field key to a sentence."""

    code = "invalid"
    status = 422

    def __init__(self, message: str = "", fields: dict[str, str] | None = None, **details: Any) -> None:
        self.fields = fields or {}
        super().__init__(message or " ".join(self.fields.values()) or "The input is not valid.", **details)


class TooMany(CrmError):
    """Too many tries in too short a time."""

    code = "too_many"
    status = 429


class Unavailable(CrmError):
    """The outside world or the storage does not answer. ``permanent`` says whether trying again can help."""

    code = "unavailable"
    status = 503

    def __init__(self, message: str, *, permanent: bool = False, **details: Any) -> None:
        self.permanent = permanent
        super().__init__(message, **details)
