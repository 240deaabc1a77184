"""What a function reads from outside of its arguments, and when that has changed.

A trace is right only for the values that it saw.  The bytecode of a function, and of the Python functions that it names, tells which
closure cells, globals and attributes of globals it reads; `Environment.signature()` says what they are now:

    numbers, strings, None, dtypes     by value                    functions, classes, other objects    by identity
    arrays                             by dtype and shape: their content is a hidden input, read anew at every call
    lists, tuples, dicts, and the attributes of instances of user classes      by what they hold, recursively

So a changed number compiles anew, and a changed array is simply read.  Not seen are values reached in other ways (an attribute computed
by a property, a file, the result of a call): what these were while the function was traced stays.
"""
from __future__ import annotations

import dis
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .noise import position

LIMIT = 10_000  # values looked at in one container; what lies beyond counts by identity of the container
_FOREIGN = frozenset(("numpy", "ptxjit", "ml_dtypes", "llvmlite", "numba", *sys.stdlib_module_names))
Getter = Callable[[], Any]


class Source:
    """One thing that is read: its name, a getter, and (for the short path) where it lies."""

    __slots__ = ("name", "get", "space", "key")

    def __init__(self, name: str, get: Getter, space: Any, key: str | None) -> None:
        self.name, self.get, self.space, self.key = name, get, space, key


class _Same:
    """Equality by identity; keeps the object alive, so that its id cannot come back."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)

    def __repr__(self) -> str:
        return getattr(self.value, "__name__", None) or f"a {type(self.value).__name__}"


class Environment:
    """`sources` is empty for most functions, and then all of this costs nothing."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn
        self._collect_all()

    def _collect_all(self) -> None:
        self.sources: list[Source] = []
        self._functions: list[tuple[Getter, Any]] = []  # functions that were read: another one there means collecting anew
        self._seen: set[Any] = set()
        self._collect(self.fn)

    # ---- collecting

    def _collect(self, fn: Any) -> None:
        """Iterative: helpers of helpers wait in a list."""
        waiting = [fn]
        while waiting:
            waiting.extend(self._one(waiting.pop()))

    def _one(self, fn: Any) -> list[Any]:
        """Sources of one callable; returns the functions found in them."""
        owner = getattr(fn, "owner", None)
        if isinstance(fn, types.FunctionType) and owner is not None and hasattr(fn, "__wrapped__"):
            self._add("self", owner, None, None)
        fn = getattr(fn, "__wrapped__", fn)
        if isinstance(fn, types.MethodType):
            self._add("self", lambda owner=fn.__self__: owner, None, None)  # type: ignore[misc]
            fn = fn.__func__
        elif hasattr(fn, "func") and hasattr(fn, "keywords"):  # functools.partial
            self._add("arguments of partial", lambda p=fn: (p.args, p.keywords), None, None)  # type: ignore[misc]
            return [fn.func]
        elif not isinstance(fn, types.FunctionType) and callable(fn) and not isinstance(fn, type) and _is_users(type(fn)):
            self._add("self", lambda owner=fn: owner, None, None)  # type: ignore[misc]
            fn = type(fn).__call__
        if not isinstance(fn, types.FunctionType) or fn in self._seen or _top(fn.__module__) in _FOREIGN:
            return []
        self._seen.add(fn)
        found: list[Any] = []
        space, code = fn.__globals__, fn.__code__
        cells = dict(zip(code.co_freevars, fn.__closure__ or ()))
        for name, cell in cells.items():
            found += self._add(name, lambda cell=cell: cell.cell_contents, cell, None)  # type: ignore[misc]
        for chain in _reads(code):
            name = chain[0]
            if name in space:
                if len(chain) == 1:
                    found += self._add(name, lambda space=space, name=name: space.get(name), space, name)  # type: ignore[misc]
                else:
                    found += self._attribute(chain, lambda space=space, name=name: space.get(name))  # type: ignore[misc]
            elif name in cells and len(chain) > 1:
                found += self._attribute(chain, lambda cell=cells[name]: cell.cell_contents)  # type: ignore[misc]
        return found

    def _attribute(self, chain: tuple[str, ...], root: Getter) -> list[Any]:
        """`config.scale` where config is a module or a class; a function found on the way is collected."""
        holder = _try(root)
        if isinstance(holder, types.ModuleType):
            if _top(holder.__name__) in _FOREIGN:
                return []
        elif not isinstance(holder, type):
            method = getattr(type(holder), chain[1], None)
            return [method] if isinstance(method, types.FunctionType) else []

        def get() -> Any:
            value = root()
            for name in chain[1:]:
                value = getattr(value, name)
            return value

        return self._add(".".join(chain), get, None, None)

    def _add(self, name: str, get: Getter, space: Any, key: str | None) -> list[Any]:
        """A source, unless it is a module; returns the function that is its value, if it is one."""
        value = _try(get)
        if value is _NOTHING or isinstance(value, types.ModuleType):
            return []
        if isinstance(value, (types.FunctionType, types.MethodType)) or hasattr(value, "__wrapped__"):
            if _top(getattr(value, "__module__", None)) not in _FOREIGN or hasattr(value, "__wrapped__"):
                self._functions.append((get, value))
                self.sources.append(Source(name, get, space, key))
                return [value]
            return []
        if isinstance(value, (types.BuiltinFunctionType, np.ufunc)) or isinstance(value, type) and _top(value.__module__) in _FOREIGN | {"builtins"}:
            return []
        self.sources.append(Source(name, get, space, key))
        return []

    # ---- asking

    def signature(self) -> tuple[Any, ...]:
        """What the sources are now; equal signatures mean equal traces."""
        if not self.sources:
            return ()
        for get, fn in self._functions:
            if _try(get) is not fn:
                self._collect_all()
                break
        return tuple([_summary(_try(s.get)) for s in self.sources])

    def names(self) -> list[str]:
        return [s.name for s in self.sources]

    def find(self, array: Any) -> Getter | None:
        """The way by which an array was reached, so that later calls read what lies there then."""
        for s in self.sources:
            value = _try(s.get)
            if value is array:
                return s.get
            steps = _path_to(value, array)
            if steps is not None:
                return lambda get=s.get, steps=steps: _follow(get(), steps)  # type: ignore[misc]
        return None

    def simple(self) -> list[tuple[Any, str | None, Any]] | None:
        """(cell or dict, key, value) of each source if comparing identities is enough to see a change, else None."""
        out = []
        for s in self.sources:
            value = _try(s.get)
            if s.space is None or not (isinstance(value, (*_SCALARS, types.FunctionType)) or type(value) is np.ndarray or hasattr(value, "__wrapped__")):
                return None
            out.append((s.space, s.key, value))
        return out

    def generators(self) -> list[tuple[str, Any, Any]]:
        """(name, source of random numbers, its position) among what is read."""
        found = [(s.name, v, position(v)) for s in self.sources for v in [_try(s.get)]]
        return [f for f in found if f[2] is not None]


# ---- bytecode -------------------------------------------------------------------------------------------------------


def _reads(code: types.CodeType) -> Iterator[tuple[str, ...]]:
    """Chains of names that a code object (and those nested in it) reads from outside: `(name,)` and `(name, attribute, …)`."""
    stack, seen = [code], set()
    while stack:
        c = stack.pop()
        stack.extend(k for k in c.co_consts if isinstance(k, types.CodeType))
        chain: tuple[str, ...] = ()
        for i in dis.get_instructions(c):
            if i.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_CLASSDEREF"):
                chain = (i.argval,)
            elif i.opname in ("LOAD_ATTR", "LOAD_METHOD") and chain:
                chain = (*chain, i.argval)
            else:
                if i.opname not in ("CACHE", "PRECALL", "EXTENDED_ARG"):
                    chain = ()
                continue
            if chain not in seen:
                seen.add(chain)
                yield chain


# ---- values ---------------------------------------------------------------------------------------------------------

_SCALARS = (bool, int, float, str, bytes, np.generic, np.dtype, type(None))
_NOTHING = object()


def _try(get: Getter) -> Any:
    try:
        return get()
    except (ValueError, AttributeError):  # an empty cell, a deleted attribute
        return _NOTHING


def _top(module: str | None) -> str:
    return (module or "").partition(".")[0]


def _is_users(kind: type) -> bool:
    return _top(kind.__module__) not in _FOREIGN and kind.__module__ != "builtins"


def _children(value: Any) -> Iterator[tuple[tuple[str, Any], Any]] | None:
    """What a container or a user's object holds, each with the step that leads there; None for anything else."""
    if isinstance(value, (tuple, list)):
        return ((("item", k), v) for k, v in enumerate(value))
    if isinstance(value, dict):
        return ((("item", k), v) for k, v in list(value.items()))
    if isinstance(value, type) or not _is_users(type(value)) or callable(getattr(value, "__wrapped__", None)):
        return None
    names = list(getattr(value, "__dict__", ()))
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        names += [slots] if isinstance(slots, str) else list(slots)
    return ((("attribute", n), getattr(value, n)) for n in names if not n.startswith("__") and hasattr(value, n))


def scalar_key(value: Any) -> Any:
    """A hashable that tells 1, 1.0 and True apart, and 0.0 from −0.0, and that equals itself for NaN."""
    if isinstance(value, np.generic):
        return (value.dtype, value.tobytes())
    if isinstance(value, float):
        return (type(value), value.hex())
    return (type(value), value)


def _summary(value: Any) -> Any:
    """A hashable that changes when the value does, for all that a trace can see of it.  Iterative over nested containers."""
    if isinstance(value, _SCALARS):
        return scalar_key(value)
    if isinstance(value, np.ndarray):
        return ("array", value.dtype, value.shape)
    if _children(value) is None:
        return _Same(value)
    out: list[Any] = []
    seen, waiting = {id(value)}, [value]
    while waiting:
        holder = waiting.pop()
        children = _children(holder)
        assert children is not None
        out.append(type(holder))
        for step, v in children:
            if len(out) > LIMIT:
                return _Same(value)
            if isinstance(v, _SCALARS):
                out.append((step, scalar_key(v)))
            elif isinstance(v, np.ndarray):
                out.append((step, "array", v.dtype, v.shape))
            elif _children(v) is None:
                out.append((step, _Same(v)))
            elif id(v) in seen:
                out.append((step, "again"))
            else:
                out.append((step, type(v)))
                seen.add(id(v))
                waiting.append(v)
    return tuple(out)


def _path_to(value: Any, target: Any) -> tuple[Any, ...] | None:
    """Steps from a container to an object in it, by identity."""
    waiting: list[tuple[Any, tuple[Any, ...]]] = [(value, ())]
    seen, looked = {id(value)}, 0
    while waiting and looked <= LIMIT:
        holder, steps = waiting.pop()
        for step, v in _children(holder) or ():
            looked += 1
            if v is target:
                return (*steps, step)
            if id(v) not in seen and not isinstance(v, (*_SCALARS, np.ndarray)):
                seen.add(id(v))
                waiting.append((v, (*steps, step)))
    return None


def _follow(value: Any, steps: tuple[Any, ...]) -> Any:
    for kind, key in steps:
        value = value[key] if kind == "item" else getattr(value, key)
    return value
