"""Changing the steps of a flow while it is being written: put in, move, take out, copy, wrap. Pure: each gives new steps, the given ones stay.

A place is where a new step goes: ``("before", id)``, ``("after", id)``, ``("yes", id)`` and ``("no", id)`` for the end of a branch's arm, or
``("end", "")``. Moving goes one place up or down in the order of reading, into arms and out of them, as in an outline.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from crm_core.services.automation.flow_rules import ARMS, find, new_id

Steps = list[dict[str, Any]]
Place = tuple[str, str]


def _copy(steps: Sequence[Mapping[str, Any]]) -> Steps:
    return deepcopy([dict(step) for step in steps])


def fresh(kind: str, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """A new step of a kind."""
    return {"id": new_id(), "kind": kind, **deepcopy(dict(defaults)), **({"yes": [], "no": []} if kind == "branch" else {})}


def insert(steps: Sequence[Mapping[str, Any]], place: Place, step: Mapping[str, Any]) -> Steps:
    """Put a step at a place; one that is gone meanwhile means the end."""
    made, new = _copy(steps), deepcopy(dict(step))
    where, step_id = place
    if where in ARMS and (branch := find(made, step_id)) is not None:
        branch.setdefault(where, []).append(new)  # type: ignore[attr-defined]
        return made
    home = _home(made, step_id) if where in ("before", "after") else None
    if home is None:
        return [*made, new]
    beside, at, _, _ = home
    beside.insert(at + (where == "after"), new)
    return made


def remove(steps: Sequence[Mapping[str, Any]], step_id: str) -> Steps:
    """Take a step out, a branch with all that stands in its arms."""
    made = _copy(steps)
    home = _home(made, step_id)
    if home is not None:
        del home[0][home[1]]
    return made


def duplicate(steps: Sequence[Mapping[str, Any]], step_id: str) -> tuple[Steps, str]:
    """Put a copy behind a step, with names of its own; also gives the copy's name."""
    made = _copy(steps)
    home = _home(made, step_id)
    if home is None:
        return made, ""
    beside, at, _, _ = home
    copy = renamed(beside[at])
    beside.insert(at + 1, copy)
    return made, copy["id"]


def renamed(step: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a step and of all within it, with new names."""
    copy = {**deepcopy(dict(step)), "id": new_id()}
    return copy | {arm: [renamed(inner) for inner in step[arm]] for arm in ARMS if step.get(arm)}


def wrap(steps: Sequence[Mapping[str, Any]], step_id: str) -> tuple[Steps, str]:
    """Put a step into the first arm of a new branch at its place; also gives the branch's name."""
    made = _copy(steps)
    home = _home(made, step_id)
    if home is None:
        return made, ""
    beside, at, _, _ = home
    branch = {**fresh("branch", {"if": None}), "yes": [beside[at]]}
    beside[at] = branch
    return made, branch["id"]


def unwrap(steps: Sequence[Mapping[str, Any]], step_id: str) -> Steps:
    """Take a branch away and leave the steps of its arms, one arm behind the other, where it stood."""
    made = _copy(steps)
    home = _home(made, step_id)
    if home is not None and home[0][home[1]].get("kind") == "branch":
        beside, at, _, _ = home
        beside[at : at + 1] = [*(beside[at].get("yes") or ()), *(beside[at].get("no") or ())]
    return made


def move(steps: Sequence[Mapping[str, Any]], step_id: str, by: int) -> Steps:
    """Move a step one place up (−1) or down (+1) in the order of reading. At the ends nothing happens."""
    made = _copy(steps)
    home = _home(made, step_id)
    if home is None:
        return made
    (_down if by > 0 else _up)(made, *home)
    return made


def may_move(steps: Sequence[Mapping[str, Any]], step_id: str, by: int) -> bool:
    """Whether moving changes anything: not for the first and the last of all."""
    return find(steps, step_id) is not None and steps[-1 if by > 0 else 0].get("id") != step_id


def _down(root: Steps, beside: Steps, at: int, branch: dict[str, Any] | None, arm: str) -> None:
    step = beside[at]
    follower = beside[at + 1] if at + 1 < len(beside) else None
    if follower is not None and follower.get("kind") == "branch":
        _shift(beside, at, lambda: follower.setdefault("yes", []).insert(0, step))
    elif follower is not None:
        beside[at], beside[at + 1] = follower, step
    elif branch is not None and arm == "yes":
        _shift(beside, at, lambda: branch.setdefault("no", []).insert(0, step))
    elif branch is not None:
        outer, place, _, _ = _known(root, branch["id"])
        _shift(beside, at, lambda: outer.insert(place + 1, step))


def _up(root: Steps, beside: Steps, at: int, branch: dict[str, Any] | None, arm: str) -> None:
    step = beside[at]
    leader = beside[at - 1] if at else None
    if leader is not None and leader.get("kind") == "branch":
        _shift(beside, at, lambda: leader.setdefault("no", []).append(step))
    elif leader is not None:
        beside[at - 1], beside[at] = step, leader
    elif branch is not None and arm == "no":
        _shift(beside, at, lambda: branch.setdefault("yes", []).append(step))
    elif branch is not None:
        outer, place, _, _ = _known(root, branch["id"])
        _shift(beside, at, lambda: outer.insert(place, step))


def _shift(beside: Steps, at: int, put: Callable[[], None]) -> None:
    del beside[at]
    put()


Home = tuple[Steps, int, dict[str, Any] | None, str]


def _home(steps: Steps, step_id: str, branch: dict[str, Any] | None = None, arm: str = "") -> Home | None:
    """The list that holds a step, its place there, and the branch and arm that the list is."""
    for at, step in enumerate(steps):
        if step.get("id") == step_id:
            return steps, at, branch, arm
        for inner in ARMS:
            found = _home(step.get(inner) or [], step_id, step, inner)
            if found is not None:
                return found
    return None


def _known(steps: Steps, step_id: str) -> Home:
    found = _home(steps, step_id)
    if found is None:
        raise KeyError(step_id)
    return found
