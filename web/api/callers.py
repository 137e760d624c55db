"""Whom the gate let in."""

from typing import Any

from starlette.requests import Request

from crm_core.services.admin.api_door import Caller, Unknown


def caller_of(request: Request) -> Caller:
    """The program that asks. The pages of the documentation alone may be opened by a person without a key."""
    caller: Any = request.scope.get("rapport.caller")
    if caller is None:
        raise Unknown("This needs a key: send “Authorization: Bearer rap_…”.")
    return caller
