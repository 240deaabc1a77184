"""Tracing: running a Python function on `Tracer` arrays that record a graph.

A `Tracer` has NumPy's names, promotion (NEP 50) and semantics; `np.exp(x)` arrives here through `__array_ufunc__` and
`__array_function__`.  It carries the NumPy dtype and whether it stands for a Python scalar (`weak`); its node keeps the user's source
line.  Arrays that the function reads from outside become hidden inputs.
"""
from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .ir.errors import DTypeError, EscapedTracerError, ShapeError, TraceError, UnsupportedError, UserError
from .ir.extent import Dim, Extent, same, text_of
from .ir.graph import GraphBuilder, Node, literal_value
from .ir.loc import Loc
from .ir.op import freeze_attrs, op
from .ir.types import SCALARS, Scalar, array, scalar_of
from .names import name_at
from .noise import guard_random, unguard_random

_OURS = str(Path(__file__).resolve().parent)
_ROOT = str(Path(__file__).resolve().parent.parent)
_SKIP = tuple(str(folder) + os.sep for folder in (_OURS, Path(_ROOT) / "ir", Path(_ROOT) / "targets", Path(np.__file__).parent))
_skipped: dict[str, bool] = {}
_local = threading.local()
_count = threading.Lock()


class IntegerRangeError(DTypeError, OverflowError):
    """A Python integer does not fit the dtype of the arrays that it meets."""


class UnsupportedAttributeError(UnsupportedError, AttributeError):
    """An attribute that NumPy's arrays have and traced ones do not."""


def is_ours(file: str) -> bool:
    """Whether a source file is ours or NumPy's."""
    known = _skipped.get(file)
    if known is None:
        known = _skipped[file] = file.startswith(_SKIP)
    return known


def _user_frame() -> Any:
    """The innermost frame that is neither ours nor NumPy's, or None."""
    f = sys._getframe(2)
    while f is not None:
        if not is_ours(f.f_code.co_filename):
            return f
        f = f.f_back  # type: ignore[assignment]
    return None


def _loc_of(f: Any) -> Loc:
    if f is None:
        return Loc("<unknown>", 0)
    name = f.f_code.co_filename
    return Loc(name if not name.startswith("<") else "<string>", f.f_lineno, f.f_code.co_name)


def user_loc() -> Loc:
    """The place of the user's call."""
    return _loc_of(_user_frame())


def here(trace: Trace) -> None:
    """The nodes that follow belong to the user's current line, and the last of them to the variable that the line assigns."""
    f = _user_frame()
    trace.builder.loc = _loc_of(f)
    trace.site = None if f is None else (f.f_code, f.f_lasti)


def user_error(kind: type[UserError], message: str, hint: str | None = None) -> UserError:
    """An error that points at the user's line and shows it."""
    import linecache

    where = user_loc()
    line = linecache.getline(where.file, where.line).strip()[:160]
    error = kind(message + (f"\n    {line}" if line else ""), place=where, hint=hint)
    now = current()
    if now is not None:
        now.last_error = error
    return error


class Trace:
    """One recording: the builder and what the function took from outside."""

    def __init__(self, parent: Trace | None = None) -> None:
        self.builder = GraphBuilder()
        self.parent = parent
        self.inputs: list[Node] = []
        self.captured: list[tuple[Any, Node]] = []  # hidden inputs: arrays, or tracers of the enclosing trace
        self._captured_at: dict[Any, Node] = {}
        self.prints: list[tuple[str, Any, list[Any]]] = []  # format, structure and values of each debug_print
        self.limits: list[tuple[int, Any, Loc]] = []  # argument number, integer dtype that a Python integer must fit, place
        self.alive = True
        self.last_error: UserError | None = None  # NumPy replaces some of our errors by its own
        self.site: tuple[Any, int] | None = None  # code object and instruction of the user's call
        self._labelled: tuple[Any, Node] | None = None

    def __enter__(self) -> Trace:
        global _open
        stack = _stack()
        stack.append(self)
        with _count:
            _open += 1
            if _open == 1:
                guard_random()
        return self

    def __exit__(self, *_: object) -> None:
        global _open
        _stack().pop()
        with _count:
            _open -= 1
            if _open == 0:
                unguard_random()
        self.alive = False

    def input(self, dtype: Any, shape: Sequence[Any], name: str = "", weak: bool = False) -> Tracer:
        node = self.builder.input(len(self.inputs), array(scalar(dtype), shape), name)
        self.inputs.append(node)
        return Tracer(self, node, np.dtype(dtype), weak)

    def capture(self, value: Any) -> Tracer:
        """A hidden input for an array, or for a value of the enclosing trace."""
        key = ("node", id(value.trace), value.node.id) if isinstance(value, Tracer) else id(value)
        dtype = value.dtype.newbyteorder("=")
        node = self._captured_at.get(key)
        if node is None:
            node = self._captured_at[key] = self.input(dtype, value.shape, f"captured{len(self.captured)}").node
            self.captured.append((value, node))  # which also keeps the value, and so its id, alive
        return Tracer(self, node, dtype)

    def label(self, node: Node) -> None:
        """Gives a node the name of the variable that the user's line assigns; a later node of the same call takes it over."""
        assert self.site is not None
        name = name_at(*self.site)
        if name is None or node.op.name in ("input", "literal"):
            return
        if self._labelled is not None and self._labelled[0] == self.site:
            self._labelled[1].name = ""
        if not node.name:
            node.name = name
            self._labelled = (self.site, node)


def _stack() -> list[Trace]:
    found = getattr(_local, "stack", None)
    if found is None:
        found = _local.stack = []
    return found


def _after_fork() -> None:
    """In the child only this thread goes on, and a lock that another one held would never be released."""
    global _count, _open
    _count = threading.Lock()
    _open = len(_stack())
    if not _open:
        unguard_random()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

_open = 0  # traces that record in any thread; 0 almost always, and cheap to ask


def recording() -> bool:
    """Whether this thread is tracing."""
    return _open > 0 and current() is not None


def current() -> Trace | None:
    stack = _stack()
    return stack[-1] if stack else None


def scalar(dtype: Any) -> Scalar:
    """The scalar type of a dtype, or DTypeError."""
    s = scalar_of(dtype)
    if s is None:
        raise user_error(DTypeError, f"dtype {np.dtype(dtype)} is not supported",
                         "supported: bool, all integers, float16, bfloat16, float32, float64 (no complex, no objects, no strings)")  # fmt: skip
    return s


class DeviceArray:
    """What `ptxjit.array.Array` is to a trace: an array from outside."""

    __slots__ = ()
    dtype: Any
    shape: tuple[int, ...]
    device: Any

    @property
    def on_host(self) -> bool:
        raise NotImplementedError

    @property
    def memory(self) -> Any:
        raise NotImplementedError

    def numpy(self) -> Any:
        raise NotImplementedError


class Tracer:
    """An array value of a trace.  Attributes and methods are NumPy's."""

    __slots__ = ("trace", "node", "dtype", "weak", "__weakref__")
    __array_priority__ = 1000

    def __init__(self, trace: Trace, node: Node, dtype: Any, weak: bool = False) -> None:
        self.trace, self.node, self.dtype, self.weak = trace, node, np.dtype(dtype), weak

    # ---- what is known while tracing

    @property
    def shape(self) -> tuple[Any, ...]:
        return self.node.shape

    @property
    def ndim(self) -> int:
        return len(self.node.shape)

    @property
    def size(self) -> Any:
        return self.node.type.size

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize  # type: ignore[no-any-return]

    @property
    def device(self) -> str:
        return "traced"

    def __len__(self) -> int:
        if not self.shape:
            raise user_error(TraceError, "len() of an array without dimensions")
        return int(self.shape[0])

    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            raise user_error(TraceError, "iteration over an array without dimensions")
        return (self[i] for i in range(self.shape[0]))

    def __repr__(self) -> str:
        return f"Tracer({self.dtype}[{','.join(map(text_of, self.shape))}])"

    def _value(self, what: str, instead: str) -> UserError:
        return user_error(TraceError, f"{what} needs the value of a traced array, which is not known while the function is traced", instead)

    def __bool__(self) -> bool:
        raise self._value("`if`, `while`, `and`, `or` or bool()", "use pj.where(cond, a, b), pj.while_loop, `&`, `|` or np.logical_and; "
                          "or make the argument static (static_argnames=…)")  # fmt: skip

    def __int__(self) -> int:
        raise self._value("int()", "use x.astype(int), or make the argument static (static_argnames=…)")

    def __float__(self) -> float:
        raise self._value("float()", "use x.astype(float), or make the argument static (static_argnames=…)")

    def __index__(self) -> int:
        raise self._value("use as a Python index or size", "index with np.take or x[i] on a traced x; sizes must be static (static_argnames=…)")

    def __complex__(self) -> complex:
        raise self._value("complex()", "complex numbers are not supported")

    def __format__(self, spec: str) -> str:
        if not spec:
            return repr(self)
        raise self._value(f"formatting as {spec!r}", "print it with pj.debug_print, or format the result")

    def __contains__(self, value: Any) -> bool:
        raise self._value("`in`", "use (x == value).any(), which is an array")

    def __reduce__(self) -> Any:
        raise user_error(TraceError, "a traced array cannot be pickled", "return it from the function, and pickle the result")

    def __copy__(self) -> Tracer:
        return self

    def __deepcopy__(self, memo: Any) -> Tracer:
        return self

    def item(self, *_: Any) -> Any:
        raise self._value(".item()", "return the array and call .item() on the result")

    def tolist(self) -> Any:
        raise self._value(".tolist()", "return the array and call .tolist() on the result")

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise self._value("conversion to a NumPy array", "a traced array needs no np.asarray; build arrays of traced values with np.stack or pj.asarray([…]); "
                          "pj.full replaces np.full, and functions that NumPy does not hand over to us are listed in docs/functions.md")  # fmt: skip

    def __setitem__(self, index: Any, value: Any) -> None:
        raise user_error(TraceError, "a traced array cannot be changed in place", "build the new array: pj.where(mask, new, x), np.concatenate, np.pad")

    def __hash__(self) -> int:
        raise user_error(TraceError, "a traced array cannot be hashed (used as a dict key or static argument)")

    # ---- NumPy's protocols

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kw: Any) -> Any:
        from .functions import registry

        return registry.ufunc(ufunc, method, inputs, kw)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        from .functions import registry

        return registry.numpy_function(func, args, kwargs)

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        import ptxjit

        return ptxjit

    def __getattr__(self, name: str) -> Any:
        from .functions import registry

        method = registry.METHODS.get(name)
        if method is None:
            if name.startswith("__") or not hasattr(np.ndarray, name):
                raise AttributeError(f"a traced array has no attribute {name!r}")
            raise UnsupportedAttributeError(f"the attribute .{name} of NumPy's arrays is not supported under @jit", place=user_loc(),
                                            hint="the supported ones are listed in docs/functions.md")  # fmt: skip
        return method(self)

    def __getitem__(self, index: Any) -> Any:
        from .functions.indexing import getitem

        return getitem(self, index)


def _operator(name: str, reflected: bool) -> Callable[[Tracer, Any], Any]:
    def operate(self: Tracer, other: Any) -> Any:
        from .functions import registry

        if not is_operand(other):
            if (other is None or isinstance(other, str)) and name in ("equal", "not_equal"):  # NumPy's answer, element by element
                return registry.call("full", self.shape, name == "not_equal")
            return NotImplemented
        return registry.call(name, other, self) if reflected else registry.call(name, self, other)

    return operate


def _in_place(name: str) -> Callable[[Tracer, Any], Any]:
    def operate(self: Tracer, other: Any) -> Any:
        from .functions import registry

        out = registry.call(name, self, other)
        if not np.can_cast(out.dtype, self.dtype, "same_kind"):
            raise user_error(DTypeError, f"in-place {name} cannot store {out.dtype} into {self.dtype}", "write x = x … instead")
        if out.shape != self.shape:
            raise user_error(ShapeError, f"in-place {name} cannot store shape {out.shape} into {self.shape}", "write x = x … instead")
        return out.astype(self.dtype)

    return operate


_BINARY = {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floor_divide", "mod": "remainder",
           "pow": "power", "matmul": "matmul", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor", "lshift": "left_shift",
           "rshift": "right_shift", "divmod": "divmod"}  # fmt: skip
_COMPARE = {"eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal"}
for _python, _name in _BINARY.items():
    setattr(Tracer, f"__{_python}__", _operator(_name, False))
    setattr(Tracer, f"__r{_python}__", _operator(_name, True))
    if _python != "divmod":
        setattr(Tracer, f"__i{_python}__", _in_place(_name))
for _python, _name in _COMPARE.items():
    setattr(Tracer, f"__{_python}__", _operator(_name, False))


def _unary(name: str) -> Callable[[Tracer], Any]:
    def operate(self: Tracer) -> Any:
        from .functions import registry

        return registry.call(name, self)

    return operate


for _python, _name in {"neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert"}.items():
    setattr(Tracer, f"__{_python}__", _unary(_name))


# ---- operands -------------------------------------------------------------------------------------------------------


def is_operand(x: Any) -> bool:
    return isinstance(x, (Tracer, bool, int, float, complex, np.ndarray, np.generic, list, tuple, DeviceArray, Dim))


def trace_of(values: Sequence[Any]) -> Trace:
    """The trace that is recording; the tracers among the values must belong to it or to one around it."""
    now = current()
    if now is None:
        for v in values:
            if isinstance(v, Tracer):
                raise user_error(EscapedTracerError, "a traced value is used outside of the function that was traced",
                                 "return it from the function instead of storing it elsewhere")  # fmt: skip
        raise user_error(TraceError, "no function is being traced")
    return now


def lift(x: Any, trace: Trace | None = None) -> Tracer:
    """Anything that may be an operand, as a tracer of the current trace."""
    trace = trace or trace_of([x])
    if isinstance(x, Tracer):
        if x.trace is trace:
            return x
        if not x.trace.alive or not any(t is x.trace for t in _stack()):
            raise user_error(EscapedTracerError, "a traced value is used after its function was traced",
                             "return it from the function instead of storing it elsewhere")  # fmt: skip
        return trace.capture(x)
    b = trace.builder
    if isinstance(x, np.generic):  # before float: np.float64 is one
        return Tracer(trace, b.literal(np.asarray(x), scalar(x.dtype), ()), x.dtype)
    if isinstance(x, bool):
        return Tracer(trace, b.literal(x, SCALARS["i1"], ()), np.bool_)
    if isinstance(x, int):
        wide = SCALARS["i64"] if x < 1 << 63 else SCALARS["u64"]
        if not -(1 << 63) <= x < 1 << 64:
            raise user_error(IntegerRangeError, f"the integer {x} does not fit into 64 bits")
        return Tracer(trace, b.literal(np.array(x, wide.np), wide, ()), wide.np, weak=True)
    if isinstance(x, float):
        return Tracer(trace, b.literal(x, SCALARS["f64"], ()), np.float64, weak=True)
    if isinstance(x, Dim):
        return Tracer(trace, b.extent(value=x), np.int64, weak=True)
    if isinstance(x, complex):
        raise user_error(DTypeError, "complex numbers are not supported")
    if isinstance(x, np.ndarray):
        scalar(x.dtype)
        if x.size == 0:
            return Tracer(trace, b.literal(np.zeros((), x.dtype), scalar(x.dtype), x.shape), x.dtype)
        return trace.capture(x)
    if isinstance(x, DeviceArray):
        return trace.capture(x)
    if isinstance(x, (list, tuple)):
        from .functions.shape import stack

        if any(isinstance(v, Tracer) for v in _leaves(x)):
            return stack([lift(v, trace) for v in x])  # type: ignore[no-any-return]
        known = np.asarray(x)
        scalar(known.dtype)
        return Tracer(trace, b.literal(known, scalar(known.dtype)), known.dtype) if 0 < known.size <= 64 else lift(known, trace)
    raise user_error(DTypeError, f"{type(x).__name__} is not an array or a number", "convert it with np.asarray, or make the argument static")


def _leaves(x: Any) -> Iterator[Any]:
    for v in x:
        if isinstance(v, (list, tuple)):
            yield from _leaves(v)
        else:
            yield v


def make(trace: Trace, node: Node, dtype: Any, weak: bool = False) -> Tracer:
    """The traced array of a node; the node takes the name of the variable that the user assigns it to."""
    if trace.site is not None:
        trace.label(node)
    return Tracer(trace, node, dtype, weak)


def emit(trace: Trace, name: str, args: Sequence[Node], **attrs: Any) -> Node:
    """A node at the user's line."""
    return trace.builder.emit(op(name), args, freeze_attrs(attrs))


def broadcast_shapes(*shapes: Sequence[Any]) -> tuple[Any, ...]:
    try:
        if any(n.__class__ is Dim for s in shapes for n in s):
            return _broadcast_extents(shapes)
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise user_error(ShapeError, f"shapes {', '.join(str(tuple(s)) for s in shapes)} cannot be broadcast together") from None


def _broadcast_extents(shapes: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
    out: list[Extent] = []
    for d in range(max(map(len, shapes))):
        n: Extent = 1
        for s in shapes:
            if d < len(s):
                k = s[-1 - d]
                if same(n, 1):
                    n = k
                elif not same(k, 1) and not same(k, n) and k != n:
                    if n != 1 and k != 1:
                        raise ValueError
                    n = k if n == 1 else n
        out.append(n)
    return tuple(out[::-1])


def spread(node: Node, trace: Trace, shape: Sequence[Any]) -> Node:
    shape = tuple(shape)
    if any(n.__class__ is Dim for n in (*node.shape, *shape)):
        return _spread_extents(node, trace, shape)
    return node if node.shape == shape else emit(trace, "broadcast", [node], shape=shape)


def _spread_extents(node: Node, trace: Trace, shape: tuple[Extent, ...]) -> Node:
    """Sizes that are equal in this version, but other expressions, are first called by the result's own."""
    want = shape[len(shape) - len(node.shape) :]
    mine = tuple(n if same(n, 1) or same(n, k) else k if n == k else 1 for n, k in zip(node.shape, want))
    if not all(map(same, mine, node.shape)):
        node = emit(trace, "reshape", [node], shape=mine)
    return node if len(mine) == len(shape) and all(map(same, mine, shape)) else emit(trace, "broadcast", [node], shape=shape)


def operand(t: Tracer, dtype: Any) -> Node:
    """The node of an operand as dtype.  A Python integer must fit it, as in NumPy."""
    if t.weak and t.dtype.kind in "iu" and dtype.kind in "iu":
        _fits(t, dtype)
    return cast_node(t.trace, t.node, t.dtype, dtype)


def _fits(t: Tracer, dtype: Any) -> None:
    if t.node.op.name == "literal":
        value, info = int(literal_value(t.node)), np.iinfo(dtype)
        if not info.min <= value <= info.max:
            raise user_error(IntegerRangeError, f"the Python integer {value} is out of bounds for {dtype}", "convert the array with .astype(…) first")
    elif t.node.op.name == "extent":
        value, info = t.node.attr("value"), np.iinfo(dtype)
        if not info.min <= value <= info.max:
            raise user_error(IntegerRangeError, f"the size {value!r} is out of bounds for {dtype}", "convert the array with .astype(…) first")
    elif t.node.op.name == "input" and dtype != np.int64 and t.trace.parent is None:
        t.trace.limits.append((t.node.attr("index"), dtype, user_loc()))


def cast_node(trace: Trace, node: Node, old: Any, new: Any) -> Node:
    """astype on nodes: NumPy's casts, but float → int saturates and NaN gives 0."""
    s, d = scalar(old), scalar(new)
    b = trace.builder
    if s is d:
        return node
    literal = _recast(trace, node, s, d)
    if literal is not None:
        return literal
    if d.name == "i1":
        zero = b.like(node, 0)
        return b.fcmp(node, zero, pred="une") if s.is_float else b.icmp(node, zero, pred="ne")  # type: ignore[no-any-return]
    if s.is_float and d.is_float:
        return b.fcvt(node, to=d)  # type: ignore[no-any-return]
    if s.is_float:
        return (b.ftou if d.is_unsigned else b.ftos)(node, to=d)  # type: ignore[no-any-return]
    if d.is_float:
        return (b.utof if s.is_unsigned or s.name == "i1" else b.stof)(node, to=d)  # type: ignore[no-any-return]
    if d.bits < s.bits:
        return b.itrunc(node, to=d)  # type: ignore[no-any-return]
    if d.bits == s.bits:
        return b.bitcast(node, to=d)  # type: ignore[no-any-return]
    return (b.zext if s.is_unsigned or s.name == "i1" else b.sext)(node, to=d)  # type: ignore[no-any-return]


def _recast(trace: Trace, node: Node, s: Scalar, d: Scalar) -> Node | None:
    """A literal splat is converted at once."""
    if node.op.name != "literal":
        return None
    value = literal_value(node)
    if value.ndim or s.is_float and not d.is_float and d.name != "i1":
        return None
    with np.errstate(over="ignore"):
        return trace.builder.literal(value.astype(d.np), d, node.shape)
