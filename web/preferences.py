"""``/u/<token>`` unsubscribes with one click (RFC 8058), ``/p/<token>`` lets a reader choose what they get. No account, no index."""

from starlette.requests import Request
from starlette.responses import Response

from crm_core.db import read_session, write_session
from crm_core.services.marketing import tracking
from crm_core.vocabulary import Purpose
from web import pages
from web.forms import Form


def ask(request: Request) -> Response:
    """Looking changes nothing: scanners follow every link of a message. The button does it."""
    return _page(request, "unsubscribe.html", done=False)


def leave(request: Request, _form: Form) -> Response:
    """The button, and the one click of a mail program, which sends no origin: the signed address is the permission."""
    with write_session() as session:
        tracking.leave(session, _token(request))
    return _page(request, "unsubscribe.html", done=True)


def show(request: Request) -> Response:
    """What they get now."""
    return _page(request, "preferences.html", saved=False)


def save(request: Request, form: Form) -> Response:
    """What they want from now on."""
    wanted = frozenset(purpose for purpose in Purpose if form.get(purpose.value) == "yes")
    with write_session() as session:
        tracking.choose(session, _token(request), wanted)
    return _page(request, "preferences.html", saved=True)


def _page(request: Request, template: str, *, done: bool = False, saved: bool = False) -> Response:
    with read_session() as session:
        found = tracking.reader(session, _token(request))
    return pages.public(
        template,
        reader=found,
        purposes=list(Purpose),
        agreed=found.agreed,
        token=_token(request),
        preferences=f"/p/{_token(request)}",
        done=done,
        saved=saved,
    )


def _token(request: Request) -> str:
    return str(request.path_params["token"])
