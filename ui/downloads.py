"""Files that are made when the browser asks for them: with the rights that the asker has by then, and with a sentence where one can't be made.

Streamlit answers every failure with "Failed to generate file for download"; its handler is private, so it is replaced in the version it was
read in only. Any other one runs as it is.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from functools import partial
from typing import Any

import streamlit as st
from sqlmodel import Session
from streamlit.proto.ForwardMsg_pb2 import BackendOperationResponse, DeferredFileResponsePayload
from streamlit.runtime import app_session
from streamlit.runtime.backend_operation_handler import DeferredFileHandler

from crm_core import access
from crm_core.access import Actor
from crm_core.errors import CrmError
from ui.lean import WRITTEN_FOR

log = logging.getLogger("rapport.ui")
OLD = "This page is older than its files. Load it anew, then take the file again."
MIME = {"csv": "text/csv", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}


def install() -> bool:
    """Put the handler into every session that begins; False when this Streamlit is another one than it was written for."""
    if not st.__version__.startswith(WRITTEN_FOR):
        return False
    app_session.DeferredFileHandler = Files  # type: ignore[misc]
    return True


class Files(DeferredFileHandler):
    """Makes the file, or says why not."""

    async def handle(self, request: Any, session_id: str) -> BackendOperationResponse:
        """The address of the file, or a sentence that stands under the button for some seconds."""
        try:
            url = await asyncio.to_thread(self._get_media_file_mgr().execute_deferred, request.deferred_file.file_id)
        except Exception as error:
            return BackendOperationResponse(request_id=request.request_id, error_msg=sentence(error))
        return BackendOperationResponse(request_id=request.request_id, deferred_file=DeferredFileResponsePayload(url=url))


def sentence(error: Exception) -> str:
    """Why a file can't be made, for people. What nobody foresaw gets a reference that the log knows too."""
    cause = error.__cause__ or error
    if isinstance(cause, CrmError):
        return cause.message
    if cause is error and "not found" in str(error):
        return OLD
    reference = secrets.token_hex(4).upper()
    log.error("reference %s", reference, exc_info=cause)
    return f"The file could not be made. If it happens again, tell your administrator this reference: {reference}"


def asker(session: Session, actor: Actor) -> Actor:
    """Who asks, as of now: the page with the button may be hours old. Raises when they are signed out or gone."""
    return access.load(session, actor.user_id or 0, via=actor.via, session_id=actor.session_id)


def table_buttons(make: Callable[[str], bytes], name: str, *, key: str) -> None:
    """A table as a file, in the two forms there are: ``make(form)`` gives it when the browser asks. ``name``: the file's, without its ending."""
    for form, words in (("csv", "CSV, for other programs"), ("xlsx", "Excel workbook")):
        st.download_button(
            words, partial(make, form), file_name=f"{name}.{form}", mime=MIME[form], key=f"{key}_{form}", on_click="ignore", width="stretch"
        )  # fmt: skip
