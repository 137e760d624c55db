"""``/welcome``: the first visit, with two doors. Once a workspace exists, all of it leads to the sign-in page."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from crm_core.db import read_session, write_session
from crm_core.errors import CrmError, Invalid
from crm_core.services.admin import founding, organisation, signin
from crm_core.vocabulary import SigninMethod
from web import demo, pages, setup_token
from web.cookies import address_of, browser_of, is_https, let_in
from web.forms import Form

FIELDS = ("workspace", "currency", "timezone", "locale", "name", "email")
_FIRST = ("USD", "EUR", "GBP", "CHF", "JPY", "CAD", "AUD", "INR", "BRL", "CNY")


def show(request: Request) -> Response:
    """The two doors."""
    if _exists():
        return RedirectResponse("/signin", 303)
    if demo.is_building():
        return pages.render("building.html", percent=demo.state().percent, step=demo.state().step)
    return doors(request, error=demo.state().failure)


def doors(request: Request, *, error: str = "", errors: dict[str, str] | None = None, status: int = 200) -> Response:
    """The page with both doors; the token of the console's link travels along."""
    given = request.query_params.get("token", "")
    token = given if given and setup_token.fits(request, given) else ""
    needed = setup_token.is_needed(request)
    return pages.render("welcome.html", status=status, needs_token=needed, token=token, error=error, errors=errors or {})


def begin_demo(request: Request, form: Form) -> Response:
    """Start building the demo company, unless somebody did; the visitor gets a ticket with which only they are let in afterwards."""
    if not setup_token.fits(request, form.get("token", "")):
        wrong = "This is not the setup token. It was printed on the console when the program started."
        return doors(request, error=wrong, errors={"token": "Not the right token."}, status=422)
    response = RedirectResponse("/welcome/demo", 303)
    ticket = demo.start()
    if ticket:
        response.set_cookie(
            demo.TICKET_COOKIE, ticket, max_age=3_600, path="/welcome/demo", httponly=True, samesite="lax", secure=is_https(request)
        )
    return response


def show_own(request: Request) -> Response:
    """The form of the second door."""
    if _exists():
        return RedirectResponse("/signin", 303)
    values = dict.fromkeys(FIELDS, "") | {"currency": "USD", "timezone": "UTC", "locale": _usual_locale(request)}
    return _own(request, values, request.query_params.get("token", ""))


def submit_own(request: Request, form: Form) -> Response:
    """Create the workspace and its administrator, who is signed in by that."""
    if _exists():
        return RedirectResponse("/signin", 303)
    values = {key: form.get(key, "").strip() for key in FIELDS}
    values["locale"] = values["locale"] or _usual_locale(request)
    try:
        setup_token.require(request, form.get("token", ""))
        token = _found(values, form.get("password", ""), request)
    except CrmError as error:
        fields = error.fields if isinstance(error, Invalid) else {}
        return _own(request, values, form.get("token", ""), error=error.message, errors=fields, status=error.status)
    return let_in(request, token, "/")


def _usual_locale(request: Request) -> str:
    return founding.usual_locale(request.headers.get("accept-language", ""))


def _found(values: dict[str, str], password: str, request: Request) -> str:
    with write_session() as session:
        user = founding.found(session, **values, password=password)
        return signin.enter(session, user.id, SigninMethod.LOCAL, address=address_of(request), browser=browser_of(request))


def _own(
    request: Request,
    values: dict[str, str],
    token: str,
    *,
    error: str = "",
    errors: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    currencies = founding.currencies()
    ordered = [
        *((code, currencies[code]) for code in _FIRST),
        *((code, text) for code, text in currencies.items() if code not in _FIRST),
    ]
    return pages.render(
        "own.html",
        status=status,
        values=values,
        needs_token=setup_token.is_needed(request),
        token=token,
        currencies=ordered,
        timezones=[(name, name.replace("_", " ")) for name in founding.timezones()],
        locales=list(organisation.LOCALES.items()),
        usual=founding.usual_currencies(),
        error=error,
        errors=errors or {},
    )


def _exists() -> bool:
    with read_session() as session:
        return founding.is_founded(session) and not demo.is_building()
