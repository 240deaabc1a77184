"""The commands.  Each is a function; typer makes the parser and the tab completion."""
from __future__ import annotations

import sys
import time
from typing import Annotated, Any

import typer

from ..ir.errors import BugError, PtxjitError
from . import ptx
from .load import UsageError, load_function
from .show import STAGES, TARGETS, Function, Specs, TargetOption, show, spec_of

__all__ = ["STAGES", "TARGETS", "app", "run"]

app = typer.Typer(name="ptxjit", no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False,
                  help="Compile, look at, test and time tensor kernels.")  # fmt: skip
cache_app = typer.Typer(no_args_is_help=True, help="The disk cache.")
app.add_typer(cache_app, name="cache")

@app.command()
def devices() -> None:
    """What there is to run on."""
    from ..hardware import devices as all_devices
    from ..hardware import families, missing

    for d in all_devices():
        f = d.facts
        print(f"{d.name:8} {d.hardware}")
        print(f"{'':8} {'available' if d.available else 'not available: ' + str(d.why_not)}; {f.lanes} lanes, {f.vector_bits} bits, "
              f"{f.cores} core{'s' if f.cores != 1 else ''}, {f.shared_bytes >> 10} KiB shared, {f.l2_bytes >> 10} KiB L2")  # fmt: skip
        if d.driver:
            print(f"{'':8} driver {d.driver}")
    for word in families():
        why = missing(word)
        if why is not None:
            print(f"{word:8} none: {why}")


@app.command()
def test(function: Function, reference: Annotated[str, typer.Option("--reference", metavar="FILE.py:REF", help="what it must agree with (default: the plain function)")] = "",
         target: TargetOption = [],  # noqa: B006
         examples: Annotated[int, typer.Option("--examples", help="how many inputs are tried")] = 200,
         seed: Annotated[int, typer.Option("--seed", help="replays a run")] = 0,
         ulp: Annotated[float, typer.Option("--ulp", help="admitted difference in units of the last place (default: what rounding explains)")] = -1.0,
         spec: Annotated[list[str], typer.Option("--spec", help="arguments, such as f32[n,8] (a name is a size that is searched); default: all is searched")] = []) -> None:  # noqa: B006,E501  # fmt: skip
    """Searches for inputs on which a function and its reference differ, and says which step broke it."""
    from ..testing import check
    from ..testing.search import DATABASE

    f = load_function(function)
    ref = load_function(reference).fn if reference else None
    report = check(f, ref, specs=spec or None, examples=examples, seed=seed, ulp=None if ulp < 0 else ulp, targets=target or None, database=DATABASE,
                   progress=sys.stderr.isatty(), raise_error=False)  # fmt: skip
    print(report)
    if not report.passed:
        options = [("--reference", reference), *(("--target", t) for t in target), *(("--spec", f"'{s}'") for s in spec),
                   ("--ulp", f"{ulp:g}" if ulp >= 0 else "")]  # fmt: skip
        words = "".join(f" {name} {value}" for name, value in options if value)
        print(f"replay: ptxjit test {function}{words} --examples {examples} --seed {seed}    (failures are kept in {DATABASE} and tried first)")
        raise typer.Exit(1)


@app.command()
def bench(function: Function, specs: Specs = []) -> None:  # noqa: B006
    """First call, warm call and the plain Python function, on random arguments."""
    import numpy as np

    f = load_function(function)
    rng = np.random.default_rng(0)
    args = [_sample(rng, spec_of(s)) for s in specs]
    start = time.perf_counter()
    f(*args)
    first = time.perf_counter() - start
    print(f"{'first call':16} {first * 1e3:10.3f} ms")
    ours, plain = _best(lambda: f(*args)), _best(lambda: f.fn(*args))
    print(f"{'warm call':16} {ours * 1e3:10.4f} ms")
    print(f"{'plain Python':16} {plain * 1e3:10.4f} ms    {plain / ours:.2f} × the warm call")


def _sample(rng: Any, spec: Any) -> Any:
    import numpy as np

    if spec.dtype.kind in "iu":
        return rng.integers(0, 100, spec.shape).astype(spec.dtype)
    return np.asarray(rng.standard_normal(spec.shape) > 0 if spec.dtype.kind == "b" else rng.standard_normal(spec.shape)).astype(spec.dtype)


def _best(fn: Any) -> float:
    times: list[float] = []
    end = time.perf_counter() + 1.0
    while len(times) < 5 or time.perf_counter() < end and len(times) < 1000:
        start = time.perf_counter()
        fn()
        times.append(time.perf_counter() - start)
    return min(times)


@cache_app.command("info")
def cache_info() -> None:
    """Folder, entries, bytes."""
    from .. import cache

    for k, v in cache.info().items():
        print(f"{k:8} {v}")


@cache_app.command("clear")
def cache_clear() -> None:
    """Removes every entry."""
    from .. import cache

    print(f"{cache.clear()} entries removed")


@cache_app.command("verify")
def cache_verify() -> None:
    """Checks every entry; damaged ones are dropped."""
    from .. import cache

    found = cache.verify()
    print("all entries are whole" if found is True else f"dropped: {', '.join(found)}")


@cache_app.command("path")
def cache_path() -> None:
    """Where it is."""
    from .. import cache

    print(cache.path())


@app.command()
def doctor(file: Annotated[str, typer.Argument(metavar="[FILE.ptx]", help="say how each kernel of it runs here")] = "",
           ptx_coverage: Annotated[bool, typer.Option("--ptx-coverage", help="which instructions of PTX are read, lifted and run")] = False) -> None:  # fmt: skip
    """What works here, and what is missing for the rest."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from .. import __version__
    from ..targets.cpu.load import LINUX_X86
    from ..targets.cpu.pool import POOL
    from ..targets.ptx.tools import PACKAGES, available, find

    if file:
        ptx.modes(file)
        return
    if ptx_coverage:
        from ..targets.ptx.coverage import coverage, table

        print(table(coverage()))
        return
    print(f"ptxjit {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    for name in ("numpy", "llvmlite", "numba", "ml_dtypes", "hypothesis", "pyopencl", "cuda-bindings"):
        try:
            print(f"  {name:14} {version(name)}")
        except PackageNotFoundError:
            print(f"  {name:14} missing: pip install {name}")
    for tool in ("ptxas", "nvdisasm"):
        print(f"  {tool:14} {find(tool) if available(tool) else 'missing: pip install ' + PACKAGES[tool]}")
    with POOL.lock:
        if not POOL._ready:
            POOL.start()
    print(f"  threads        {POOL.threads}, {POOL.layer}")
    print(f"  loader         {'own' if LINUX_X86 else 'LLVM'}")
    devices()


@app.command()
def tour() -> None:
    """How ptxjit is built, told by its own modules."""
    import importlib
    import inspect

    for name in ("ptxjit", "ptxjit.ir", "ptxjit.ir.op", "ptxjit.ir.types", "ptxjit.ir.graph", "ptxjit.ir.program", "ptxjit.ir.tile", "ptxjit.ir.kernel",
                 "ptxjit.ir.lower", "ptxjit.ir.lower.fuse", "ptxjit.ir.schedules", "ptxjit.targets", "ptxjit.targets.llvm.emit",
                 "ptxjit.targets.ptx.write", "ptxjit.targets.ptx.syntax", "ptxjit.targets.ptx.lift", "ptxjit.targets.llvm.warp",
                 "ptxjit.targets.llvm.dispatch"):  # fmt: skip
        doc = inspect.getdoc(importlib.import_module(name)) or ""
        print(f"── {name} " + "─" * max(3, 76 - len(name)))
        print(doc + "\n")


app.command("show")(show)
app.command("translate")(ptx.translate)
app.command("run")(ptx.run)
app.command("check")(ptx.check)


def run(argv: list[str]) -> int:
    """Runs one command; returns the exit status."""
    try:
        result = app(argv, standalone_mode=False)
        return result if isinstance(result, int) else 0
    except UsageError as e:
        print(f"ptxjit: {e}", file=sys.stderr)
        return 2
    except BugError as e:
        print(f"ptxjit: {e}", file=sys.stderr)
        return 3
    except PtxjitError as e:
        print(f"ptxjit: {type(e).__name__}: {e}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 0
    except Exception as e:
        code = getattr(e, "exit_code", None)  # the parser's own exceptions: usage errors, --help, Exit
        if code is not None:
            if hasattr(e, "show"):
                e.show()
            return int(code)
        if type(e).__name__ == "Abort":
            return 1
        import traceback

        traceback.print_exc()
        print("ptxjit: this is a fault of ptxjit, not of your program", file=sys.stderr)
        return 3
