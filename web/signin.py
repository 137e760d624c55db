"""``/signin``, ``/signout`` and ``/auth/logout`` (where ``st.logout()`` sends the browser)."""

from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from crm_core.db import read_session, write_session
from crm_core.errors import CrmError, NotPermitted
from crm_core.services.admin import passwords, sessions, setup, signin
from crm_core.settings import settings
from web import demo, metrics, pages
from web.cookies import SESSION_COOKIE, address_of, browser_of, clear_session, let_in
from web.forms import Form
from web.paths import safe_next

ENDED = "You were signed out. Sign in again to go on where you were."


def show(request: Request) -> Response:
    """The form; somebody who is signed in already goes straight on."""
    target = safe_next(request.query_params.get("next"))
    with read_session() as session:
        workspace = setup.organisation(session)
        known = sessions.lookup(session, request.cookies.get(SESSION_COOKIE))
    if workspace is None:
        return RedirectResponse("/welcome", 303)
    if known is not None:
        return RedirectResponse(target, 303)
    notice = ENDED if request.query_params.get("why") == "ended" else ""
    return _form(request, target, notice=notice)


def submit(request: Request, form: Form) -> Response:
    """Try the password; on success a new session, always with a new token, and on to the page that was wanted."""
    target = safe_next(form.get("next"))
    email, password, address = form.get("email", ""), form.get("password", ""), address_of(request)
    try:
        token = _try(email, password, address, browser_of(request))
    except CrmError as error:
        metrics.count_signin("refused")
        return _form(
            request, target, email=email[:254], error=error.message, status=401 if isinstance(error, NotPermitted) else error.status
        )
    metrics.count_signin("ok")
    return let_in(request, token, target)


def _try(email: str, password: str, address: str, browser: str) -> str:
    with write_session() as session:
        attempt = signin.begin(session, email, address=address)
    if not passwords.fits(attempt.password_hash, password):
        with write_session() as session:
            signin.fail(session, attempt, address=address)
        raise NotPermitted(signin.WRONG)
    with write_session() as session:
        return signin.succeed(session, attempt, password=password, address=address, browser=browser)


def _form(request: Request, target: str, *, email: str = "", error: str = "", notice: str = "", status: int = 200) -> Response:
    with read_session() as session:
        workspace = setup.organisation(session)
    return pages.render(
        "signin.html",
        status=status,
        workspace=workspace.name if workspace else "",
        next=target,
        email=email,
        error=error,
        notice=notice,
        demo=demo.may_enter(request),
        sso=settings().oidc_label if settings().oidc_issuer else "",
    )


def ask_signout(request: Request) -> Response:
    """Sign out. Asked by another site, it asks back first: a link elsewhere must not sign anybody out."""
    if request.headers.get("sec-fetch-site") == "cross-site":
        return pages.render("signout.html")
    return signout(request, {})


def signout(request: Request, _form: Form) -> Response:
    """End the session of this browser. A tab whose session was gone already learns so, and finds its page again after sign-in."""
    with write_session() as session:
        known = signin.leave(session, request.cookies.get(SESSION_COOKIE))
    response = RedirectResponse("/signin" if known else _back_to(request), 303)
    clear_session(response, request)
    return response


def _back_to(request: Request) -> str:
    referer = urlsplit(request.headers.get("referer", ""))
    if referer.netloc != request.headers.get("host"):
        return "/signin"
    page = safe_next(referer.path + (f"?{referer.query}" if referer.query else ""))
    return f"/signin?why=ended&next={quote(page, safe='')}"
