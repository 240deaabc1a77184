"""Names → functions, and the ways by which a call arrives: our namespace, NumPy's protocols, operators, methods."""
from __future__ import annotations

import inspect
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
    from . import creation, derived, elementwise, indexing, linalg, reductions, shape  # noqa: F401

    for name in FUNCTIONS:
        for space in (np, np.linalg):
            f = getattr(space, name, None)
            if f is not None and not isinstance(f, type):
                _BY_NUMPY.setdefault(f, name)
    for name, f in (("norm", np.linalg.norm), ("vector_norm", np.linalg.vector_norm)):
        _BY_NUMPY.setdefault(f, name)


def call(name: str, *args: Any, **kw: Any) -> Any:
    load()
    return FUNCTIONS[name](*args, **kw)


def ufunc(f: Any, how: str, inputs: Any, kw: dict[str, Any]) -> Any:
    """NumPy's dispatch of a ufunc with a traced operand."""
    load()
    if any(o is not None for o in np.atleast_1d(np.array(kw.pop("out", None), object)).ravel()):
        raise user_error(TraceError, f"np.{f.__name__}(…, out=…) cannot write into an array while tracing",
                         "use the result; and where a NumPy array stands left of += or -=, write a = a + x")  # fmt: skip
    name = f.__name__ if f.__name__ in FUNCTIONS else _BY_NUMPY.get(f)
    if how == "reduce":
        made = _chapter("reductions").reduce_ufunc(f.__name__, *inputs, **kw)
    elif how == "accumulate":
        made = _chapter("reductions").accumulate_ufunc(f.__name__, *inputs, **kw)
    elif how == "outer" and name is not None:
        made = _outer(name, inputs, kw)
    elif how == "__call__" and name is not None:
        made = _checked(f"np.{f.__name__}", FUNCTIONS[name], inputs, _without_where(f, kw))
    else:
        made = None
    if made is None:
        raise _unsupported(f"np.{f.__name__}" + ("" if how == "__call__" else f".{how}"))
    return made


def _chapter(name: str) -> Any:
    from importlib import import_module

    return import_module(f".{name}", __package__)


def _without_where(f: Any, kw: dict[str, Any]) -> dict[str, Any]:
    """A ufunc's keywords: those that change nothing are dropped."""
    if kw.pop("where", True) is not True:
        raise user_error(TraceError, f"np.{f.__name__}(…, where=…) leaves elements undefined", "use pj.where(mask, new, old)")
    for harmless in ("casting", "order", "subok"):
        kw.pop(harmless, None)
    return kw


def _outer(name: str, inputs: Any, kw: dict[str, Any]) -> Any:
    from ..trace import lift

    x, y = (lift(v) for v in inputs)
    return FUNCTIONS[name](call("reshape", x, (*x.shape, *(1,) * y.ndim)), y, **kw)


def numpy_function(f: Any, args: Any, kw: Any) -> Any:
    """NumPy's dispatch of any other function with a traced argument."""
    load()
    name = _BY_NUMPY.get(f)
    if name is None:
        raise _unsupported(f"{getattr(f, '__module__', 'numpy')}.{f.__name__}")
    return _checked(f"np.{name}", FUNCTIONS[name], args, kw)


_signatures: dict[Any, inspect.Signature] = {}


def _checked(what: str, fn: Callable[..., Any], args: Any, kw: Any) -> Any:
    """Calls one of our functions; keywords that it does not know are a typed error at the user's line."""
    if kw:
        s = _signatures.get(fn)
        if s is None:
            s = _signatures[fn] = inspect.signature(fn)
        try:
            s.bind(*args, **kw)
        except TypeError:
            unknown = [k for k in kw if k not in s.parameters]
            if unknown:
                raise user_error(TraceError, f"{what}(…, {', '.join(f'{k}=…' for k in unknown)}) is not supported under @jit") from None
    return fn(*args, **kw)


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
