"""Single sign-on by OpenID Connect: authorisation code with PKCE and nonce, ending in the same session row as a password."""

import json
import logging
from functools import lru_cache
from typing import Any

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from crm_core.db import write_session
from crm_core.errors import CrmError, NotFound, NotPermitted, Unavailable
from crm_core.services.admin import signin, single_signon
from crm_core.settings import settings
from crm_core.vocabulary import SigninMethod
from web import pages, secret
from web.cookies import address_of, browser_of, is_https, let_in
from web.paths import safe_next

log = logging.getLogger("rapport.web")
STATE_COOKIE = "rapport_sso"
_MINUTES = 10
FAILED = "The single sign-on did not work. Try again; if it fails once more, ask an administrator to look at the log."
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Public-key signatures only: neither "none" nor a shared secret."""


@lru_cache(maxsize=1)
def _client() -> Any:
    from authlib.integrations.starlette_client import OAuth  # here: half a second that only single sign-on should cost

    chosen = settings()
    oauth = OAuth()
    oauth.register(
        "sso",
        client_id=chosen.oidc_client_id,
        client_secret=chosen.oidc_client_secret.get_secret_value() if chosen.oidc_client_secret else None,
        server_metadata_url=chosen.oidc_issuer.rstrip("/") + "/.well-known/openid-configuration",
        client_kwargs={"scope": "openid email profile", "code_challenge_method": "S256", "timeout": 10},
    )
    return oauth.create_client("sso")


def _require_set_up(request: Request) -> None:
    if not settings().oidc_issuer or request.method not in ("GET", "HEAD"):
        raise NotFound("Single sign-on is not set up here.")


async def begin(request: Request) -> Response:
    """Send the browser to the provider. State, nonce and verifier wait in a signed cookie of ten minutes."""
    try:
        _require_set_up(request)
        kept: dict[str, Any] = {}
        sub = Request({**request.scope, "session": kept})
        response = await _client().authorize_redirect(sub, _callback(request))
    except CrmError as error:
        return pages.failure(error)
    except Exception:
        log.exception("the provider of the single sign-on could not be asked")
        return pages.failure(Unavailable("The single sign-on service does not answer right now. Try again in a moment."))
    kept["next"] = safe_next(request.query_params.get("next"))
    response.status_code = 303
    response.set_cookie(
        STATE_COOKIE,
        _signer().dumps(json.dumps(kept)),
        max_age=_MINUTES * 60,
        path="/signin/sso",
        httponly=True,
        samesite="lax",
        secure=is_https(request),
    )
    return response


async def finish(request: Request) -> Response:
    """Back from the provider: check everything, find the person, open the session."""
    try:
        _require_set_up(request)
        kept = _kept(request)
        claims = await _claims(request, kept)
        response = await run_in_threadpool(_enter, request, claims, safe_next(kept.get("next")))
    except CrmError as error:
        response = _refused(error)
    except Exception as error:
        response = pages.unexpected(error)
    response.delete_cookie(STATE_COOKIE, path="/signin/sso")
    return response


async def _claims(request: Request, kept: dict[str, Any]) -> dict[str, Any]:
    """The claims of an identity token whose signature, issuer, audience, nonce and age are right."""
    from authlib.integrations.starlette_client import OAuthError

    client = _client()
    try:
        metadata = await client.load_server_metadata()
        if str(metadata.get("issuer", "")).rstrip("/") != settings().oidc_issuer.rstrip("/"):
            raise NotPermitted(FAILED)
        metadata["id_token_signing_alg_values_supported"] = _ALGORITHMS
        options = {
            "iss": {"essential": True, "values": [metadata["issuer"]]},
            "aud": {"essential": True, "value": settings().oidc_client_id},
            "sub": {"essential": True},
            "nonce": {"essential": True},
        }
        token = await client.authorize_access_token(Request({**request.scope, "session": kept}), claims_options=options)
    except OAuthError as error:
        log.warning("single sign-on refused: %s", error)
        raise NotPermitted("The single sign-on was cancelled or refused.") from error
    except CrmError:
        raise
    except Exception as error:
        log.warning("single sign-on failed: %s: %s", type(error).__name__, error)
        raise NotPermitted(FAILED) from error
    if not token.get("userinfo"):
        raise NotPermitted(FAILED)
    return dict(token["userinfo"])


def _enter(request: Request, claims: dict[str, Any], target: str) -> Response:
    with write_session() as session:
        user = single_signon.person_of(session, claims)
        token = signin.enter(session, user.id, SigninMethod.OIDC, address=address_of(request), browser=browser_of(request))
    return let_in(request, token, target)


def _kept(request: Request) -> dict[str, Any]:
    try:
        return dict(json.loads(_signer().loads(request.cookies.get(STATE_COOKIE, ""), max_age=_MINUTES * 60)))
    except (BadSignature, ValueError, TypeError) as error:
        raise NotPermitted("This sign-in was begun elsewhere or took too long. Begin again from the sign-in page.") from error


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(secret.key(), salt="single-sign-on")


def _callback(request: Request) -> str:
    base = settings().public_url.rstrip("/") or str(request.base_url).rstrip("/")
    return base + "/signin/sso/callback"


def _refused(error: CrmError) -> Response:
    return pages.render(
        "message.html",
        status=error.status,
        title="You are not signed in",
        message=error.message,
        link="/signin",
        label="Back to sign-in",
    )
