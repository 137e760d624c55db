"""``/metrics`` in the Prometheus format, for whoever may see jobs or holds RAPPORT_METRICS_TOKEN."""

import hmac

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest
from sqlalchemy import func, select
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from crm_core.access import load
from crm_core.db import read_session
from crm_core.errors import NotPermitted
from crm_core.kit.clock import utcnow
from crm_core.models import AuthSession
from crm_core.services.admin import sessions
from crm_core.settings import settings
from crm_core.vocabulary import Action
from web.cookies import SESSION_COOKIE

_REQUESTS = Counter("rapport_http_requests", "HTTP requests by kind of answer", ["status"])
_SECONDS = Histogram("rapport_http_seconds", "Time until an answer began", buckets=(0.005, 0.02, 0.05, 0.1, 0.3, 1, 3))
_SIGNINS = Counter("rapport_signins", "Tries to sign in with a password", ["outcome"])
_SESSIONS = Gauge("rapport_signed_in_sessions", "Browsers that are signed in")
_KINDS = {kind: _REQUESTS.labels(f"{kind}xx") for kind in range(1, 6)}


def count_request(status: int, seconds: float) -> None:
    """Count an answer."""
    _KINDS[min(5, max(1, status // 100))].inc()
    _SECONDS.observe(seconds)


def count_signin(outcome: str) -> None:
    """Count a try to sign in."""
    _SIGNINS.labels(outcome).inc()


def show(request: Request) -> Response:
    """All counters of this process."""
    if not _may_read(request):
        return PlainTextResponse("Metrics need the token of RAPPORT_METRICS_TOKEN, or a session that may see jobs.\n", 401)
    with read_session() as session:
        table = AuthSession.__table__  # type: ignore[attr-defined]
        _SESSIONS.set(session.execute(select(func.count()).select_from(table).where(table.c.expires_at > utcnow())).scalar_one())
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _may_read(request: Request) -> bool:
    chosen = settings().metrics_token
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if chosen is not None and chosen.get_secret_value() and hmac.compare_digest(given.encode(), chosen.get_secret_value().encode()):
        return True
    with read_session() as session:
        found = sessions.lookup(session, request.cookies.get(SESSION_COOKIE))
        if found is None:
            return False
        try:
            return load(session, found.user_id).can("job", Action.READ)
        except NotPermitted:
            return False
