"""A copy of somebody's data and their erasure, whose workers are killed in the middle: the next one ends both, once."""

import zipfile

import pytest

from crm_core.db import read_session
from crm_core.models import PrivacyRequest
from crm_core.services import crud
from crm_core.services.admin.privacy import copying, requests
from crm_core.services.collaboration import activities
from crm_core.settings import settings
from crm_core.vocabulary import ActivityKind, PrivacyState
from tests.verbs import do, look
from tests.worker.test_kill import forget_dead_workers, hold, kill_when_held, release, until, worker

pytestmark = pytest.mark.slow


def asked(request_id):
    with read_session() as session:
        return session.get_one(PrivacyRequest, request_id)


def killed_and_ended(place, request_id):
    """Its worker dies at a place; how it stood then, and how it ended."""
    hold(place)
    with worker() as process:
        kill_when_held(process, place)
    stood = asked(request_id)
    forget_dead_workers()
    release()
    with worker():
        until(lambda: asked(request_id).state is PrivacyState.DONE, seconds=60)
    return stood, asked(request_id)


def test_a_copy_and_an_erasure_that_are_killed_are_ended_by_the_next_worker_once(cast):
    root = cast["root"]
    contact = do(crud.create, root, "contact", {"name": "Ida Holmgren", "email": "ida@holm.example"}).id
    do(activities.log, root, "contact", contact, kind=ActivityKind.CALL, text="Talked to Ida Holmgren")
    folder = settings().data_dir / copying.FOLDER

    copy = do(requests.make_copy, root, "contact", contact)
    stood, ended = killed_and_ended("packing", copy)
    halves = list(folder.iterdir())
    assert stood.state is PrivacyState.RUNNING and stood.file == ""
    assert [f"{copying.FOLDER}/{one.name}" for one in halves] == [ended.file], "the half file of the first is gone"
    assert zipfile.ZipFile(halves[0]).testzip() is None

    seal = look(requests.get, root, "contact", contact).seal
    erasure = do(requests.erase, root, "contact", contact, reason="Asked", typed="Ida Holmgren", seal=seal)
    stood, ended = killed_and_ended("wiped activity", erasure)
    assert stood.outcome["counts"]["Record"] == 1 and "Calls, meetings and notes" not in stood.outcome["counts"], (
        "what was not committed"
    )
    assert ended.outcome["counts"]["Record"] == 1 and ended.outcome["counts"]["Calls, meetings and notes"] == 1
    assert ended.words == {} and list(folder.iterdir()) == []
