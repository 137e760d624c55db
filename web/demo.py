"""The demo door: builds the made-up company in a thread, shows how far it is, and lets the visitor in without typing anything."""

import logging
import secrets
from dataclasses import dataclass, replace
from threading import Lock, Thread

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from crm_core.db import read_session, write_session
from crm_core.errors import CrmError, NotPermitted
from crm_core.services.admin import people, sessions, setup, signin
from crm_core.vocabulary import SigninMethod
from web import pages
from web.cookies import SESSION_COOKIE, address_of, browser_of, is_local, let_in
from web.forms import Form
from web.paths import safe_next

log = logging.getLogger("rapport.web")
TICKET_COOKIE = "rapport_demo"


@dataclass(frozen=True)
class State:
    """How far the building is. ``ticket`` is known only to the browser that asked for it."""

    running: bool = False
    percent: int = 0
    step: str = ""
    failure: str = ""
    ticket: str = ""


_state = State()
_lock = Lock()


def state() -> State:
    """The state of the building in this process."""
    return _state


def is_building() -> bool:
    """True while the company is being built in this process."""
    return _state.running


def _now(**changes: object) -> None:
    global _state
    with _lock:
        _state = replace(_state, **changes)  # type: ignore[arg-type]


def start() -> str:
    """Start building; returns the ticket, or an empty text when somebody was faster or a workspace exists."""
    global _state
    with read_session() as session:
        exists = setup.organisation(session) is not None
    with _lock:
        if _state.running or exists:
            return ""
        ticket = secrets.token_urlsafe(24)
        _state = State(running=True, percent=0, step="Getting ready…", ticket=ticket)
    Thread(target=_build, name="demo-company", daemon=True).start()
    return ticket


def _build() -> None:
    try:
        from crm_core.services.admin import demo as company  # here, since it is large and almost nobody needs it

        company.build(scale="small", seed=1, progress=lambda done, step: _now(percent=round(done * 100), step=step))
        _now(running=False, percent=100)
        _look_ahead()
    except CrmError as error:
        _now(running=False, failure=error.message, ticket="")
    except Exception:
        log.exception("the demo company could not be built")
        _now(running=False, failure="The demo company could not be built. The console says why.", ticket="")


def _look_ahead() -> None:
    """The analyses, left to the worker behind the open door. Without them every page is still there, it only begins empty."""
    from crm_core.services.admin.demo import first_looks

    try:
        with write_session() as session:
            first_looks.later(session)
    except Exception:
        log.exception("the analyses of the demo company could not be queued")


def status(_request: Request) -> Response:
    """How far it is, for the page's script."""
    now = state()
    return JSONResponse(
        {"done": not now.running and not now.failure, "failed": bool(now.failure), "percent": now.percent, "step": now.step}
    )


def show(request: Request) -> Response:
    """While it is built: the progress. Afterwards: in, for the browser that asked for it; everybody else signs in."""
    now = state()
    if now.running:
        return pages.render("building.html", percent=now.percent, step=now.step)
    if now.failure:
        return RedirectResponse("/welcome", 303)
    given = request.cookies.get(TICKET_COOKIE, "")
    if not now.ticket or not secrets.compare_digest(given, now.ticket):
        return RedirectResponse("/", 303)
    _now(ticket="")
    response = _enter(request, "/")
    response.delete_cookie(TICKET_COOKIE, path="/welcome/demo")
    return response


def may_enter(request: Request) -> bool:
    """True when the workspace is the demo company and the visitor sits at the machine: it may hold own data by now."""
    if not is_local(request):
        return False
    with read_session() as session:
        workspace = setup.organisation(session)
        return workspace is not None and workspace.is_demo


def enter(request: Request, form: Form) -> Response:
    """Back into the demo company after a sign-out, without a password."""
    if not may_enter(request):
        raise NotPermitted("The demo company can be entered without a password only on the machine that runs it.")
    return _enter(request, safe_next(form.get("next")))


def switch(request: Request, form: Form) -> Response:
    """Become another person of the demo company, to see it with the eyes of their role. Only for who came in through the demo's own door."""
    with write_session() as session:
        known = sessions.lookup(session, request.cookies.get(SESSION_COOKIE))
        workspace = setup.organisation(session)
        if known is None or workspace is None or not workspace.is_demo or not sessions.came_by(session, known, SigninMethod.DEMO):
            raise NotPermitted("Only visitors of the demo company can look at it as somebody else.")
        target = people.demo_person(session, form.get("role", ""))
        token = signin.enter(session, target, SigninMethod.DEMO, address=address_of(request), browser=browser_of(request))
    return let_in(request, token, "/")


def _enter(request: Request, target: str) -> Response:
    with write_session() as session:
        host = people.first_administrator(session)
        token = signin.enter(session, host, SigninMethod.DEMO, address=address_of(request), browser=browser_of(request))
    return let_in(request, token, target)
