"""Verbs that stay: serve (the app with its worker), worker."""

import importlib
import os
from typing import Annotated

import typer

from crm_core.cli import output


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command()(serve)
    app.command()(worker)


def serve(
    port: Annotated[int | None, typer.Option(help="Port of the app; 8501 unless STREAMLIT_SERVER_PORT says otherwise.")] = None,
    address: Annotated[str | None, typer.Option(help="Address to listen on; loopback only unless given. 0.0.0.0: all.")] = None,
    with_worker: Annotated[bool, typer.Option("--worker/--no-worker", help="Run the worker beside the app.")] = True,
    processes: Annotated[
        int | None, typer.Option(min=0, max=32, help="Processes that draw pages; 0: one for each core, as memory allows.")
    ] = None,
) -> None:
    """Start the app and the worker beside it; Ctrl+C stops both cleanly. Migrates the embedded database first."""
    from crm_core.cli.supervisor import Supervisor

    if port is not None:
        os.environ["STREAMLIT_SERVER_PORT"] = str(port)
    if address is not None:
        os.environ["STREAMLIT_SERVER_ADDRESS"] = address
    output.end(Supervisor(with_worker=with_worker, processes=processes).run())


def worker() -> None:
    """Run background jobs until SIGTERM or Ctrl+C: imports, backups, refreshes. One process on SQLite, any number on PostgreSQL."""
    # by its name: the worker is a door of the house like this one, and doors don't know each other
    importlib.import_module("worker.main").run()
