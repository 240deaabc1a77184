"""Nested containers of leaves: tuples, named tuples, lists, dicts (by sorted key), dataclasses, None."""
from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

LEAF = ("leaf",)


def flatten(tree: Any, is_leaf: Callable[[Any], bool] = lambda x: False) -> tuple[list[Any], Any]:
    """(leaves in order, structure).  The structure is hashable."""
    leaves: list[Any] = []
    return leaves, _flatten(tree, leaves, is_leaf)


def _flatten(x: Any, leaves: list[Any], is_leaf: Callable[[Any], bool]) -> Any:
    if x is None:
        return ("none",)
    kind = type(x)
    if kind is tuple or kind is list:
        return (kind.__name__, tuple([_flatten(v, leaves, is_leaf) for v in x]))
    if kind is dict:
        keys = sorted(x, key=lambda k: (str(type(k)), k))
        return ("dict", tuple(keys), tuple(_flatten(x[k], leaves, is_leaf) for k in keys))
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return ("named", kind, tuple(_flatten(v, leaves, is_leaf) for v in x))
    if dataclasses.is_dataclass(x) and not isinstance(x, type):
        names = tuple(f.name for f in dataclasses.fields(x))
        return ("data", kind, names, tuple(_flatten(getattr(x, n), leaves, is_leaf) for n in names))
    leaves.append(x)
    return LEAF


def unflatten(structure: Any, leaves: list[Any]) -> Any:
    """The tree of that structure with these leaves."""
    return _unflatten(structure, iter(leaves))


def _unflatten(s: Any, it: Any) -> Any:
    kind = s[0]
    if kind == "leaf":
        return next(it)
    if kind == "none":
        return None
    if kind == "tuple":
        return tuple(_unflatten(c, it) for c in s[1])
    if kind == "list":
        return [_unflatten(c, it) for c in s[1]]
    if kind == "dict":
        return {k: _unflatten(c, it) for k, c in zip(s[1], s[2])}
    if kind == "named":
        return s[1](*(_unflatten(c, it) for c in s[2]))
    return s[1](**{n: _unflatten(c, it) for n, c in zip(s[2], s[3])})
