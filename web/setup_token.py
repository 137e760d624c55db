"""Who may set the workspace up: somebody at the machine itself, or somebody who can read its console."""

import hmac
import secrets
from functools import lru_cache

from starlette.requests import Request

from crm_core.errors import Invalid
from crm_core.settings import settings
from web.cookies import is_local


@lru_cache(maxsize=1)
def setup_token() -> str:
    """The token of this start of the program, or the one that RAPPORT_SETUP_TOKEN fixes."""
    chosen = settings().setup_token
    return chosen.get_secret_value() if chosen is not None and chosen.get_secret_value() else secrets.token_urlsafe(12)


@lru_cache(maxsize=1)
def announce() -> None:
    """Print the token on the console, once per start: before the first visit, or when a workspace was removed while the program ran."""
    print(f"\n  From another machine, the first visit needs the setup token: {setup_token()}\n", flush=True)


def is_needed(request: Request) -> bool:
    """True for everybody who does not sit at the machine. Whoever is asked for the token finds it on the console."""
    if is_local(request):
        return False
    announce()
    return True


def fits(request: Request, given: str) -> bool:
    """True when no token is needed, or the right one was given."""
    return not is_needed(request) or hmac.compare_digest(given.strip().encode(), setup_token().encode())


def require(request: Request, given: str) -> None:
    """Raise Invalid unless the person may set the workspace up."""
    if not fits(request, given):
        raise Invalid(fields={"token": "This is not the setup token. It was printed on the console when the program started."})
