"""The examples in docs/api.md and docs/webhooks.md do what they say, against a real server."""

import os
import re
import subprocess
import sys
import threading
import time

import pytest
import uvicorn

from crm_core.db import write_session
from crm_core.services.admin import api_key_rules, api_keys
from crm_core.services.collaboration import webhook_rules
from tests.conftest import ROOT
from tests.web.conftest import APP
from tests.web.server import free_port
from web.api import pace


@pytest.fixture
def server(cast):
    pace.COUNTER.clear()
    port = free_port()
    running = uvicorn.Server(uvicorn.Config(APP, host="127.0.0.1", port=port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.02)
    with write_session() as session:
        _, key = api_keys.create(session, cast["root"], name="Docs", scopes=api_key_rules.SCOPES)
    yield os.environ | {"BASE": f"http://127.0.0.1:{port}", "KEY": key}
    running.should_exit = True
    thread.join(10)


def blocks(name, language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / name).read_text(encoding="utf-8"), re.S)


def test_every_example_of_the_api_works_as_printed(server):
    for text in blocks("api.md", "sh"):
        done = subprocess.run(
            ["bash", "-ec", text.replace("curl -s", "curl -sS --fail-with-body")],
            env=server,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    for text in blocks("api.md", "python"):
        done = subprocess.run([sys.executable, "-c", text], env=server, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0 and done.stdout, done.stderr


def test_the_check_of_a_signature_works_as_printed():
    names = {}
    exec(blocks("webhooks.md", "python")[0], names)
    secret, at, body = webhook_rules.new_secret(), int(time.time()), b'{"a":1}'
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(at),
        "webhook-signature": webhook_rules.signature(secret, "msg_1", at, body),
    }
    assert names["is_ours"](secret, headers, body) and not names["is_ours"](secret, headers, body + b" ")
