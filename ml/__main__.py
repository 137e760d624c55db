"""``python -m ml <method> --data FILE …``: every method on a CSV or parquet file, as tables or as JSON.

``python -m ml`` lists the methods, ``python -m ml <method> --help`` the columns each expects. Exit code 0: done;
1: the data cannot carry the question (the reason on standard error); 2: the command was not understood.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ml.command_files import read
from ml.commands import COMMANDS, Command, Option
from ml.errors import DataError

SHOWN_ROWS = 25


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(argv)
    command: Command = options.command
    show = options.progress or (sys.stderr.isatty() and not options.json)
    try:
        data = read(options.data) if command.expects is not None else pd.DataFrame()
        result = command.run(data, options, _progress if show else _silent)
        if show:
            print(file=sys.stderr)
        _write(result, options)
    except DataError as error:
        if options.json:
            print(json.dumps({"error": {"found": error.found, "needed": error.needed, "message": str(error)}}))
        print(f"ml {command.name}: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ml", description="Customer analytics that say how far they can be trusted.")
    methods = parser.add_subparsers(title="methods", metavar="method", required=True)
    for command in COMMANDS:
        sub = methods.add_parser(
            command.name,
            help=command.summary,
            description=command.summary[0].upper() + command.summary[1:] + ".",
            epilog=command.columns,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.set_defaults(command=command)
        if command.expects is not None:
            sub.add_argument("--data", required=True, metavar="FILE", help="CSV, TSV or parquet; columns below")
        for option in command.options:
            _add(sub, option)
        sub.add_argument("--json", action="store_true", help="print everything as JSON")
        sub.add_argument("--out", metavar="FILE", help="write the main table here (CSV or parquet)")
        sub.add_argument("--rows", type=int, default=SHOWN_ROWS, help=f"rows shown per table (default {SHOWN_ROWS})")
        sub.add_argument("--progress", action="store_true", help="show progress even when not on a terminal")
    return parser


def _add(sub: argparse.ArgumentParser, option: Option) -> None:
    name = f"--{option.name}"
    if option.flag:
        sub.add_argument(name, action="store_true", help=option.help)
        return
    kind = (lambda text: [option.kind(p.strip()) for p in text.split(",") if p.strip()]) if option.many else option.kind
    text = option.help + (" (comma between)" if option.many else "")
    if option.default not in (None, []):
        shown = ",".join(map(str, option.default)) if option.many else option.default
        text += f" (default {shown})"
    label = "A,B" if option.many else "X"
    sub.add_argument(name, type=kind, default=option.default, required=option.required, metavar=label, help=text.replace("%", "%%"))


def _progress(share: float, what: str) -> None:
    print(f"\r{share:4.0%} {what:<40}", end="", file=sys.stderr, flush=True)


def _silent(share: float, what: str) -> None:
    """Nobody watches."""


def _write(result: dict[str, Any], options: argparse.Namespace) -> None:
    if options.out:
        _save(result, options.out)
    if options.json:
        print(json.dumps({name: plain(value) for name, value in result.items()}, ensure_ascii=False, allow_nan=False))
        return
    for name, value in result.items():
        print(f"\n{name.replace('_', ' ')}")
        print(_as_text(value, options.rows))


def _save(result: dict[str, Any], path: str) -> None:
    """The largest table is the one somebody wants in a file."""
    tables = [value for value in result.values() if isinstance(value, pd.DataFrame)]
    if not tables:
        raise DataError("no table in this result", "a method that gives one, for --out")
    table = max(tables, key=len)
    flat = table.apply(lambda column: column.map(_flat) if column.dtype == object else column)
    if Path(path).suffix.lower() in (".parquet", ".pq"):
        flat.to_parquet(path, index=False)
    else:
        flat.to_csv(path, index=False)


def _flat(value: Any) -> Any:
    if isinstance(value, frozenset | set):
        return " + ".join(sorted(map(str, value)))
    return " > ".join(map(str, value)) if isinstance(value, tuple) else value


def _as_text(value: Any, rows: int) -> str:
    if isinstance(value, pd.Series):
        value = value.reset_index()
    if isinstance(value, pd.DataFrame):
        shown = value.head(rows)
        shown = shown.apply(lambda column: column.map(_flat) if column.dtype == object else column)
        text = shown.to_string(index=False, float_format=lambda number: f"{number:.6g}", max_colwidth=60)
        more = len(value) - len(shown)
        return text + (f"\n… and {more:,} more rows" if more > 0 else "") if len(value) else "(no rows)"
    if is_dataclass(value) or isinstance(value, dict):
        pairs = plain(value).items()
        return "\n".join(f"  {key}: {_short(item)}" for key, item in pairs)
    if isinstance(value, list | tuple):
        return "\n".join(f"  - {_short(plain(item))}" for item in value) or "  (none)"
    return f"  {value}"


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def plain(value: Any) -> Any:
    """Anything a method returns as what JSON knows: no NaN (null), no infinity (text), no numpy."""
    for kinds, convert in _CONVERTERS:
        if isinstance(value, kinds):
            return convert(value)
    if is_dataclass(value) and not isinstance(value, type):
        shown = [entry.name for entry in fields(value) if not entry.name.startswith("_")]
        return {name: plain(getattr(value, name)) for name in shown}
    return None if value is None or value is pd.NaT or value is pd.NA else str(value)


def _number(value: float) -> float | str | None:
    if np.isfinite(value):
        return float(value)
    return None if np.isnan(value) else ("infinity" if value > 0 else "-infinity")


_CONVERTERS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (str, str),
    ((bool, np.bool_), bool),
    ((int, np.integer), int),
    ((float, np.floating), _number),
    (pd.DataFrame, lambda table: [{str(k): plain(v) for k, v in row.items()} for row in table.to_dict("records")]),
    (pd.Series, lambda series: {str(key): plain(item) for key, item in series.items()}),
    (dict, lambda mapping: {str(key): plain(item) for key, item in mapping.items()}),
    ((set, frozenset), lambda items: sorted((plain(item) for item in items), key=str)),
    ((list, tuple, np.ndarray, pd.Index), lambda items: [plain(item) for item in items]),
    (type(pd.NaT), lambda _: None),
    ((datetime, date), lambda moment: moment.isoformat()),
)

if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:  # `… | head` closed the pipe; Python would complain once more on leaving
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123
        sys.exit(0)
