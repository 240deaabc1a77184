"""The commands.  Each is a function; typer makes the parser and the tab completion."""
from __future__ import annotations

import sys
from typing import Annotated

import typer

from ..ir.errors import BugError, PtxjitError
from . import ptx
from .bench import bench
from .devices import devices
from .load import UsageError, load_function
from .show import STAGES, TARGETS, Function, TargetOption, show
from .tour import tour

__all__ = ["STAGES", "TARGETS", "app", "run"]

app = typer.Typer(name="ptxjit", no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False,
                  help="Compile, look at, test and time tensor kernels.")  # fmt: skip
cache_app = typer.Typer(no_args_is_help=True, help="The disk cache.")
app.add_typer(cache_app, name="cache")


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


app.command("devices")(devices)
app.command("bench")(bench)
app.command("tour")(tour)
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
