"""`@jit`: trace, compile, cache, call.

The hot path looks up (dtype, shape, strides) of the arguments in a dict and calls what it finds; nothing is built.  Everything else
(Python scalars, containers, static arguments, captured values, arrays that are not C-contiguous) takes the general path, which
leads to the same entries.
"""
from __future__ import annotations

import functools
import inspect
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import knobs
from .environment import Environment
from .ir.errors import DTypeError, TraceError, UserError
from .ir.graph import Graph
from .ir.loc import Loc
from .options import Options
from .pytree import LEAF, flatten, unflatten
from .trace import Trace, Tracer, current, lift, recording, scalar, user_error

MANY = 8  # compilations after which we say so


class Spec:
    """What is known of one argument: dtype, shape, and whether it was a Python scalar."""

    __slots__ = ("dtype", "shape", "weak")

    def __init__(self, dtype: Any, shape: tuple[int, ...], weak: bool = False) -> None:
        self.dtype, self.shape, self.weak = np.dtype(dtype), shape, weak

    def key(self) -> Any:
        return (self.dtype, self.shape, self.weak)

    def __repr__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"


class Entry:
    """One compiled version: the executable, the shape of its results, and where its hidden inputs come from."""

    __slots__ = ("run", "tree", "hidden", "graph", "why", "passes")

    def __init__(self, run: Callable[..., Any], tree: Any, hidden: list[Callable[[], Any]], graph: Graph, why: str) -> None:
        self.run, self.tree, self.hidden, self.graph, self.why = run, tree, hidden, graph, why

    def call(self, arrays: Sequence[Any]) -> Any:
        if self.hidden:
            arrays = [*arrays, *(np.ascontiguousarray(get()) for get in self.hidden)]
        results = self.run(*arrays)
        return results[0] if self.tree is LEAF else unflatten(self.tree, list(results))


class Jit:
    """A jitted function.  Call it like the function; `.lower(…)` shows every level; `.stats()` says what was compiled and why."""

    def __init__(self, fn: Callable[..., Any], *, device: str | None = None, static_argnames: Any = (), static_argnums: Any = (),
                 fast_math: bool = False, reproducible: bool = False, static_shapes: bool = False, name: str | None = None) -> None:  # fmt: skip
        if not callable(fn):
            raise UserError(f"jit takes a function, not {type(fn).__name__}")
        functools.update_wrapper(self, fn)
        self.fn, self.device = fn, device
        self.options = Options(fast_math, reproducible)
        self.name = _identifier(str(name or getattr(fn, "__name__", "function")))
        self._signature = _signature(fn)
        self._static = self._static_names(static_argnames, static_argnums)
        self._entries: dict[Any, Entry] = {}
        self._hot: dict[Any, Callable[..., Any]] = {}
        self._lock = threading.RLock()
        self._env: Environment | None = None
        self._calls = 0
        self._compiled: list[str] = []

    # ---- calling

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not kwargs:
            try:
                run = self._hot[tuple([(a.dtype, a.shape, a.strides) for a in args])]
            except (KeyError, AttributeError, TypeError):
                pass
            else:
                if not recording():
                    return run(*args)
        return self._general(args, kwargs)

    def _general(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if current() is not None or knobs.disabled():
            return self.fn(*args, **kwargs)  # nested: part of the trace that is recording
        self._calls += 1
        leaves, structure, static = self._bound(args, kwargs)
        arrays, specs = [], []
        for x in leaves:
            array, spec = _argument(x)
            arrays.append(array)
            specs.append(spec)
        entry = self._entry(structure, static, specs)
        hot = not kwargs and not entry.hidden and not static and not self._environment().getters and len(args) == len(leaves)
        if hot and all(type(a) is np.ndarray and a is b for a, b in zip(args, arrays)):
            self._remember(args, entry)
        return entry.call(arrays)

    def _remember(self, args: tuple[Any, ...], entry: Entry) -> None:
        run, tree = entry.run, entry.tree
        if tree is LEAF:
            hot = getattr(run, "single", None) or (lambda *a: run(*a)[0])
        else:
            hot = lambda *a: unflatten(tree, list(run(*a)))  # noqa: E731
        self._hot[tuple([(a.dtype, a.shape, a.strides) for a in args])] = hot

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    # ---- arguments

    def _static_names(self, names: Any, numbers: Any) -> frozenset[str]:
        names = (names,) if isinstance(names, str) else tuple(names)
        numbers = (numbers,) if isinstance(numbers, int) else tuple(numbers)
        parameters = list(self._signature.parameters) if self._signature else []
        for n in names:
            if self._signature and n not in parameters and not _takes_any(self._signature):
                raise UserError(f"{self.name} has no argument {n!r} that could be static")
        return frozenset([*names, *(parameters[k] for k in numbers)])

    def _bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], Any, tuple[Any, ...]]:
        """Leaves of the dynamic arguments, their structure, and the static arguments as (name, value)."""
        if not kwargs and not self._static:
            leaves, structure = flatten(args)
            return leaves, (structure, ()), ()
        names: dict[str, Any] = dict(kwargs)
        positional = list(args)
        if self._static and self._signature is not None:
            try:
                bound = self._signature.bind(*args, **kwargs)
            except TypeError as e:
                raise UserError(f"{self.name}: {e}") from None
            bound.apply_defaults()
            static = []
            dynamic: dict[str, Any] = {}
            positional = []
            for n, v in bound.arguments.items():
                kind = self._signature.parameters[n].kind
                if n in self._static:
                    static.append((n, v))
                elif kind is inspect.Parameter.VAR_POSITIONAL:
                    if v:
                        dynamic["*" + n] = tuple(v)
                elif kind is inspect.Parameter.VAR_KEYWORD:
                    dynamic.update(v)
                else:
                    dynamic[n] = v
            leaves, structure = flatten(((), dynamic))
            return leaves, (structure, ()), tuple(static)
        leaves, structure = flatten((tuple(positional), names))
        return leaves, (structure, "named"), ()

    def _invoke(self, structure: Any, static: tuple[Any, ...], leaves: list[Any]) -> Any:
        tree, mode = structure
        values = unflatten(tree, leaves)
        if static:
            positional, names = values
            call: dict[str, Any] = {**names, **dict(static)}
            rest = [v for k, v in call.items() if k.startswith("*")]
            call = {k: v for k, v in call.items() if not k.startswith("*")}
            only = [n for n, p in self._signature.parameters.items() if p.kind is inspect.Parameter.POSITIONAL_ONLY] if self._signature else []
            first = [call.pop(n) for n in only]
            if rest and self._signature is not None:
                before = [n for n, p in self._signature.parameters.items() if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
                first += [call.pop(n) for n in before]
                return self.fn(*first, *rest[0], **call)
            return self.fn(*positional, *first, **call)
        if mode == "named":
            return self.fn(*values[0], **values[1])
        return self.fn(*values)

    # ---- compiling

    def _environment(self) -> Environment:
        if self._env is None:
            self._env = Environment(self.fn)
        return self._env

    def _device(self) -> str:
        if self.device is not None:
            return self.device
        from .hardware import default_device

        return default_device().name

    def _entry(self, structure: Any, static: tuple[Any, ...], specs: list[Spec]) -> Entry:
        try:
            key = (structure, static, tuple(s.key() for s in specs), self._environment().signature(), self._device())
            hash(key)
        except TypeError:
            raise DTypeError(f"{self.name}: a static argument cannot be hashed: {static}", hint="pass tuples instead of lists") from None
        found = self._entries.get(key)
        if found is None:
            with self._lock:
                found = self._entries.get(key)
                if found is None:
                    found = self._entries[key] = self._compile(structure, static, specs, key)
        return found

    def trace(self, structure: Any, static: tuple[Any, ...], specs: list[Spec]) -> tuple[Graph, Any, list[Any]]:
        """Runs the function on tracers: the graph, the structure of its results, and what it captured."""
        with Trace() as trace:
            names = self._argument_names(structure, static, len(specs))
            tracers = [trace.input(s.dtype, s.shape, names[i], s.weak) for i, s in enumerate(specs)]
            result = self._invoke(structure, static, list(tracers))
            leaves, tree = flatten(result)
            outputs = [lift(self._checked(v), trace).node for v in leaves]
            graph = Graph(self.name, trace.inputs, outputs)
            return graph, tree, [value for value, _ in trace.captured]

    def _checked(self, v: Any) -> Any:
        """A leaf of the result, which must be an array or a number."""
        if isinstance(v, (Tracer, bool, int, float, np.ndarray, np.generic)):
            return v
        code = getattr(self.fn, "__code__", None)
        place = Loc(code.co_filename if not code.co_filename.startswith("<") else "<string>", code.co_firstlineno) if code is not None else None
        raise TraceError(f"{self.name} returned a {type(v).__name__}", place=place, hint="return arrays, numbers, or containers of them")

    def _argument_names(self, structure: Any, static: tuple[Any, ...], count: int) -> list[str]:
        tree, mode = structure
        if self._signature is not None and not static and mode == () and all(c is LEAF for c in tree[1]):
            names = [n for n, p in self._signature.parameters.items() if p.kind is not inspect.Parameter.VAR_POSITIONAL][:count]
            return names + [f"arg{i}" for i in range(len(names), count)]
        return [f"arg{i}" for i in range(count)]

    def _compile(self, structure: Any, static: tuple[Any, ...], specs: list[Spec], key: Any) -> Entry:
        graph, tree, captured = self.trace(structure, static, specs)
        env = self._environment()
        hidden: list[Callable[[], Any]] = [env.find(a) or (lambda a=a: a) for a in captured]  # type: ignore[misc]
        why = self._reason(specs, static)
        self._compiled.append(why)
        if len(self._compiled) == MANY:
            warnings.warn(f"{self.name} was compiled {MANY} times; the last because of {why}. stats() lists all reasons", stacklevel=4)
        return Entry(executable(graph, self._device(), self.options), tree, hidden, graph, why)

    def _reason(self, specs: list[Spec], static: tuple[Any, ...]) -> str:
        text = f"arguments {', '.join(map(repr, specs))}" + (f", static {dict(static)}" if static else "")
        return f"first call: {text}" if not self._compiled else f"new {text}"

    # ---- looking

    def lower(self, *args: Any, target: str | None = None, **kwargs: Any) -> Any:
        """Every level for these arguments (arrays, or specs such as "f32[1024,1000]"), for a target such as `ptx:sm_90`.  No device is needed."""
        from .lowered import Lowered
        from .specs import as_spec

        leaves, structure, static = self._bound(args, kwargs)
        specs = [as_spec(x) for x in leaves]
        graph, _, _ = self.trace(structure, static, specs)
        from .hardware import device

        return Lowered(graph, target or device(self._device()).target, self.options)

    def stats(self) -> dict[str, Any]:
        """Calls of the general path, compiled versions, and why each was compiled."""
        return {"calls": self._calls, "compilations": len(self._compiled), "reasons": list(self._compiled)}

    def __repr__(self) -> str:
        return f"<jit {self.name}: {len(self._entries)} version{'s' if len(self._entries) != 1 else ''} compiled>"


def jit(fn: Any = None, **options: Any) -> Any:
    """Compiles a function of arrays.  `@jit`, `@jit(device="cpu", static_argnames=("axis",), fast_math=False, reproducible=False)` or
    `jit(f, …)`.

    The function is run once per combination of argument dtypes and shapes, on traced arrays, and compiled; its results are fresh
    NumPy arrays.  Arguments are arrays, NumPy or Python scalars, or containers of them; static arguments are any hashable values.

    Raises TraceError, ShapeError or DTypeError (all UserError) with the user's file and line.
    """
    if fn is None:
        return lambda f: jit(f, **options)
    if isinstance(fn, Jit):
        fn = fn.fn
    return Jit(fn, **options)


def executable(graph: Graph, where: str, options: Options) -> Callable[..., Any]:
    """Something that computes a graph on a device: takes C-contiguous arrays, gives a tuple of fresh ones."""
    from .hardware import device
    from .ir.lower import lower
    from .targets import target

    found = device(where)
    t = target(found.target)
    if hasattr(t, "run_graph"):
        run_graph: Callable[..., Any] = t.run_graph
        return lambda *inputs: tuple(run_graph(graph, list(inputs)))
    from . import cache

    def build() -> Any:
        low = lower(graph, t.facts, fast_math=options.fast_math, reproducible=options.reproducible)
        return t.build(low.program, low.kernels)

    return cache.get_or_build(graph, t, options, build)  # type: ignore[no-any-return]


def _argument(x: Any) -> tuple[Any, Spec]:
    """One leaf as a C-contiguous, aligned, native array, and what is known of it."""
    if type(x) is np.ndarray or isinstance(x, np.ndarray):
        if not (x.flags.c_contiguous and x.flags.aligned and x.dtype.isnative):
            x = np.ascontiguousarray(x, dtype=x.dtype.newbyteorder("=")).reshape(x.shape)
            x = x if x.flags.aligned else x.copy()
        return x, Spec(x.dtype, x.shape)
    if isinstance(x, (bool, int, float)):
        dtype: Any = np.bool_ if isinstance(x, bool) else np.int64 if isinstance(x, int) else np.float64
        if dtype is np.int64 and not -(1 << 63) <= x < 1 << 63:
            dtype = np.uint64
        try:
            return np.array(x, dtype), Spec(dtype, (), weak=not isinstance(x, bool))
        except OverflowError:
            raise DTypeError(f"the integer {x} does not fit into 64 bits") from None
    if isinstance(x, np.generic):
        return np.asarray(x), Spec(x.dtype, ())
    if isinstance(x, Tracer):
        raise user_error(TraceError, "a traced value is used after its function was traced")
    if hasattr(x, "__dlpack__") or hasattr(x, "__array__"):
        return _argument(np.asarray(x))
    raise DTypeError(f"an argument is a {type(x).__name__}, which is neither an array nor a number",
                     hint="make it static: @jit(static_argnames=(…,))")  # fmt: skip


def _signature(fn: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(fn)
    except (TypeError, ValueError):
        return None


def _takes_any(s: inspect.Signature) -> bool:
    return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in s.parameters.values())


def _identifier(name: str) -> str:
    text = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name).strip("_")
    return text if text and not text[0].isdigit() else f"f_{text}" if text else "function"
