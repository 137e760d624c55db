"""Reading entries out of another program's JSON, the pure part: paths, what a lead gets of an entry, where the next question begins.

A path names a place: ``data.leads``, ``contact.email``, ``field_data[name=email].values[0]``. A number in brackets is a place in a list, a
``key=value`` is the first thing of a list of which that is true.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from crm_core.kit.text import clean, clip

MAX_PATH = 200
MAX_ID, MAX_CURSOR, MAX_VALUE, MAX_RAW = 200, 1_000, 5_000, 20_000
_PART = re.compile(r"([^.\[\]]+)|\[([^\[\]=]+)=([^\[\]]*)\]|\[(\d{1,6})\]")
_YES = ("yes", "true", "1", "on", "y", "ja", "oui", "si")


class UnreadableError(ValueError):
    """The answer is not what the source was set up for; the sentence says where."""


def check_path(path: str) -> str:
    """The path as it is kept. Raises ValueError for one that can't be read."""
    text = clean(path)
    rest = _PART.sub("", text).replace(".", "")
    if rest or len(text) > MAX_PATH:
        raise ValueError(f"“{clip(text, 60)}” is no path. Write data.leads, or field_data[name=email].values[0].")
    return text


def look(found: Any, path: str) -> Any:
    """What stands at a path; None where nothing does. The empty path is the whole."""
    for key, name, value, place in _PART.findall(path):
        if key:
            found = found.get(key) if isinstance(found, Mapping) else None
        elif place:
            found = found[int(place)] if isinstance(found, list) and int(place) < len(found) else None
        else:
            rows = found if isinstance(found, list) else []
            found = next((row for row in rows if isinstance(row, Mapping) and str(row.get(name)) == value), None)
    return found


def entries_of(answer: str, path: str) -> tuple[Any, list[Any]]:
    """The whole answer and its entries. Raises UnreadableError."""
    try:
        whole = json.loads(answer)
    except ValueError as error:
        raise UnreadableError("The answer is not JSON.") from error
    found = look(whole, path)
    if found is None and path:
        raise UnreadableError(f"The answer has nothing at “{path}”.")
    if not isinstance(found, list):
        raise UnreadableError(
            f"There is no list at “{path}”." if path else "The answer is no list. Say where in it the list stands."
        )
    return whole, found


def id_of(entry: Any, path: str) -> str:
    """The number by which the other program knows an entry, "" when it has none."""
    found = look(entry, path)
    return "" if found is None or isinstance(found, (list, Mapping)) else clip(clean(str(found)), MAX_ID)


def mapped(entry: Any, mapping: Mapping[str, str]) -> dict[str, str]:
    """Field → text of an entry; a list becomes its parts with commas between."""
    return {key: clip(_text(look(entry, path)), MAX_VALUE) for key, path in mapping.items()}


def _text(found: Any) -> str:
    if isinstance(found, list):
        return ", ".join(text for one in found if (text := _text(one)))
    return "" if found is None or isinstance(found, Mapping) else clean(str(found))


def agreed(entry: Any, path: str) -> bool:
    """Whether an entry says that news and offers are welcome; only a plain yes is one."""
    return bool(path) and _text(look(entry, path)).strip().casefold() in _YES


def next_cursor(whole: Any, entries: Sequence[Any], where: str, path: str) -> str:
    """Where the next question begins: what the answer says, or the last entry; "" for nowhere."""
    if not path:
        return ""
    found = look(whole, path) if where == "answer" else look(entries[-1], path) if entries else None
    return "" if found is None or isinstance(found, (list, Mapping)) else clip(clean(str(found)), MAX_CURSOR)


def asked_at(url: str, param: str, cursor: str) -> str:
    """The address of a question: with its beginning, if there is one."""
    if not param or not cursor:
        return url
    parts = urlsplit(url)
    query = [(key, value) for key, value in parse_qsl(parts.query, keep_blank_values=True) if key != param]
    return urlunsplit(parts._replace(query=urlencode([*query, (param, cursor)])))


def raw_of(entry: Any) -> str:
    """An entry as it came, to be read again once the source is mended; "" for one that is too long to keep."""
    text = clean(json.dumps(entry, ensure_ascii=False, sort_keys=True))
    return text if len(text) <= MAX_RAW else ""
