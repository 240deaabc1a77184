"""Names → functions, and the ways by which a call arrives: our namespace, NumPy's protocols, operators, methods."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..ir.errors import TraceError, UnsupportedError
from ..trace import Tracer, current, user_error, user_loc

FUNCTIONS: dict[str, Callable[..., Any]] = {}
METHODS: dict[str, Callable[[Tracer], Any]] = {}
_BY_NUMPY: dict[Any, str] = {}
_loaded = False


def register(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Makes a function known under its names (NumPy's and the array API's)."""

    def add(fn: Callable[..., Any]) -> Callable[..., Any]:
        for n in names:
            FUNCTIONS[n] = fn
        return fn

    return add


def method(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A method of traced arrays: the function with the array as first argument."""
    from functools import partial

    def add(fn: Callable[..., Any]) -> Callable[..., Any]:
        for n in names:
            METHODS[n] = lambda x, fn=fn: partial(fn, x)  # type: ignore[misc]
        return fn

    return add


def prop(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A property of traced arrays."""

    def add(fn: Callable[..., Any]) -> Callable[..., Any]:
        for n in names:
            METHODS[n] = fn
        return fn

    return add


def load() -> None:
    """Imports every chapter; then NumPy's own function objects are known too."""
    global _loaded
    if _loaded:
        return
    _loaded = True
    from . import creation, elementwise, indexing, linalg, reductions, shape  # noqa: F401

    for name in FUNCTIONS:
        f = getattr(np, name, None)
        if f is not None:
            _BY_NUMPY.setdefault(f, name)


def call(name: str, *args: Any, **kw: Any) -> Any:
    load()
    return FUNCTIONS[name](*args, **kw)


def ufunc(f: Any, how: str, inputs: Any, kw: dict[str, Any]) -> Any:
    """NumPy's dispatch of a ufunc with a traced operand."""
    load()
    if kw.get("out") is not None:
        raise user_error(TraceError, f"np.{f.__name__}(…, out=…) cannot write into an array while tracing", "use the result")
    kw.pop("out", None)
    if kw.get("where", True) is not True:
        raise user_error(TraceError, f"np.{f.__name__}(…, where=…) is not supported", "use pj.where(mask, new, old)")
    kw.pop("where", None)
    dtype = kw.pop("dtype", None)
    kw.pop("casting", None)
    if how == "reduce":
        names = {"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min", "logical_and": "all", "logical_or": "any"}
        if f.__name__ in names:
            axis = kw.pop("axis", 0)
            if dtype is not None:
                kw["dtype"] = dtype
            kw.pop("initial", None)
            return call(names[f.__name__], *inputs, axis=axis, **kw)
    if how == "accumulate" and f.__name__ in ("add", "multiply"):
        return call("cumsum" if f.__name__ == "add" else "cumprod", inputs[0], axis=kw.get("axis", 0))
    name = f.__name__ if f.__name__ in FUNCTIONS else _BY_NUMPY.get(f)
    if how != "__call__" or name is None:
        what = f.__name__ if how == "__call__" else f"{f.__name__}.{how}"
        raise _unsupported(f"np.{what}")
    result = FUNCTIONS[name](*inputs, **kw)
    return result if dtype is None else result.astype(dtype)


def numpy_function(f: Any, args: Any, kw: Any) -> Any:
    """NumPy's dispatch of any other function with a traced argument."""
    load()
    name = _BY_NUMPY.get(f)
    if name is None:
        raise _unsupported(f"{getattr(f, '__module__', 'numpy')}.{f.__name__}")
    return FUNCTIONS[name](*args, **kw)


def _unsupported(what: str) -> UnsupportedError:
    return UnsupportedError(f"{what} is not supported under @jit", place=user_loc(),
                            hint="the supported functions are listed in docs/functions.md; compute it outside of the jitted function")  # fmt: skip


def public(name: str) -> Callable[..., Any]:
    """The function of our namespace: traces inside a trace; outside it runs NumPy's own, or a jitted one where NumPy has none."""
    load()
    fn = FUNCTIONS[name]
    native = getattr(np, name, None)

    def run(*args: Any, **kw: Any) -> Any:
        if current() is not None:
            return fn(*args, **kw)
        if native is not None:
            return native(*args, **kw)
        from ..jitted import jit

        return jit(lambda *a: fn(*a, **kw), name=name)(*args)

    run.__name__ = run.__qualname__ = name
    run.__doc__ = fn.__doc__ or (native.__doc__ if native is not None else None)
    return run
