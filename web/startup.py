"""What happens before the first request: settings reach Streamlit, the database gets its shape, heavy modules are loaded once."""

import gc
import importlib
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from threading import Thread
from typing import Any, NoReturn

import streamlit.config as streamlit_config

from crm_core import reads, schema
from crm_core.db import limit_statements, read_session, write_session
from crm_core.errors import CrmError, Unavailable
from crm_core.services.admin import founding, setup
from crm_core.settings import settings
from web import gate, headers, secret, setup_token

log = logging.getLogger("rapport")

FULL_COLLECTION = 100
"""So many collections of the middle generation to a full one (Python's own figure is 10): with fifty open tabs a full one stops every page of the process for 0.1 s."""

WARM_AFTER_SECONDS = 4.0
"""The first page comes first: what it does not need would only take its time away."""


def configure() -> None:
    """Hand our settings to Streamlit. Before the app is built: it reads the cookie key then."""
    logging.basicConfig(level=settings().log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    limit_statements(settings().statement_timeout_seconds)
    streamlit_config.set_option("server.cookieSecret", secret.key())
    streamlit_config.set_option("server.maxUploadSize", settings().max_upload_mb)


def lifespan(warm: Sequence[str] = ()) -> Any:
    """The app's lifespan: prepare, tell how to begin, load the modules ``warm`` beside the first requests."""

    @asynccontextmanager
    async def run(_app: Any) -> AsyncIterator[dict[str, Any]]:
        try:
            prepare()
        except CrmError as error:
            refuse(error)
        headers.app_policy()
        if gate.is_first():
            invite_first_visit()
        Thread(target=warm_up, args=(tuple(warm),), name="warm-up", daemon=True).start()
        reads.begin()
        yield {}
        reads.end()

    return run


def refuse(error: CrmError) -> NoReturn:
    """Say why the program can't start, and end it: an exception here would bury the sentence under the server's traceback."""
    print(f"\n  Rapport can't start: {error.message}\n", file=sys.stderr, flush=True)
    os._exit(3)


def prepare() -> None:
    """Bring the embedded database up to date; refuse a newer one, and a server database that nobody migrated."""
    schema.refuse_newer()
    if not schema.is_current():
        if not settings().is_sqlite:
            raise Unavailable(
                "The database is not up to date. Run “python -m crm_core migrate” first, once for all replicas.", permanent=True
            )
        schema.upgrade()
    with read_session() as session:
        installed = founding.is_installed(session)
    if not installed:
        with write_session() as session:
            setup.install(session)


def invite_first_visit() -> None:
    """Print where to begin, while nobody did: with the token that a browser on another machine needs."""
    with read_session() as session:
        if setup.organisation(session) is not None:
            return
    address = streamlit_config.get_option("server.address") or "localhost"
    host = "localhost" if address in ("0.0.0.0", "127.0.0.1", "::", "::1") else address  # noqa: S104
    base = settings().public_url.rstrip("/") or f"http://{host}:{gate.public_port() or streamlit_config.get_option('server.port')}"
    print(f"\n  Rapport is new here. Open {base}/welcome to begin.", flush=True)
    setup_token.announce()
    print(f"  ({base}/welcome?token={setup_token.setup_token()})\n", flush=True)


def warm_up(modules: tuple[str, ...]) -> None:
    """Import what pages need (``module``, or ``module:function`` to call), then put all of it out of the garbage collector's sight: a collection would scan it after every rerun."""
    time.sleep(WARM_AFTER_SECONDS)
    began = time.perf_counter()
    for name in modules:
        module, _, function = name.partition(":")
        try:
            loaded = importlib.import_module(module)
            if function:
                getattr(loaded, function)()
        except Exception:
            log.exception("%s could not be loaded beforehand", name)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*gc.get_threshold()[:2], FULL_COLLECTION)
    gc.enable()  # web/__main__.py had put it to rest
    log.debug("warm after %.1f s", time.perf_counter() - began)
