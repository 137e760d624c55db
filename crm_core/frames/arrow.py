"""A DataFrame as compressed Arrow bytes and back: how the tables of a run are kept."""

import json
from typing import Any

import pandas as pd
import pyarrow as pa


def pack(frame: pd.DataFrame) -> bytes:
    """The frame's columns (its index is dropped). Cells that hold lists, tuples or mappings are kept as JSON text."""
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pandas(_plain(frame), preserve_index=False)
    with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def unpack(data: bytes) -> pd.DataFrame:
    """The frame that ``pack`` was given."""
    with pa.ipc.open_file(pa.BufferReader(data)) as reader:
        return reader.read_all().to_pandas()


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    found = frame.reset_index(drop=True)
    found.columns = pd.Index([str(name) for name in found.columns])
    for name in found.columns:
        if found[name].dtype == object:
            found[name] = found[name].map(_cell)
    return found


def _cell(value: Any) -> Any:
    if isinstance(value, list | tuple | dict | set | frozenset):
        return json.dumps(sorted(value, key=str) if isinstance(value, set | frozenset) else value, default=str, ensure_ascii=False)
    return value
