"""The steps of `gpu_check.py`.  Each is a function of a `Record` and a `Context`; the tests' own lists are what runs."""
from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import re
import subprocess
import sys
import time
import types
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import ptxjit as pj
from ptxjit.errors import ToolError
from ptxjit.testing.agreement import run_on
from ptxjit.testing.compare import bits_difference

ROOT = Path(__file__).resolve().parents[1]
# CUDA as the driver counts it → the newest PTX that its compiler takes (PTX ISA, "Release Notes")
ISA = {12000: "8.0", 12010: "8.1", 12020: "8.2", 12030: "8.3", 12040: "8.4", 12050: "8.5", 12070: "8.6", 12080: "8.7", 12090: "8.8", 13000: "9.0", 13010: "9.1"}


# ---- what the steps share -------------------------------------------------------------------------------------------


class _Anything:
    """Stands for whatever a test framework offers: a decorator leaves its function as it is."""

    def __call__(self, *args: Any, **kw: Any) -> Any:
        return args[0] if len(args) == 1 and not kw and isinstance(args[0], types.FunctionType) else self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __mro_entries__(self, bases: Any) -> tuple[type, ...]:
        return (object,)

    def __or__(self, other: Any) -> Any:
        return self

    def __iter__(self) -> Iterator[Any]:
        return iter(())


class _Absent(types.ModuleType):
    __path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything()


def tests() -> None:
    """Makes the tests' modules importable: only their lists are used, so a test framework that is not installed may be anything."""
    for name in ("pytest", "hypothesis", "hypothesis.strategies", "hypothesis.extra", "hypothesis.extra.numpy", "hypothesis.database", "hypothesis.control", "hypothesis.stateful"):
        if name.partition(".")[0] not in sys.modules and importlib.util.find_spec(name.partition(".")[0]) is None or isinstance(sys.modules.get(name.partition(".")[0]), _Absent):
            sys.modules[name] = _Absent(name)


def have(name: str) -> bool:
    return not isinstance(sys.modules.get(name), _Absent) and importlib.util.find_spec(name) is not None


class Context:
    """The card.  `quick` takes a small part of every list."""

    def __init__(self, device: str, quick: bool) -> None:
        self.device, self.quick = device, quick
        tests()

    def some(self, items: Sequence[Any], of: int) -> list[Any]:
        """All items, or about `of` of them."""
        items = list(items)
        return items[:: max(1, len(items) // of)] if self.quick else items

    @property
    def found(self) -> Any:
        from ptxjit.targets.ptx.runtime import found

        return found(self.device.partition(":")[2])

    @property
    def driver(self) -> Any:
        from ptxjit.targets.ptx.runtime import driver_of

        return driver_of(self.device.partition(":")[2])

    @property
    def header(self) -> str:
        """`.version` and `.target` for this card."""
        major, minor = (int(x) for x in self.found.driver.removeprefix("CUDA ").split("."))
        version = ISA[max(v for v in ISA if v <= max(1000 * major + 10 * minor, min(ISA)))]
        return f".version {version}\n.target {self.found.arch}\n"

    def adapted(self, ptx: str) -> str:
        """PTX of the tests for this card: the newest version that its driver takes, and its architecture."""
        return re.sub(r"\.version\s+\S+\s+\.target\s+[\w, ]+\n", self.header, ptx, count=1)


def agree(want: Sequence[Any], got: Sequence[Any]) -> str | None:
    return bits_difference(want, got)


# ---- environment, detection -----------------------------------------------------------------------------------------


def environment(r: Any, c: Context) -> None:
    def version(name: str) -> dict[str, Any]:
        from importlib.metadata import PackageNotFoundError
        from importlib.metadata import version as of

        try:
            return {"value": of(name)}
        except PackageNotFoundError:
            return {"value": "not installed"}

    r.run("python", lambda: {"value": f"{platform.python_version()} on {platform.platform()}"})
    for name in ("numpy", "llvmlite", "numba", "ml_dtypes", "cuda-bindings", "torch", "triton"):
        r.run(name, lambda name=name: version(name))
    r.run("processor", lambda: {"value": f"{pj.device('cpu').hardware}, {len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} threads"})
    r.run("ptxas", lambda: {"value": ptxas()})
    r.run("commit", lambda: {"value": commit()})


def ptxas() -> str:
    from ptxjit.targets.ptx.tools import available, find

    return find("ptxas") if available("ptxas") else "not installed: the driver compiles"


def commit() -> str:
    try:
        done = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip() or "unknown"


def detection(r: Any, c: Context) -> None:
    from ptxjit.targets.ptx import runtime

    def look() -> dict[str, Any]:
        start = time.perf_counter()
        found = runtime.detect()
        return {"value": f"{len(found)} found in {(time.perf_counter() - start) * 1e3:.0f} ms (the bindings' import included)"}

    r.run("looking", look)
    r.run("hardware", lambda: {"value": c.found.hardware})
    r.run("driver", lambda: {"value": c.found.driver})
    r.run("architecture", lambda: {"value": str(c.found.facts)})
    for key, value in c.found.details.items():
        r.run(key, lambda v=value: {"value": v})
    r.run("bandwidth by its clock", lambda: {"value": f"{c.found.bandwidth / 1e9:.0f} GB/s"})


# ---- functions ------------------------------------------------------------------------------------------------------


def functions(r: Any, c: Context) -> None:
    levels = importlib.import_module("tests.properties.cases").CASES
    every = importlib.import_module("tests.targets.test_every_device")

    def level(name: str, dtype: str) -> str | None:
        fn, shapes = levels[name]
        if dtype == "f2" and name in ("matmul", "long softmax", "all"):
            shapes = [tuple(min(n, 70) for n in s) for s in shapes]
        rng = np.random.default_rng(1)
        args = [rng.standard_normal(s).astype(dtype) for s in shapes]
        return agree(run_on(fn, "interp", args), run_on(fn, c.device, args))

    def case(name: str) -> str | None:
        fn, _, args, _ = every.CASES[name]
        return agree(run_on(fn, "interp", args), run_on(fn, c.device, args))

    def kernel(make: Callable[..., Any]) -> str | None:
        from ptxjit.targets import target

        found = target(pj.device(c.device).target)
        p, kernels, t = every.program(make, found.facts, 5)
        x = np.arange(5 * t, dtype="f4") if make is every.turned else np.random.default_rng(4).integers(-100, 100, 5 * t).astype("i4")
        [got] = found.build(p, kernels)(x)
        return agree([every.expected(make, x, t).astype(got.dtype)], [got])

    for name in c.some(every.CASES, 2):
        r.run(f"every device: {name}", lambda name=name: case(name))
    for make in (every.turned, every.counted):
        r.run(f"every device: kernel {make.__name__}", lambda make=make: kernel(make))
    for name, dtype in c.some([(n, t) for n in levels for t in ("f4", "f8", "f2")], 3):
        r.run(f"levels: {name}, {dtype}", lambda name=name, dtype=dtype: level(name, dtype))
    for t in c.some(["i1", "u1", "f2", "bf16", "f4", "f8"], 2):
        r.run(f"matrix units: {t}", lambda t=t: matrix_units(c, t))
    r.run("again with the same buffers (a graph)", lambda: repeated(c))
    if have("hypothesis"):
        r.run("random programs", lambda: random_programs(c))
    if have("torch"):
        r.run("PyTorch's tensors", lambda: tensors(c))


def matrix_units(c: Context, t: str) -> str | None:
    """A product as a unit makes it: of bytes NumPy's numbers, of floats within the bound that the documents state."""
    import ml_dtypes

    m, n, k = (33, 19, 70) if c.quick else (515, 386, 1037)
    rng, whole = np.random.default_rng(3), t in ("i1", "u1")
    x, y = (rng.integers(0, 256, s, "u1").view(t) if whole else rng.standard_normal(s).astype(ml_dtypes.bfloat16 if t == "bf16" else t) for s in ((m, k), (k, n)))
    [got] = run_on(pj.jit(lambda a, b: a.astype("i4") @ b.astype("i4") if whole else a @ b, fast_math=not whole), c.device, (x, y))
    if whole:
        return agree([x.astype("i4") @ y.astype("i4")], [got])
    a, b = x.astype("f8"), y.astype("f8")
    bound = {"f2": k * 2.0**-23 + 2.0**-11, "bf16": k * 2.0**-23 + 2.0**-8, "f4": k * 2.0**-23 + 2.0**-10, "f8": k * 2.0**-52}[t]
    worst = float((np.abs(got.astype("f8") - a @ b) / (np.abs(a) @ np.abs(b))).max())
    return None if worst <= bound else f"an error of {worst:.2e} of the sum of magnitudes, admitted are {bound:.2e}"


def repeated(c: Context) -> str | None:
    fn = lambda x: (x.sum(), x * x.max(), np.cumsum(x[:5000]))
    f, x = pj.jit(fn, device=c.device), np.random.default_rng(0).standard_normal(300_000).astype("f4")
    want = run_on(fn, "cpu", (x,))
    for k in range(6):
        why = agree(want, [np.asarray(v) for v in f(x)])
        if why is not None:
            return f"call {k}: {why}"
    return None


def random_programs(c: Context) -> str | None:
    from ptxjit.testing.fuzz import fuzz

    _, failures = fuzz(2 if c.quick else 60, seed=11, device=c.device)
    return "; ".join(str(f) for f in failures)[:500] if failures else None


def tensors(c: Context) -> str | None:
    import torch

    if not torch.cuda.is_available():
        return None
    x = torch.arange(1000, dtype=torch.float32, device=c.device)
    y = pj.jit(lambda x: x * 2 + x.max(), device=c.device)(x)
    if not isinstance(y, torch.Tensor) or y.device.type != "cuda":
        return f"a {type(y).__name__} came back"
    return agree([np.arange(1000, dtype="f4") * 2 + 999], [y.cpu().numpy()])


# ---- instructions ---------------------------------------------------------------------------------------------------


def guilty(message: str, text: str, count: int) -> set[int]:
    """Numbers of the forms in whose lines a compiler found errors."""
    starts = [k for k, line in enumerate(text.splitlines(), 1) if line == "\t{"][:count]
    found = {bisect_right(starts, int(n)) - 1 for n in re.findall(r"line (\d+)[;:,]? *error", message)}
    return {k for k in found if 0 <= k < count}


def instructions(r: Any, c: Context) -> None:
    """Forms of the instruction tests, forty to a module; what the driver refuses (for another architecture, a newer PTX) is named and left out."""
    h = importlib.import_module("tests.unit.ptx.harness")
    groups = []
    for name in ("integer", "float", "convert", "memory"):
        for group, forms in importlib.import_module(f"tests.unit.ptx.test_instructions_{name}").GROUPS.items():
            groups.append((f"{name}: {group}", forms))
    warp = importlib.import_module("tests.unit.ptx.test_instructions_warp")
    head = c.adapted(h.HEAD)

    def judged(forms: Sequence[Any], lanes: bool) -> tuple[list[str], list[str]]:
        """(what differs, what is refused).  The lines that the compiler names are those of the forms that it refuses."""
        refused: list[str] = []
        while forms:
            try:
                if lanes:
                    return h.check_lanes(forms, 32, "auto", head=head, device=c.device), refused
                operands, out = h.results(forms, "auto", head, device=c.device)
                return [w for f, row in zip(forms, out) for w in h._judge(f, operands, row)], refused
            except ToolError as e:
                named = guilty(e.message, head + h.kernel_text(forms, "k", {}), len(forms))
                if not named and len(forms) > 1:
                    half = len(forms) // 2
                    a, b = judged(forms[:half], lanes), judged(forms[half:], lanes)
                    return a[0] + b[0], refused + a[1] + b[1]
                words = re.findall(r"error\s*:\s*([^\n]*)", e.message) or [e.message]
                refused += [f"{forms[k].text}: {words[0]}" for k in named or [0]]
                forms = [f for k, f in enumerate(forms) if k not in (named or [0])]
        return [], refused

    def part(forms: Sequence[Any], lanes: bool) -> Any:
        wrong, refused = judged(forms, lanes)
        if wrong:
            return f"{len(wrong)} of {len(forms)} forms: " + " || ".join(wrong[:4])
        return {"count": len(forms) - len(refused), "refused": refused}

    for name, forms in groups:
        parts = [forms[at : at + 40] for at in range(0, len(forms), 40)]
        for k, some in c.some(list(enumerate(parts)), 1):
            r.run(f"{name}, {k + 1} of {len(parts)}", lambda some=some: part(some[:3] if c.quick else some, False))
    forms = warp.forms(32)
    parts = [forms[at : at + 60] for at in range(0, len(forms), 60)]
    for k, some in c.some(list(enumerate(parts)), 1):
        r.run(f"warp, {k + 1} of {len(parts)}", lambda some=some: part(some[:3] if c.quick else some, True))


PROGRAMS = {
    "warp": "test_old_forms_without_masks test_barriers test_control_flow test_matrices_through_shared_memory test_mma test_wmma".split(),
    "memory": "test_cp_async test_bulk_copies_complete_on_an_mbarrier test_mbarrier_counts test_stores_and_reductions_of_the_cluster test_stack "
              "test_addresses_of_other_blocks".split(),
}  # fmt: skip


def programs(r: Any, c: Context) -> None:
    """The tests of whole PTX programs, with `load_ptx` going to the card."""
    real = pj.load_ptx
    for name, names in PROGRAMS.items():
        module = importlib.import_module(f"tests.unit.ptx.test_instructions_{name}")
        module.pj = types.SimpleNamespace(load_ptx=lambda text, **kw: real(c.adapted(text) if ".target sm_1" in text else text, device=c.device))  # type: ignore[attr-defined]
        for test in c.some(names, 2):
            r.run(f"{name}: {test.removeprefix('test_')}", lambda test=test, module=module: getattr(module, test)("auto"))
        module.pj = pj  # type: ignore[attr-defined]


# ---- corpus ---------------------------------------------------------------------------------------------------------


def corpus(r: Any, c: Context) -> None:
    importlib.import_module("tests.corpus.cases")
    book = importlib.import_module("tests.corpus.corpus")
    version = 10 * c.found.details["major"] + c.found.details["minor"]
    modules: dict[Path, Any] = {}

    def fits(path: Path) -> bool:
        m = re.search(r"^\s*\.target\s+sm_(\d+)([af]?)", book.text(path), re.M)
        return m is None or (int(m[1]) == version if m[2] else int(m[1]) <= version)

    def run(name: str, path: Path) -> str | None:
        e = book.CASES[name]
        case = e.make(3)
        args = [a.copy() if isinstance(a, np.ndarray) else a for a in case.args]
        module = modules.get(path) or pj.load_ptx(path, device=c.device)
        if not any(v.space == "global" for v in module.tree.variables.values()):
            modules[path] = module  # it has no state, so its kernels share what was compiled
        module[name].launch(*args, grid=e.grid, block=e.block, shared=e.shared, cooperative=case.cooperative, cluster=case.cluster)
        try:
            book.check(case, args)
        except AssertionError as e:
            return str(e)
        return None

    todo = [(n, p) for n in sorted(book.CASES) for p in book.files(book.CASES[n]) if fits(p)]
    first = {n: next((p for m, p in todo if m == n and ".O3." in p.name), None) for n, _ in todo}
    todo.sort(key=lambda t: first[t[0]] != t[1])  # one file of each kernel before the others
    for name, path in c.some(todo, 3):
        r.run(f"{name}, {path.name}", lambda name=name, path=path: run(name, path))


# ---- the CPU's bits -------------------------------------------------------------------------------------------------

UNARY = ("exp exp2 expm1 log log2 log10 log1p sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh sqrt cbrt floor ceil trunc rint reciprocal square "
         "abs sign").split()  # fmt: skip
BINARY = "add subtract multiply divide floor_divide remainder fmod power arctan2 hypot copysign maximum minimum fmax fmin nextafter logaddexp".split()


def any_bits(dtype: Any, n: int, seed: int) -> Any:
    """Numbers of every kind: half of them arbitrary bits, half near one."""
    rng, t = np.random.default_rng(seed), np.dtype(dtype)
    x = rng.integers(0, 256, n * t.itemsize, dtype=np.uint8).view(t).copy()
    x[::2] = (rng.standard_normal(len(x[::2])) * 4).astype(t)
    return x


def bits(r: Any, c: Context) -> None:
    import ml_dtypes

    n = 3000 if c.quick else 1 << 19
    dtypes = {"f4": np.float32, "f8": np.float64, "f2": np.float16, "bf16": ml_dtypes.bfloat16}

    def compare(fn: Callable[..., Any], *args: Any) -> str | None:
        with np.errstate(all="ignore"):
            f = pj.jit(fn, reproducible=True)
            return agree(run_on(f, "cpu", args), run_on(f, c.device, args))

    def named(name: str, dtype: Any, two: bool) -> str | None:
        args = [any_bits(dtype, n, k) for k in range(1 + two)]
        return compare(getattr(np, name), *args)

    for name, (t, dtype) in c.some([(n, d) for d in dtypes.items() for n in UNARY], 2):
        r.run(f"{name}, {t}", lambda name=name, dtype=dtype: named(name, dtype, False))
    for name, (t, dtype) in c.some([(n, d) for d in dtypes.items() for n in BINARY], 2):
        r.run(f"{name}, {t}", lambda name=name, dtype=dtype: named(name, dtype, True))
    for t, dtype in c.some(list(dtypes.items()), 1):
        others = ["f4", "f8", "f2", ml_dtypes.bfloat16, "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]
        r.run(f"conversions of {t}", lambda dtype=dtype: compare(lambda x: tuple(x.astype(o) for o in others), any_bits(dtype, n, 5)))
    from gpu_cases import CASES

    for name, (fn, shape, _) in c.some(list(CASES.items()), 1):
        small = tuple(min(s, 700 if c.quick else 1 << 20) for s in shape) if len(shape) == 1 else tuple(min(s, 40 if c.quick else 1000) for s in shape)
        r.run(f"{name} of {small}", lambda fn=fn, small=small: compare(fn, np.random.default_rng(0).standard_normal(small).astype("f4")))
    k = 60 if c.quick else 1000
    r.run("product", lambda: compare(lambda a, b: a @ b, *(np.random.default_rng(s).standard_normal((k, k)).astype("f4") for s in (1, 2))))


# ---- open questions -------------------------------------------------------------------------------------------------


def questions(r: Any, c: Context) -> None:
    from gpu_questions import QUESTIONS

    for q in c.some(QUESTIONS, 6):
        r.run(q.text, lambda q=q: q.ask(c))


# ---- timings --------------------------------------------------------------------------------------------------------


def by_the_clock(c: Context, fn: Callable[[], Any], least: float) -> float:
    """Seconds of one call by events of the card, the best of a few rounds."""
    d = c.driver
    fn()
    fn()
    fn()
    d.synchronize()
    n, best = 1, float("inf")
    for _ in range(1 if c.quick else 12):
        first = d.current.record()
        for _ in range(n):
            fn()
        took = d.current.record().seconds_since(first)
        best = min(best, took / n)
        if took < least and not c.quick:
            n = min(max(n + 1, int(n * least / max(took, 1e-7))), 500)
    return best


def torch_clock(torch: Any, fn: Callable[[], Any], least: float) -> float:
    for _ in range(3):
        fn()
    torch.cuda.synchronize()
    n, best = 1, float("inf")
    for _ in range(12):
        a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        a.record()
        for _ in range(n):
            fn()
        b.record()
        torch.cuda.synchronize()
        took = a.elapsed_time(b) / 1e3
        best = min(best, took / n)
        if took < least:
            n = min(max(n + 1, int(n * least / max(took, 1e-7))), 500)
    return best


def timings(r: Any, c: Context) -> None:
    from gpu_cases import CASES, TORCH, triton_cases

    size = 1 << 16 if c.quick else 1 << 28
    d = c.driver

    def copying() -> dict[str, Any]:
        a, b = d.memory(size), d.memory(size)

        def copy() -> None:
            with d.guarded():
                d.copy(b.raw, a.raw, size)

        seconds = by_the_clock(c, copy, 0.01)
        return {"ms": seconds * 1e3, "gbs": 2 * size / seconds / 1e9, "share": 1.0, "peers": {}}

    r.run("a copy on the card (the roofline)", copying)
    rate = r.done.get("a copy on the card (the roofline)", {}).get("gbs")
    torch: Any = None
    if have("torch"):
        import torch as found_torch

        torch = found_torch if found_torch.cuda.is_available() else None
    triton = triton_cases() if torch is not None and have("triton") else {}

    def given(name: str) -> tuple[Any, Any]:
        fn, shape, _ = CASES[name]
        return fn, np.random.default_rng(0).standard_normal(tuple(min(n, 256) for n in shape) if c.quick else shape).astype("f4")

    def case(name: str) -> dict[str, Any]:
        fn, x = given(name)
        there, f = pj.asarray(x, device=c.device), pj.jit(fn, device=c.device)
        seconds = by_the_clock(c, lambda: f(there), 0.01)
        peers = {}
        if torch is not None:
            t = torch.from_numpy(x).to(c.device)
            peers["PyTorch"] = torch_clock(torch, lambda: TORCH[name](torch, t), 0.01) * 1e3
            if name in triton:
                peers["Triton"] = torch_clock(torch, lambda: triton[name](t), 0.01) * 1e3
        bytes_ = CASES[name][2](x.shape)
        return {"ms": seconds * 1e3, "gbs": bytes_ / seconds / 1e9, "share": bytes_ / seconds / 1e9 / rate if rate else None, "peers": peers}

    def compiled(name: str) -> dict[str, Any]:
        x = torch.from_numpy(given(name)[1]).to(c.device)
        try:
            g = torch.compile(lambda x: TORCH[name](torch, x))
            return {"of": name, "peer": "PyTorch compiled", "ms": torch_clock(torch, lambda: g(x), 0.01) * 1e3}
        except Exception as e:  # noqa: BLE001  a compiler that does not run here is no fault of ours
            return {"value": f"torch.compile does not run: {type(e).__name__}"}

    names = c.some(list(CASES), 2)
    for name in names:
        r.run(name, lambda name=name: case(name))
    if torch is not None and have("triton"):
        for name in names:
            r.run(f"PyTorch compiled: {name}", lambda name=name: compiled(name), optional=True)


def overhead(r: Any, c: Context) -> None:
    d, n = c.driver, 2 if c.quick else 2000

    def per(fn: Callable[[], Any]) -> dict[str, Any]:
        for _ in range(3):
            fn()
        d.synchronize()
        best = float("inf")
        for _ in range(3):
            start = time.perf_counter()
            for _ in range(n):
                fn()
            d.synchronize()
            best = min(best, (time.perf_counter() - start) / n)
        return {"us": best * 1e6}

    x = np.zeros(1000, "f4")
    one, several = pj.jit(lambda x: x + 1, device=c.device), pj.jit(lambda x: (x.sum(), x * x.max(), np.cumsum(x)), device=c.device)
    r.run("a call on 1000 elements, NumPy in and out", lambda: per(lambda: one(x)))
    there, large = pj.asarray(x, device=c.device), pj.asarray(np.zeros(70000, "f4"), device=c.device)
    r.run("a call on 1000 elements that are on the card", lambda: per(lambda: one(there)))
    r.run("a program of several kernels, as one graph", lambda: per(lambda: several(large)))

    def apart() -> dict[str, Any]:
        from ptxjit.targets.ptx import graphs

        seen, graphs.SEEN = graphs.SEEN, 0  # no set of buffers is remembered, so nothing is recorded
        try:
            f = pj.jit(lambda x: (x.sum(), x * x.max(), np.cumsum(x)), device=c.device)
            return per(lambda: f(large))
        finally:
            graphs.SEEN = seen

    r.run("the same program, kernel by kernel", apart)

    def raw() -> dict[str, Any]:
        import ctypes

        from ptxjit.targets.ptx.modules import Module

        with d.guarded():
            ptx = c.header + ".address_size 64\n.visible .entry nothing() { ret; }\n"
            function = Module(d, ptx.encode(), "the driver").function("nothing")
            pointers = (ctypes.c_void_p * 1)()
            at, queue = ctypes.addressof(pointers), d.queue.raw
            return per(lambda: d.ok(d.d.cuLaunchKernel(function.raw, 1, 1, 1, 32, 1, 1, 0, queue, at, 0), "a launch"))

    r.run("cuLaunchKernel of an empty kernel", raw)

    def compile_() -> dict[str, Any]:
        start = time.perf_counter()
        pj.jit(lambda x: np.exp(x - x.max(axis=-1, keepdims=True)), device=c.device)(np.zeros((64, 1000), "f4"))
        return {"us": (time.perf_counter() - start) * 1e6}

    r.run("the first call of a softmax-like function, compiled by " + ("ptxas" if "not installed" not in ptxas() else "the driver"), compile_)


RUN: dict[str, Callable[[Any, Context], None]] = {
    "environment": environment, "detection": detection, "functions": functions, "instructions": instructions, "programs": programs, "corpus": corpus, "bits": bits,
    "questions": questions, "timings": timings, "overhead": overhead,
}  # fmt: skip
