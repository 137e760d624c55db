"""The routes of the API, its document and its page of documentation."""

from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from crm_core.db import read_session
from crm_core.errors import CrmError, Invalid
from web import pages
from web.api import document, extras, records, verbs
from web.api.problems import Refused, problem, unexpected

HERE = "/api/v1"


def build() -> FastAPI:
    """The app below the gate."""
    app = FastAPI(
        title="Rapport API", version="1", description=document.ABOUT, docs_url=None, redoc_url=None, openapi_url=None, servers=[{"url": HERE}],
        redirect_slashes=False,
    )  # fmt: skip
    app.add_exception_handler(CrmError, _crm_error)
    app.add_exception_handler(RequestValidationError, _wrong_parameters)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _bug)
    app.add_route("/openapi.json", lambda _request: JSONResponse(_document(app)), methods=["GET"])
    app.add_route("/docs", lambda _request: _docs(app), methods=["GET"])
    app.add_route("/", lambda _request: Response(status_code=307, headers={"location": f"{HERE}/docs"}), methods=["GET"])
    app.include_router(extras.routes())
    app.include_router(records.routes())
    app.include_router(verbs.routes())
    return app


def _document(app: FastAPI) -> dict[str, Any]:
    with read_session() as session:
        return document.complete({**app.openapi(), "components": {}}, session)


def _docs(app: FastAPI) -> Response:
    """A page of our own, without a script and without another host."""
    found = _document(app)
    tags: dict[str, list[dict[str, Any]]] = {}
    for path, ways in found["paths"].items():
        for method, operation in ways.items():
            tags.setdefault(operation["tags"][0], []).append({"method": method.upper(), "path": HERE + path, **operation})
    shapes = {name: shape for name, shape in found["components"]["schemas"].items() if "id" in shape.get("properties", {})}
    return pages.render("api_docs.html", tags=tags, shapes=shapes, about=document.ABOUT.split("\n\n"), described=_words)


def _words(shape: dict[str, Any]) -> str:
    """``string or null``, or the values of a list."""
    if "enum" in shape:
        return ", ".join(str(one) for one in shape["enum"] if one is not None)
    kind = shape.get("type", "")
    kinds = [one for one in (kind if isinstance(kind, list) else [kind]) if one != "null"]
    form = shape.get("format")
    return " or ".join(kinds) + (f" ({form})" if form else "")


async def _crm_error(_request: Request, error: Any) -> Response:
    return problem(error, error.details.get("headers"))


async def _wrong_parameters(_request: Request, error: Any) -> Response:
    fields = {str(one["loc"][-1]): str(one["msg"]).removeprefix("Value error, ") + "." for one in error.errors()}
    return problem(Invalid("Part of the address is not valid.", fields=fields))


async def _http_error(request: Request, error: Any) -> Response:
    words = {404: "There is nothing at this address.", 405: "This address does not work that way."}
    allowed = {"allow": error.headers["Allow"]} if error.headers and "Allow" in error.headers else None
    code = {404: "not_found", 405: "wrong_method"}.get(error.status_code, "")
    return problem(Refused(error.status_code, words.get(error.status_code, str(error.detail)), code=code), allowed)


async def _bug(_request: Request, error: Exception) -> Response:
    return unexpected(error)
