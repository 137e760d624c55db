"""How verbs speak: sentences and progress bars for people, one JSON object for machines, exit codes for scripts."""

import json
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import typer

OK, FAULT, USAGE, UNAVAILABLE, REFUSED, REJECTED, WRONG, STOPPED = 0, 1, 2, 3, 4, 5, 6, 130

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, for machines.")]
_state = {"json": False}


def speak_json(as_json: bool) -> None:
    """Called first by each verb: how this run answers, errors included."""
    _state["json"] = as_json


def answer(sentence: str, **values: Any) -> None:
    """The result: the sentence for people, or the values as JSON."""
    print(json.dumps({"ok": True, **values}, default=str, ensure_ascii=False) if _state["json"] else sentence)


def table(title: str, columns: list[str], rows: list[list[Any]]) -> None:
    """A table for people; nothing for machines (they get the values)."""
    if _state["json"]:
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    found = Table(*columns, title=title, title_justify="left")
    for row in rows:
        found.add_row(*[Text(str(value)) for value in row])  # Text: content may look like markup
    Console().print(found)


Step = Callable[..., None]


@contextmanager
def progress(title: str) -> Iterator[Step]:
    """A progress bar on standard error: ``step(done, total, words)``; silent for machines and without a terminal."""
    if _state["json"] or not sys.stderr.isatty():
        yield _silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    shown = ("[progress.description]{task.description}", "{task.fields[words]}")
    with Progress(
        TextColumn(shown[0]), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TextColumn(shown[1], markup=False),
        console=Console(stderr=True), transient=True,
    ) as bar:  # fmt: skip
        task = bar.add_task(title, total=None, words="")

        def step(done: float, total: float | None = None, words: str = "") -> None:
            bar.update(task, completed=done, total=total, words=words)

        yield step


def _silent(_done: float, _total: float | None = None, _words: str = "") -> None:
    return None


def end(code: int) -> NoReturn:
    """Leave with an exit code after the answer was given."""
    raise typer.Exit(code)


def guarded(run: Callable[[], Any]) -> NoReturn:
    """Run the program; what goes wrong becomes a sentence on standard error and an exit code."""
    from crm_core.errors import CrmError, Unavailable

    signal.signal(signal.SIGINT, lambda *_: _fail("Stopped.", "stopped", STOPPED))
    try:
        run()
    except CrmError as error:
        words = error.message
        for field, sentence in getattr(error, "fields", {}).items():
            words += "" if sentence in words else f"\n  {field}: {sentence}"
        _fail(words, error.code, UNAVAILABLE if isinstance(error, Unavailable) else REFUSED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(OK)
    except Exception as error:
        logging.getLogger("rapport.cli").debug("fault", exc_info=error)
        if logging.getLogger().isEnabledFor(logging.DEBUG) or not _state["json"]:
            import traceback

            traceback.print_exc()
        _fail(f"A fault in the program: {type(error).__name__}: {error}", "fault", FAULT)
    sys.exit(OK)


def _fail(sentence: str, code: str, status: int) -> NoReturn:
    if _state["json"]:
        print(json.dumps({"ok": False, "error": code, "message": sentence}, ensure_ascii=False))
    else:
        print(sentence, file=sys.stderr)
    sys.exit(status)


def quiet() -> None:
    """No chatter of libraries between the answers."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    for name in ("alembic", "dbos"):
        logging.getLogger(name).setLevel(logging.WARNING)


def require_current() -> None:
    """Raise Unavailable unless the database has the shape that this code expects."""
    from crm_core import schema
    from crm_core.errors import Unavailable

    schema.refuse_newer()
    if not schema.is_current():
        raise Unavailable("The database is not up to date. Run: python -m crm_core migrate.", permanent=True)
