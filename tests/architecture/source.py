"""The source read as trees, for rules that imports can't see."""

import ast
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FLOORS = ("crm_core", "ml", "ui", "web", "worker", "pages")


def files(*folders: str) -> Iterator[Path]:
    """Python files below folders of the project, migrations left out."""
    for folder in folders or FLOORS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "migrations/versions" not in path.as_posix():
                yield path


@lru_cache(maxsize=1_000)
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name(path: Path) -> str:
    """Path as people say it: ``crm_core/db.py``."""
    return path.relative_to(ROOT).as_posix()


def calls(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of each call."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and (found := dotted(node.func)):
            yield node.lineno, found


def dotted(node: ast.AST) -> str:
    """``db.write_session`` of an expression of names; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = dotted(node.value)
        return f"{owner}.{node.attr}" if owner else f"?.{node.attr}"
    return ""
