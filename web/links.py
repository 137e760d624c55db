"""``/invite/<token>`` and ``/reset/<token>``: choose a password by a one-time link."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from crm_core.db import read_session, write_session
from crm_core.errors import Invalid, NotFound
from crm_core.models import User
from crm_core.services.admin import links, sessions, setup, signin
from crm_core.vocabulary import LinkPurpose, SigninMethod
from web import pages
from web.cookies import SESSION_COOKIE, address_of, browser_of, let_in
from web.forms import Form, endpoint

_WORDS = {
    LinkPurpose.INVITE: ("Welcome, {name}", "Choose a password for {email} to join {workspace}.", "Join"),
    LinkPurpose.RESET: ("Choose a new password", "For {email}. You will be signed out everywhere else.", "Save and sign in"),
}


def route(purpose: LinkPurpose) -> Callable[[Request], object]:
    """The endpoint of one kind of link."""

    def show(request: Request) -> Response:
        return _page(request, purpose)

    def submit(request: Request, form: Form) -> Response:
        try:
            with write_session() as session:
                user = links.redeem(session, _token(request), purpose, form.get("password", ""), name=form.get("name", ""))
                token = signin.enter(session, user.id, SigninMethod.LOCAL, address=address_of(request), browser=browser_of(request))
        except Invalid as error:
            return _page(request, purpose, errors=error.fields, name=form.get("name"), status=422)
        except NotFound as error:
            return _gone(error)
        return let_in(request, token, "/")

    return endpoint(show, submit)


def _page(
    request: Request, purpose: LinkPurpose, *, errors: dict[str, str] | None = None, name: str | None = None, status: int = 200
) -> Response:
    try:
        with read_session() as session:
            _, user = links.find(session, _token(request), purpose)
            workspace = setup.organisation(session)
            here = sessions.lookup(session, request.cookies.get(SESSION_COOKIE))
            other = session.get(User, here.user_id) if here is not None and here.user_id != user.id else None
            instead = _instead_of(other.name) if other is not None else ""
    except NotFound as error:
        return _gone(error)
    heading, lead, button = _WORDS[purpose]
    words = {"name": user.name, "email": user.email, "workspace": workspace.name if workspace else "Rapport"}
    return pages.render(
        "password.html",
        status=status,
        heading=heading.format(**words),
        lead=lead.format(**words),
        button=button,
        email=user.email,
        ask_name=purpose is LinkPurpose.INVITE,
        name=user.name if name is None else name,
        errors=errors or {},
        notice=instead,
    )


def _instead_of(name: str) -> str:
    return f"In this browser {name} is signed in. Going on here signs {name} out."


def _token(request: Request) -> str:
    return str(request.path_params["token"])


def _gone(error: NotFound) -> Response:
    return pages.render(
        "message.html", status=404, title="This link does not work", message=error.message, link="/signin", label="Sign in"
    )
