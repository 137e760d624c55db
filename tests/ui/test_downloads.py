"""A file that can't be made says why."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

from streamlit.runtime import app_session
from streamlit.runtime.media_file_storage import MediaFileStorageError

from crm_core.errors import NotPermitted
from ui import downloads


def answer(make):
    """What the browser is told when it asks for a file that ``make`` makes."""
    files = downloads.Files(lambda: SimpleNamespace(execute_deferred=make))
    request = SimpleNamespace(request_id="r", deferred_file=SimpleNamespace(file_id="f"))
    with ThreadPoolExecutor(1) as apart:  # this thread may have a loop already, which a browser left running
        return apart.submit(asyncio.run, files.handle(request, "s")).result()


def failing(cause, words="Callable execution failed"):
    def make(_file_id):
        raise MediaFileStorageError(words) from cause

    return make


def test_the_reader_gets_the_file_or_the_sentence_and_never_the_fault_itself(caplog, monkeypatch):
    assert answer(lambda file_id: f"/media/{file_id}").deferred_file.url == "/media/f"
    assert answer(failing(NotPermitted("Your role may not export contacts."))).error_msg == "Your role may not export contacts."
    assert answer(failing(None, "Deferred file f not found")).error_msg == downloads.OLD
    with caplog.at_level(logging.ERROR, "rapport.ui"):
        told = answer(failing(KeyError("secret column"))).error_msg
    assert "could not be made" in told and "secret" not in told
    assert told.rpartition(" ")[2] in caplog.text, "the reference is the one in the log"
    monkeypatch.setattr(app_session, "DeferredFileHandler", app_session.DeferredFileHandler)
    assert downloads.install() and app_session.DeferredFileHandler is downloads.Files
