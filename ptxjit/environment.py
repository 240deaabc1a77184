"""What a function reads from outside of its arguments: closure cells and module globals.

A trace is right only for the values that it saw.  `Environment` collects the names that a function and the Python functions it calls
read, and gives a signature that changes when a number, string, dtype or array shape among them does.  Arrays are not part of it by
content: they are hidden inputs, read anew at every call.
"""
from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import numpy as np

_SCALARS = (bool, int, float, str, bytes, np.generic, np.dtype, type(None))


class Environment:
    """`items` are getters with their last classification; empty for most functions, and then it costs nothing."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.getters: list[Callable[[], Any]] = []
        self._seen: set[int] = set()
        self._collect(fn, 0)

    def _collect(self, fn: Any, depth: int) -> None:
        if isinstance(fn, types.MethodType):
            fn = fn.__func__
        fn = getattr(fn, "__wrapped__", fn)
        if not isinstance(fn, types.FunctionType) or id(fn.__code__) in self._seen or depth > 8:
            return
        if fn.__module__ and fn.__module__.partition(".")[0] in ("numpy", "ptxjit"):
            return
        self._seen.add(id(fn.__code__))
        for cell in fn.__closure__ or ():
            self._add(lambda cell=cell: cell.cell_contents, depth)  # type: ignore[misc]
        space = fn.__globals__
        for name in _names(fn.__code__):
            if name in space:
                self._add(lambda space=space, name=name: space.get(name), depth)  # type: ignore[misc]

    def _add(self, get: Callable[[], Any], depth: int) -> None:
        try:
            value = get()
        except ValueError:  # an empty cell
            return
        if isinstance(value, (types.FunctionType, types.MethodType)) or hasattr(value, "__wrapped__"):
            self._collect(value, depth + 1)
        elif _matters(value):
            self.getters.append(get)

    def signature(self) -> tuple[Any, ...]:
        return tuple([_summary(g()) for g in self.getters])

    def find(self, array: Any) -> Callable[[], Any] | None:
        """The name under which an array was read, so that later calls read what the name means then."""
        for g in self.getters:
            if g() is array:
                return g
        return None


def _names(code: Any) -> set[str]:
    """Global names of a code object and of those nested in it."""
    found, stack = set(), [code]
    while stack:
        c = stack.pop()
        found.update(c.co_names)
        stack.extend(k for k in c.co_consts if isinstance(k, types.CodeType))
    return found


def _matters(value: Any) -> bool:
    return isinstance(value, (*_SCALARS, np.ndarray, tuple, list, dict))


def _summary(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return ("array", value.dtype, value.shape)
    if isinstance(value, (tuple, list)):
        return (type(value).__name__, tuple(_summary(v) for v in value))
    if isinstance(value, dict):
        return ("dict", tuple((k, _summary(v)) for k, v in value.items()) if len(value) < 64 else id(value))
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, _SCALARS):
        return (type(value).__name__, value)
    return id(value)
