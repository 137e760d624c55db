"""The app as a process of its own, on a free port, with a database of its own."""

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent.parent
NO_TLS = False
"""``verify`` of a client of our own servers, which speak plain HTTP: to read all the world's certificates takes a client 40 ms."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def running(database_url: str, folder: Path, **settings: str):
    """Start ``streamlit run app.py``; yields (base URL, process, path of its log). It is ended at the end, whatever happened."""
    port = free_port()
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("RAPPORT_", "STREAMLIT_"))}
    environment |= {"RAPPORT_DATABASE_URL": database_url, "RAPPORT_DATA_DIR": str(folder), "OMP_NUM_THREADS": "1", **settings}
    log = folder / "server.log"
    with log.open("w") as output:
        command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield f"http://127.0.0.1:{port}", process, log
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(15)


def wait_until_up(url: str, process: subprocess.Popen, log: Path, seconds: float = 60) -> None:
    """Return once the server answers; raise with its log when it ends or takes too long."""
    deadline = time.monotonic() + seconds
    with httpx.Client(base_url=url, timeout=2, verify=NO_TLS) as client:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise RuntimeError(f"the server ended:\n{log.read_text()}")
            try:
                if client.get("/_stcore/health").status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.05)
    raise RuntimeError(f"the server is not up after {seconds} s:\n{log.read_text()}")
