"""Figures that are finished: plain values without anything left to check, quick to keep and to draw again.

Reading a pickled Plotly figure builds and validates it property by property, 30 ms each; the browser only wants its words.
"""

import io
import json
import pickle
from typing import Any

from plotly.basedatatypes import BaseFigure


class Drawn(BaseFigure):
    """A figure as ``st.plotly_chart`` takes it and nothing else can change it."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self._spec = spec  # the parent's constructor is what costs

    def to_dict(self) -> dict[str, Any]:
        return self._spec

    def __reduce__(self) -> tuple[Any, ...]:
        return Drawn, (self._spec,)

    def __repr__(self) -> str:
        return f"Drawn({len(self._spec.get('data', ()))} traces)"


def finished(value: Any) -> Any:
    """A figure as one that is finished; anything else as it is."""
    if isinstance(value, BaseFigure) and not isinstance(value, Drawn):
        return Drawn(json.loads(value.to_json(validate=False)))
    return value


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        done = finished(value)
        return done.__reduce__() if done is not value else NotImplemented


def dumps(value: Any) -> bytes:
    """Like ``pickle.dumps``, with figures finished."""
    written = io.BytesIO()
    _Pickler(written, protocol=5).dump(value)
    return written.getvalue()
