"""`@jit`: trace, compile, cache, call.

The short path looks up (class, dtype, shape, flags) of the arguments in a dict and calls what it finds; nothing is built.  Everything
else (Python scalars, containers, static arguments, arrays from outside, arrays that are not C-contiguous, aligned and native, which are
copied first) takes the general path, which leads to the same entries.  What a function reads from outside of its arguments is part of
the key, see `environment`.  From the third size of a dimension on, one version serves them all: `sizes`.
"""
from __future__ import annotations

import functools
import inspect
import os
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np

from . import knobs
from . import trace as tracing
from .arguments import Binding, Spec, argument, static_key
from .environment import Environment
from .into import Into
from .ir.errors import DTypeError, PtxjitError, TraceError, UserError
from .ir.extent import Dim
from .ir.graph import Graph
from .ir.guards import Sizes
from .ir.loc import Loc
from .noise import HINT, position
from .options import Options
from .pytree import LEAF, count, flatten, unflatten
from .sizes import Family, Version
from .trace import IntegerRangeError, Trace, Tracer, current, is_ours, lift, user_loc

MANY = 8  # compilations after which we say so
HOT = 1024  # short paths of one function that are kept
_NUMBERS = frozenset((bool, int, float))
_PLAIN = (np.ndarray, bool, int, float, np.generic)
_argument = argument
_all: weakref.WeakSet[Jit] = weakref.WeakSet()


def _kind(a: Any) -> Any:
    return (a.__class__, a.dtype, a.shape, a.flags.num) if isinstance(a, np.ndarray) else None


def _short(run: Callable[..., Any], tree: Any, outside: list[Any]) -> Callable[..., Any]:
    """The executable with the arrays from outside appended, giving the tree of results."""
    if tree is not LEAF:
        return lambda *a: unflatten(tree, list(run(*a, *outside)))
    if outside:
        return lambda *a: run(*a, *outside)[0]
    return getattr(run, "single", None) or (lambda *a: run(*a)[0])


def _print(prints: list[tuple[str, Any, list[Any]]], values: Iterator[Any]) -> None:
    """What the function prints, from the values that its executable gave after the results."""
    for text, tree, leaves in prints:
        args, kwargs = unflatten(tree, [next(values) if isinstance(v, Tracer) else v for v in leaves])
        print(text.format(*args, **kwargs))


def _printing(run: Callable[..., Any], results: int, prints: list[tuple[str, Any, list[Any]]]) -> Callable[..., Any]:
    def printing(*arrays: Any) -> tuple[Any, ...]:
        out = run(*arrays)
        _print(prints, iter(out[results:]))
        return tuple(out[:results])

    return printing


class Entry:
    """One compiled version: the executable, the shape of its results, where its hidden inputs come from, and bounds of Python integers."""

    __slots__ = ("program", "run", "tree", "hidden", "graph", "limits", "prints")

    def __init__(self, program: Callable[..., Any], tree: Any, hidden: list[Callable[[], Any]], graph: Graph, limits: Any, prints: Any) -> None:
        self.program, self.tree, self.hidden, self.graph, self.limits, self.prints = program, tree, hidden, graph, limits, prints
        self.run = _printing(program, count(tree), prints) if prints else program

    def call(self, arrays: list[Any]) -> Any:
        results = self.results(arrays)
        return results[0] if self.tree is LEAF else unflatten(self.tree, list(results))

    def results(self, arrays: list[Any]) -> tuple[Any, ...]:
        """The leaves of the result."""
        return tuple(self.run(*self.inputs(arrays)))

    def inputs(self, arrays: list[Any]) -> list[Any]:
        """The arguments, checked, with the arrays from outside."""
        self.check(arrays)
        return [*arrays, *[argument(get())[0] for get in self.hidden]] if self.hidden else arrays

    def on_device(self, memories: list[Any], arrays: list[Any], shapes: list[Any], driver: Any) -> tuple[list[Any], list[Any]]:
        """(shape and dtype of each leaf, its memory).  `arrays` has the arguments that came from the host; nothing waits."""
        self.check(arrays)
        outside = [get() for get in self.hidden]
        shapes = [*shapes, *[x.shape for x in outside]]
        memories = [*memories, *[x._data if getattr(getattr(x, "_data", None), "driver", None) is driver else driver.from_host(argument(x)[0]) for x in outside]]
        program: Any = self.program.at(shapes)  # type: ignore[attr-defined]
        made, described, n = program.on_device(*memories), program.results, count(self.tree)
        if self.prints:
            _print(self.prints, iter([driver.to_host(m, shape, dtype) for m, (shape, dtype) in zip(made[n:], described[n:])]))
        return described[:n], made[:n]

    def check(self, arrays: list[Any]) -> None:
        """Python integers fit the dtypes that they met."""
        for k, dtype, place in self.limits:
            info = np.iinfo(dtype)
            if not info.min <= int(arrays[k]) <= info.max:
                raise IntegerRangeError(f"the Python integer {int(arrays[k])} is out of bounds for {dtype}", place=place, hint="convert the array with .astype(…) first")


class Jit:
    """A jitted function.  Call it like the function; `.lower(…)` shows every level; `.stats()` says what was compiled and why."""

    def __init__(self, fn: Callable[..., Any], *, device: str | None = None, static_argnames: Any = (), static_argnums: Any = (),
                 fast_math: bool = False, reproducible: bool = False, static_shapes: bool = False, name: str | None = None) -> None:  # fmt: skip
        if not callable(fn) or isinstance(fn, type):
            raise UserError(f"jit takes a function, not {'the class ' + fn.__name__ if isinstance(fn, type) else type(fn).__name__}", place=user_loc())
        functools.update_wrapper(self, fn)
        self.fn, self.device = fn, device
        self.settings: dict[str, Any] = {"device": device, "static_argnames": static_argnames, "static_argnums": static_argnums, "fast_math": fast_math,
                                         "reproducible": reproducible, "static_shapes": static_shapes, "name": name}  # fmt: skip
        if fast_math and reproducible:
            raise UserError("fast_math and reproducible contradict each other", place=user_loc(), hint="fast_math admits other bits, reproducible forbids them")
        self.options = Options(fast_math, reproducible)
        self.name = _identifier(str(name or getattr(fn, "__name__", None) or getattr(getattr(fn, "func", None), "__name__", "function")))
        self._binding = Binding(fn, self.name, static_argnames, static_argnums)
        self._static_shapes = bool(static_shapes)
        self._entries: dict[Any, Entry] = {}
        self._families: dict[Any, Family] = {}  # by what is left of a key without sizes
        self._hot: dict[Any, Callable[..., Any]] = {}
        self._mixed: dict[Any, Callable[..., Any]] = {}  # short paths with Python numbers among the arguments
        self._lock = threading.RLock()
        self._env: Environment | None = None
        self._bound_to: dict[int, tuple[Any, Jit]] = {}
        self._calls = 0
        self.warns = True  # after MANY compilations
        self._compiled: list[tuple[str, Any]] = []  # why, and the key
        _all.add(self)

    # ---- calling

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not kwargs:
            run: Callable[..., Any] | None
            try:
                if len(args) == 1:
                    [a] = args
                    run = self._hot[a.__class__, a.dtype, a.shape, a.flags.num]
                else:
                    run = self._hot[tuple([(a.__class__, a.dtype, a.shape, a.flags.num) for a in args])]
            except AttributeError:  # Python numbers among them, or containers
                run = self._mixed.get(tuple([a.__class__ if a.__class__ in _NUMBERS else _kind(a) for a in args]))
            except (KeyError, TypeError):
                run = None
            if run is not None and (not tracing._open or current() is None):
                self._calls += 1
                return run(*args)
        return self._general(args, kwargs)

    def _general(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if current() is not None or knobs.disabled():
            return self.fn(*args, **kwargs)  # nested: part of the trace that is recording
        self._calls += 1
        into = None
        if "out" in kwargs and not self._binding.takes("out"):
            kwargs = dict(kwargs)
            into = Into(self.name, kwargs.pop("out"))
        leaves, structure, static = self._bound(args, kwargs)
        if not all(isinstance(x, _PLAIN) for x in leaves):
            from .array import dispatch

            result = dispatch(self, structure, static, leaves)
            if result is not NotImplemented:
                return result if into is None else into.copied(result, leaves)
        arrays, specs = [], []
        for k, x in enumerate(leaves):
            try:
                array, spec = argument(x)
            except DTypeError:
                argument(x, self._binding.names(structure, len(leaves))[k])  # says which one it is
                raise
            arrays.append(array)
            specs.append(spec)
        entry = self._entry(structure, static, specs)
        if into is not None:
            return into.filled(entry, arrays, leaves)
        if not kwargs and not static and args and len(args) == len(leaves) and not entry.limits:
            self._remember(args, arrays, entry)
        return entry.call(arrays)

    def _remember(self, args: tuple[Any, ...], arrays: list[Any], entry: Entry) -> None:
        """Opens the short path for arguments like these, if nothing but identities has to be compared."""
        plain = all(type(a) is np.ndarray and a is b for a, b in zip(args, arrays))
        guards = self._environment().simple()
        if guards is None or not plain and not all(type(a) in _NUMBERS or type(a) is np.ndarray and a is b for a, b in zip(args, arrays)):
            return
        outside = [get() for get in entry.hidden]
        known = [v for *_, v in guards]
        if not all(any(a is v for v in known) and argument(a)[0] is a for a in outside):
            return
        sized = getattr(entry.run, "at", None)  # of symbolic sizes: the one for these
        hot = _short(entry.run if sized is None else sized([a.shape for a in (*arrays, *outside)]), entry.tree, outside)
        if guards:
            hot = self._guarded(hot, guards)
        for paths in (self._hot, self._mixed):
            if len(paths) >= HOT:
                paths.clear()
        if plain:
            key = [_kind(a) for a in args]
            self._hot[key[0] if len(key) == 1 else tuple(key)] = hot
        else:
            dtypes = {k: b.dtype for k, (a, b) in enumerate(zip(args, arrays)) if type(a) in _NUMBERS}
            if np.dtype(np.uint64) in dtypes.values():
                return
            self._mixed[tuple([type(a) if type(a) in _NUMBERS else _kind(a) for a in args])] = self._converting(hot, dtypes)

    def _guarded(self, hot: Callable[..., Any], guards: list[tuple[Any, str | None, Any]]) -> Callable[..., Any]:
        cells = [(c, v) for c, key, v in guards if key is None]
        names = [(space, key, v) for space, key, v in guards if key is not None]
        arrays = [(v, _kind(v)) for *_, v in guards if isinstance(v, np.ndarray)]

        def run(*args: Any) -> Any:
            try:
                for c, v in cells:
                    if c.cell_contents is not v:
                        return self._general(args, {})
                for space, key, v in names:
                    if space[key] is not v:
                        return self._general(args, {})
            except (KeyError, ValueError):
                return self._general(args, {})
            for v, kind in arrays:
                if _kind(v) != kind:
                    return self._general(args, {})
            return hot(*args)

        return run

    def _converting(self, hot: Callable[..., Any], dtypes: dict[int, Any]) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            try:
                converted = [np.array(a, dtypes[k]) if k in dtypes else a for k, a in enumerate(args)]
            except OverflowError:
                return self._general(args, {})
            return hot(*converted)

        return run

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """A method.  An instance that is a container of arrays (dataclass, named tuple) is an argument like others; the attributes of
        any other instance count as values read from outside, so the method is jitted for each instance."""
        if instance is None:
            return self
        found = self._bound_to.get(id(instance))
        if found is not None and found[0]() is instance:
            return found[1]
        leaves, structure = flatten(instance)
        if structure is not LEAF and all(isinstance(v, (np.ndarray, np.generic, bool, int, float, Tracer)) for v in leaves):
            return Method(self, instance)
        try:
            ref: Callable[[], Any] = weakref.ref(instance, lambda _, k=id(instance): self._bound_to.pop(k, None))  # type: ignore[misc]
        except TypeError:  # a class without weak references: its instances stay alive with the function
            ref = lambda: instance  # noqa: E731
        first = next(iter(self._binding.parameters), None)
        names = tuple(n for n in self._binding.static if n != first)
        made = Jit(_method(self.fn, ref), **{**self.settings, "static_argnames": names, "static_argnums": (), "name": self.name})
        self._bound_to[id(instance)] = (ref, made)
        return made

    def __reduce__(self) -> str:
        return self.__qualname__  # type: ignore[attr-defined,no-any-return]  # pickled by name, as functions are

    # ---- arguments

    def _bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], Any, tuple[Any, ...]]:
        """Leaves of the dynamic arguments, their structure, and the static arguments as (name, value)."""
        return self._binding.take_apart(args, kwargs)

    def _environment(self) -> Environment:
        if self._env is None:
            self._env = Environment(self.fn)
        return self._env

    def _device(self) -> str:
        if self.device is not None:
            return self.device
        from .hardware import default_device

        return default_device().name

    # ---- compiling

    def _entry(self, structure: Any, static: tuple[Any, ...], specs: list[Spec], where: str | None = None) -> Entry:
        try:
            fixed = tuple([(n, static_key(v)) for n, v in static])
        except TypeError:
            raise DTypeError(f"{self.name}: a static argument cannot be hashed: {dict(static)}", place=user_loc(), hint="pass tuples instead of lists") from None
        key = (structure, fixed, tuple([s.key() for s in specs]), self._environment().signature(), where or self._device())
        found = self._entries.get(key)
        if found is None:
            shapes = [s.shape for s in specs]
            kind = (structure, fixed, tuple([(s.dtype, len(s.shape), s.weak) for s in specs]), *key[3:])
            family = self._families.get(kind)
            found = family.find(shapes) if family is not None else None
            if found is None:
                with self._lock:
                    found = self._entries.get(key) or (family.find(shapes) if family is not None else None)
                    if found is None:
                        found = self._version(structure, static, specs, key, kind)
        return found

    def _version(self, structure: Any, static: tuple[Any, ...], specs: list[Spec], key: Any, kind: Any) -> Entry:
        """A new version: of symbolic sizes where some have had their third value, else for these sizes alone."""
        if self._static_shapes:
            self._entries[key] = made = self._compile(structure, static, specs, key)
            return made
        names = self._binding.names(structure, len(specs))
        family = self._families.get(kind)
        if family is None:
            family = self._families[kind] = Family(names)
        family.note(specs)
        failed: Exception | None = None
        chosen = family.choose(specs, names)
        while chosen is not None:
            try:
                traced = self._traced(structure, static, chosen.specs, chosen.sizes)
                if family.pinned(chosen):
                    chosen = family.choose(specs, names, [p for name in chosen.sizes.pinned() for p in chosen.places[name]])
                    continue
                made = self._finished(traced, key[4], chosen.sizes)
            except Exception as e:  # what cannot cope with a symbol is compiled for the number; if that fails too, its error is the user's
                failed = e
                break
            family.pinned(chosen)
            self._count(family.reason(chosen), key)
            plan = getattr(made.program, "plan", None)
            guards = chosen.sizes.guards() if plan is None else plan["guards"]
            family.versions.append(Version(made, [s.shape for s in chosen.specs], guards))
            return made
        self._entries[key] = made = self._compile(structure, static, specs, key)
        if failed is not None and chosen is not None:
            for place in [p for ps in chosen.places.values() for p in ps]:
                family.static[place] = f"{type(failed).__name__}: {str(failed).splitlines()[0]}"
        return made

    def trace(self, structure: Any, static: tuple[Any, ...], specs: list[Spec]) -> tuple[Graph, Any, list[Any]]:
        """Runs the function on tracers: the graph, the structure of its results, and what it captured."""
        graph, tree, captured, *_ = self._traced(structure, static, specs)
        return graph, tree, captured

    def _traced(self, structure: Any, static: tuple[Any, ...], specs: list[Spec], sizes: Sizes | None = None) -> tuple[Graph, Any, list[Any], Any, Any]:
        noise = self._environment().generators()
        with Trace() as trace, sizes.active(tracing=True) if sizes is not None else nullcontext():
            names = self._binding.names(structure, len(specs))
            tracers = [trace.input(s.dtype, s.shape, names[i], s.weak) for i, s in enumerate(specs)]
            try:
                result = self._binding.invoke(structure, static, list(tracers))
            except PtxjitError:
                raise
            except Exception as e:
                ours = trace.last_error
                if ours is not None and ours is not e and str(_raised_at(e)) == ours.place:
                    raise ours from None  # NumPy swallowed it and raised another
                raise
            leaves, tree = flatten(result, keep_order=True)
            outputs = [lift(self._checked(v), trace).node for v in leaves]
            self._quiet(noise)
            outputs += [v.node for *_, printed in trace.prints for v in printed if isinstance(v, Tracer)]
            return Graph(self.name, trace.inputs, outputs), tree, [value for value, _ in trace.captured], list(trace.limits), trace.prints

    def _quiet(self, noise: Any) -> None:
        """No generator of random numbers that the function can see has moved."""
        for name, source, before in noise:
            if position(source) != before:
                raise TraceError(f"{self.name} drew random numbers from {name} while it was traced; compiled, they would be constants",
                                 place=self._place(), hint=HINT)  # fmt: skip

    def _place(self) -> Loc | None:
        code = getattr(inspect.unwrap(getattr(self.fn, "__func__", self.fn)), "__code__", None)
        return Loc(code.co_filename if not code.co_filename.startswith("<") else "<string>", code.co_firstlineno) if code is not None else None

    def _checked(self, v: Any) -> Any:
        """A leaf of the result, which must be an array or a number."""
        if isinstance(v, (Tracer, Dim, bool, int, float, np.ndarray, np.generic)):
            return v
        raise TraceError(f"{self.name} returned a {type(v).__name__}", place=self._place(), hint="return arrays, numbers, or containers of them")

    def _compile(self, structure: Any, static: tuple[Any, ...], specs: list[Spec], key: Any) -> Entry:
        traced = self._traced(structure, static, specs)
        self._count(self._reason(structure, static, specs, key), key)
        return self._finished(traced, key[4])

    def _count(self, reason: str, key: Any) -> None:
        self._compiled.append((reason, key))
        if len(self._compiled) == MANY and self.warns:
            where = user_loc()
            warnings.warn_explicit(f"{self.name} was compiled {MANY} times; the last because of: {self._compiled[-1][0]}. stats() lists all reasons",
                                   UserWarning, where.file, where.line)  # fmt: skip

    def _finished(self, traced: tuple[Graph, Any, list[Any], Any, Any], where: str, sizes: Sizes | None = None) -> Entry:
        """What a trace becomes on the device."""
        graph, tree, captured, limits, prints = traced
        env = self._environment()
        hidden: list[Callable[[], Any]] = [env.find(a) or (lambda a=a: a) for a in captured]  # type: ignore[misc]
        return Entry(executable(graph, where, self.options, sizes), tree, hidden, graph, limits, prints)

    def _reason(self, structure: Any, static: tuple[Any, ...], specs: list[Spec], key: Any) -> str:
        names = self._binding.names(structure, len(specs))
        arguments = ", ".join([f"{n}: {s!r}" for n, s in zip(names, specs)] + [f"{n} = {v!r}" for n, v in static])
        if not self._compiled:
            return f"first call: arguments {arguments}"
        before = self._compiled[-1][1]
        if key[:3] != before[:3]:
            return f"new arguments {arguments}"
        if key[4] != before[4]:
            return f"another device: {key[4]}"
        if len(key[3]) != len(before[3]):
            return "the function reads other values from outside"
        changed = [n for n, a, b in zip(self._environment().names(), key[3], before[3]) if a != b]
        return f"a value from outside has changed: {', '.join(changed)}"

    # ---- looking

    def lower(self, *args: Any, target: str | None = None, **kwargs: Any) -> Any:
        """Every level for these arguments (arrays, or specs such as "f32[1024,1000]"), for a target such as `ptx:sm_90`.  No device is needed.

        A name in a spec is a symbolic size: `f32[n,1000]`, or `f32[n=50,1000]` to say for which value schedules are chosen (else 1024)."""
        from .hardware import device
        from .lowered import Lowered
        from .specs import as_spec, sizes_of

        leaves, structure, static = self._bound(args, kwargs)
        specs = [as_spec(x) for x in leaves]
        sizes = sizes_of(specs)
        graph, _, captured, *_ = self._traced(structure, static, specs, sizes)
        return Lowered(graph, target or device(self._device()).target, self.options, captured, sizes)

    def stats(self) -> dict[str, Any]:
        """Calls, compiled versions, why each was compiled, and which sizes are symbolic or stay static, and why."""
        sizes: dict[str, str] = {}
        for family in self._families.values():
            sizes.update(family.report())
        return {"calls": self._calls, "compilations": len(self._compiled), "reasons": [why for why, _ in self._compiled], "sizes": sizes}

    def __repr__(self) -> str:
        n = len(self._entries) + sum(len(f.versions) for f in self._families.values())
        return f"<jit {self.name}: {n} version{'s' if n != 1 else ''} compiled>"


class Method:
    """A jitted function with its first argument given."""

    def __init__(self, function: Jit, instance: Any) -> None:
        functools.update_wrapper(self, function.fn)
        self._function, self._instance = function, instance

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(self._instance, *args, **kwargs)

    def lower(self, *args: Any, **kwargs: Any) -> Any:
        return self._function.lower(self._instance, *args, **kwargs)

    def stats(self) -> dict[str, Any]:
        return self._function.stats()

    def __repr__(self) -> str:
        return f"<bound {self._function!r}>"


def _method(fn: Callable[..., Any], ref: Callable[[], Any]) -> Callable[..., Any]:
    """fn with its first argument from a weak reference; `Environment` looks at `owner`."""

    @functools.wraps(fn)
    def method(*args: Any, **kwargs: Any) -> Any:
        return fn(ref(), *args, **kwargs)

    signature = inspect.signature(fn)
    method.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])  # type: ignore[attr-defined]
    method.owner = ref  # type: ignore[attr-defined]
    return method


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
        fn, options = fn.fn, {**fn.settings, **options}
    return Jit(fn, **options)


def forget() -> None:
    """Closes every short path: the default device has changed."""
    for j in list(_all):
        j._hot.clear()
        j._mixed.clear()


def _after_fork() -> None:
    """A lock that another thread held at the fork would never be released in the child."""
    for j in list(_all):
        j._lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def executable(graph: Graph, where: str, options: Options, sizes: Sizes | None = None) -> Callable[..., Any]:
    """Something that computes a graph on a device: takes C-contiguous arrays, gives a tuple of fresh ones.  `sizes` of its symbols: what the schedules
    assume is added to their guards."""
    from .hardware import device
    from .targets import target

    found = device(where)
    t = target(found.target)
    if hasattr(t, "run_graph"):
        run_graph: Callable[..., Any] = t.run_graph
        return lambda *inputs: tuple(run_graph(graph, list(inputs)))
    from . import cache
    from .ir.lower import lower

    def build() -> Any:
        with sizes.active(tracing=False) if sizes is not None else nullcontext():
            return built()

    def built() -> Any:
        low = lower(graph, t.facts, fast_math=options.fast_math, reproducible=options.reproducible)
        return t.build(low.program, low.kernels)

    folder = knobs.dump()
    if folder is not None:
        from .lowered import dump

        with sizes.active(tracing=False) if sizes is not None else nullcontext():
            dump(graph, t.name, options, folder)
    return cache.get_or_build(graph, t, options, build, sizes)  # type: ignore[no-any-return]


def _raised_at(e: BaseException) -> Loc | None:
    """The innermost line of the user's on the way of an exception."""
    found, tb = None, e.__traceback__
    while tb is not None:
        name = tb.tb_frame.f_code.co_filename
        if not is_ours(name):
            found = Loc(name if not name.startswith("<") else "<string>", tb.tb_lineno)
        tb = tb.tb_next
    return found


def _identifier(name: str) -> str:
    text = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name).strip("_")
    return text if text and not text[0].isdigit() else f"f_{text}" if text else "function"
