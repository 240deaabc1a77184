"""Nested containers of leaves: tuples, named tuples, lists, dicts, dataclasses, None.  Anything else is a leaf."""
from __future__ import annotations

import dataclasses
from typing import Any

LEAF = ("leaf",)


def flatten(tree: Any, keep_order: bool = False) -> tuple[list[Any], Any]:
    """(leaves in order, structure).  The structure is hashable; dicts go by sorted key unless their own order is to be kept."""
    leaves: list[Any] = []
    return leaves, _flatten(tree, leaves, keep_order)


def _flatten(x: Any, leaves: list[Any], keep_order: bool) -> Any:
    if x is None:
        return ("none",)
    kind = type(x)
    if kind is tuple or kind is list:
        return (kind.__name__, tuple([_flatten(v, leaves, keep_order) for v in x]))
    if kind is dict:
        keys = tuple(x) if keep_order else tuple(sorted(x, key=lambda k: (type(k).__name__, str(k))))
        return ("dict", keys, tuple([type(k) for k in keys]), tuple([_flatten(x[k], leaves, keep_order) for k in keys]))
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return ("named", kind, tuple([_flatten(v, leaves, keep_order) for v in x]))
    if dataclasses.is_dataclass(x) and not isinstance(x, type):
        names = tuple(f.name for f in dataclasses.fields(x))
        return ("data", kind, names, tuple([_flatten(getattr(x, n), leaves, keep_order) for n in names]))
    leaves.append(x)
    return LEAF


def unflatten(structure: Any, leaves: list[Any]) -> Any:
    """The tree of that structure with these leaves.  A dataclass is filled without running its `__init__` again."""
    return _unflatten(structure, iter(leaves))


def _unflatten(s: Any, it: Any) -> Any:
    kind = s[0]
    if kind == "leaf":
        return next(it)
    if kind == "none":
        return None
    children = [_unflatten(c, it) for c in s[-1]]
    if kind == "tuple":
        return tuple(children)
    if kind == "list":
        return children
    if kind == "dict":
        return dict(zip(s[1], children))
    if kind == "named":
        return s[1](*children)
    made = object.__new__(s[1])
    for n, c in zip(s[2], children):
        object.__setattr__(made, n, c)
    return made


def count(structure: Any) -> int:
    """Leaves of a structure."""
    waiting, n = [structure], 0
    while waiting:
        s = waiting.pop()
        if s[0] == "leaf":
            n += 1
        elif s[0] != "none":
            waiting.extend(s[-1])
    return n
