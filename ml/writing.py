"""How numbers are put into the words of a figure: in English, unless whoever draws it says how its reader writes them."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

_writer: ContextVar[Callable[[Any, str], str]] = ContextVar("writer_of_numbers", default=format)


def write_by(writer: Callable[[Any, str], str]) -> None:
    """From here on figures of this thread are written by ``writer``, which takes a number and a spec as ``format`` does."""
    _writer.set(writer)


def written(value: Any, spec: str = ",") -> str:
    """``format(value, spec)`` as the reader of the figure writes it. Sentences of results are kept for all readers and stay English."""
    return _writer.get()(value, spec)
