"""``/q/<token>`` is a survey for one reader of one message: fetching it stores no answer. The score that was clicked in the message is sent by the page
itself once somebody looks at it, the rest by the button. ``/q/preview-<token>`` shows the page to those who make it. No account, no index."""

from starlette.requests import Request
from starlette.responses import Response

from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, CrmError, Invalid
from crm_core.services.feedback import answering
from crm_core.services.feedback.answering import PublicSurvey
from web import pages
from web.forms import Form

PREVIEW = "preview-"


def show(request: Request) -> Response:
    """The question. Programs that check links follow every one of them, so that opening it answers nothing."""
    token = _token(request)
    if token.startswith(PREVIEW):
        with read_session() as session:
            return _page("ask", answering.preview(session, token.removeprefix(PREVIEW)), "")
    if request.query_params.get("stop"):
        with read_session() as session:
            found = answering.show(session, token)
        return _page("stop", found, token)
    with read_session() as session:
        found = answering.show(session, token, chosen=request.query_params.get("s", "")[:3])
    if request.method == "GET":
        with write_session() as session:
            answering.opened(session, token)
    clicked = request.query_params.get("s", "").isdecimal() and found.score is not None and found.score != found.kept
    return _page("ask" if found.may_answer else "closed", found, token, at_once=clicked)


def submit(request: Request, values: Form) -> Response:
    """The answer, or no more surveys (also by the one click of a mail program)."""
    token = _token(request)
    if values.get("stop") or request.query_params.get("stop"):
        with write_session() as session:
            answering.stop(session, token)
        with read_session() as session:
            return _page("stopped", answering.show(session, token), token)
    if values.get("partial"):
        with write_session() as session:
            answering.answer(session, token, values, partial=True)
        return Response(status_code=204)
    try:
        with write_session() as session:
            found = answering.answer(session, token, values)
        return _page("ask" if found.open_questions else "thanks", found, token, status=422 if found.open_questions else 200)
    except (Invalid, Conflict) as error:
        return _again(token, values, error)


def _again(token: str, values: Form, error: CrmError) -> Response:
    """The page once more with what is wrong; nothing typed is lost."""
    with read_session() as session:
        found = answering.typed(answering.show(session, token, chosen=values.get("score", "")[:3]), values)
    if not found.may_answer:
        return _page("closed", found, token, status=409)
    sentence = error.fields.get("score", error.message) if isinstance(error, Invalid) and error.fields else error.message
    return _page("ask", found, token, status=422, error=sentence, comment=values.get("comment", ""))


def _page(
    state: str,
    found: PublicSurvey,
    token: str,
    *,
    status: int = 200,
    error: str = "",
    comment: str | None = None,
    at_once: bool = False,
) -> Response:
    said = found.comment if comment is None else comment
    return pages.public(
        "survey.html", status=status, state=state, survey=found, token=token, error=error, comment=said, at_once=at_once
    )


def _token(request: Request) -> str:
    return str(request.path_params["token"])[:100]
