"""Arguments of a call: which are static, and what is known of the others."""
from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from .environment import scalar_key
from .ir.errors import DTypeError, TraceError, UserError
from .pytree import LEAF, count, flatten, unflatten
from .trace import Tracer, scalar, user_error, user_loc


class CallError(UserError, TypeError):
    """A call that does not fit the function's parameters."""


class Spec:
    """What is known of one argument: dtype, shape, whether it was a Python scalar, and hints for the symbols of its shape."""

    __slots__ = ("dtype", "shape", "weak", "hints")

    def __init__(self, dtype: Any, shape: tuple[Any, ...], weak: bool = False, hints: dict[str, int] | None = None) -> None:
        self.dtype, self.shape, self.weak, self.hints = np.dtype(dtype), shape, weak, hints or {}

    def key(self) -> Any:
        return (self.dtype, self.shape, self.weak)

    def __repr__(self) -> str:
        if self.weak:
            return "a Python float" if self.dtype.kind == "f" else "a Python int"
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"


def argument(x: Any, name: str = "") -> tuple[Any, Spec]:
    """One leaf as a C-contiguous, aligned, native array, and what is known of it."""
    if isinstance(x, np.ndarray):
        if not (x.flags.c_contiguous and x.flags.aligned and x.dtype.isnative) or type(x) is not np.ndarray:
            x = _plain(x, name)
        return x, Spec(x.dtype, x.shape)
    if isinstance(x, np.generic):  # before float: np.float64 is one
        return np.asarray(x), Spec(x.dtype, ())
    if isinstance(x, bool):
        return np.array(x), Spec(np.bool_, ())
    if isinstance(x, float):
        return np.array(x, np.float64), Spec(np.float64, (), weak=True)
    if isinstance(x, int):
        dtype = np.int64 if -(1 << 63) <= x < 1 << 63 else np.uint64
        try:
            return np.array(x, dtype), Spec(dtype, (), weak=True)
        except OverflowError:
            raise DTypeError(f"the integer {x} does not fit into 64 bits", place=user_loc()) from None
    if isinstance(x, Tracer):
        raise user_error(TraceError, "a traced value is used after its function was traced")
    if not isinstance(x, complex) and (hasattr(x, "__array__") or hasattr(x, "__array_interface__") or hasattr(x, "__dlpack__")):
        return argument(np.asarray(x) if hasattr(x, "__array__") or not hasattr(x, "__dlpack__") else np.from_dlpack(x), name)
    raise DTypeError(f"{'argument ' + name if name else 'an argument'} is a {type(x).__name__}, which is neither an array nor a number", place=user_loc(),
                     hint="make it static: @jit(static_argnames=(…,)); or pass arrays, numbers, and tuples, lists, dicts and dataclasses of them")  # fmt: skip


def _plain(x: Any, name: str) -> Any:
    """A copy in C order with native bytes where x is not so; subclasses whose arithmetic is another are refused."""
    if isinstance(x, (np.matrix, np.ma.MaskedArray)):
        raise DTypeError(f"{'argument ' + name if name else 'an argument'} is a {type(x).__name__}, whose arithmetic is not that of an array",
                         place=user_loc(), hint="pass np.asarray(x), and a mask as an argument of its own")  # fmt: skip
    scalar(x.dtype)
    return np.array(x, dtype=x.dtype.newbyteorder("="), order="C", copy=None, subok=False) if x.flags.aligned else np.array(
        x, dtype=x.dtype.newbyteorder("="), order="C", subok=False)  # fmt: skip


# ---- static arguments, and the way back to a call -------------------------------------------------------------------


class Binding:
    """How calls of one function are taken apart and put together again."""

    def __init__(self, fn: Callable[..., Any], name: str, static_names: Any, static_numbers: Any) -> None:
        self.fn, self.name = fn, name
        try:
            self.signature: inspect.Signature | None = inspect.signature(fn)
        except (TypeError, ValueError):
            self.signature = None
        self.parameters = dict(self.signature.parameters) if self.signature is not None else {}
        self.static = self._static_names(static_names, static_numbers)

    def takes(self, name: str) -> bool:
        """Whether the function has a parameter of that name, or takes any."""
        return self.signature is None or name in self.parameters or any(p.kind is inspect.Parameter.VAR_KEYWORD for p in self.parameters.values())

    def _static_names(self, names: Any, numbers: Any) -> frozenset[str]:
        names = (names,) if isinstance(names, str) else tuple(names)
        numbers = (numbers,) if isinstance(numbers, int) else tuple(numbers)
        order = list(self.parameters)
        takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in self.parameters.values())
        for n in names:
            if self.signature is None or n not in order and not takes_any:
                raise UserError(f"{self.name} has no argument {n!r} that could be static", place=user_loc(), hint=f"it has: {', '.join(order)}")
        for k in numbers:
            if not -len(order) <= k < len(order):
                raise UserError(f"{self.name} has no argument number {k} that could be static", place=user_loc())
        return frozenset([*names, *(order[k] for k in numbers)])

    def take_apart(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], Any, tuple[Any, ...]]:
        """Leaves of the dynamic arguments, their structure, and the static arguments as (name, value)."""
        if not self.static:
            if not kwargs:
                leaves, structure = flatten(args)
                return leaves, (structure, "positional"), ()
            leaves, structure = flatten((args, kwargs))
            return leaves, (structure, "named"), ()
        assert self.signature is not None
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as e:
            raise CallError(f"{self.name}: {e}", place=user_loc()) from None
        bound.apply_defaults()
        static, positional = [], []
        named: dict[str, Any] = {}
        for n, v in bound.arguments.items():
            kind = self.parameters[n].kind
            if kind is inspect.Parameter.VAR_KEYWORD:
                static += [(k, w) for k, w in v.items() if k in self.static]
                named.update((k, w) for k, w in v.items() if k not in self.static)
            elif n in self.static:
                static.append((n, v))
                if kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD):
                    positional.append(_STATIC)
            elif kind is inspect.Parameter.VAR_POSITIONAL:
                positional.extend(v)
            elif kind is inspect.Parameter.KEYWORD_ONLY:
                named[n] = v
            else:
                positional.append(v)
        leaves, structure = flatten(([v for v in positional if v is not _STATIC], named))
        return leaves, (structure, tuple(v is _STATIC for v in positional)), tuple(static)

    def invoke(self, structure: Any, static: tuple[Any, ...], leaves: list[Any]) -> Any:
        """Calls the function with these leaves in place of those that `take_apart` gave."""
        tree, mode = structure
        values = unflatten(tree, leaves)
        if mode == "positional":
            return self.fn(*values)
        if mode == "named":
            return self.fn(*values[0], **values[1])
        dynamic = iter(values[0])
        named: dict[str, Any] = dict(values[1])
        order = dict(static)
        in_place = [n for n, p in self.parameters.items() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        args = [order.pop(in_place[k]) if is_static else next(dynamic) for k, is_static in enumerate(mode)]
        return self.fn(*args, **named, **order)

    def names(self, structure: Any, total: int) -> list[str]:
        """A name for each leaf: the parameter's, or `parameter_3` for the parts of a container."""
        tree, mode = structure
        parameters = [n for n, p in self.parameters.items() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        named: list[tuple[str, Any]] = []
        positional, keywords = (tree[1], ()) if mode == "positional" else (tree[1][0][1], tree[1][1])
        if isinstance(mode, tuple):
            parameters = [n for n, is_static in zip(parameters, mode) if not is_static] + parameters[len(mode) :]
        star = next((n for n, p in self.parameters.items() if p.kind is inspect.Parameter.VAR_POSITIONAL), "arg")
        plain = [n for n in parameters if n in self.parameters and self.parameters[n].kind is not inspect.Parameter.VAR_POSITIONAL]
        for k, child in enumerate(positional):
            named.append((plain[k] if k < len(plain) else f"{star}{k}", child))
        if keywords:
            named += list(zip(keywords[1], keywords[-1]))
        out: list[str] = []
        for name, child in named:
            out += [str(name)] if child is LEAF else [f"{name}_{k}" for k in range(count(child))]
        return out if len(out) == total else [f"arg{k}" for k in range(total)]


_STATIC = object()


def static_key(value: Any) -> Any:
    """A hashable for a static argument that tells 1, 1.0 and True apart, also inside of tuples.  TypeError if it cannot be hashed."""
    if isinstance(value, tuple):
        return (type(value), tuple(static_key(v) for v in value))
    if isinstance(value, (bool, int, float, np.generic)):
        return scalar_key(value)
    hash(value)
    return (type(value), value)
