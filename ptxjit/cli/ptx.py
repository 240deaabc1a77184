"""The commands that read PTX: `translate`, `run`, `check`."""
from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from .load import UsageError

TARGETS = ["ptx", "ptx:sm_75", "ptx:sm_80", "ptx:sm_86", "ptx:sm_89", "ptx:sm_90", "ptx:sm_90a", "ptx:sm_100", "ptx:sm_120", "cpu:host",
           "cpu:x86-64-v3", "cpu:x86-64-v4", "cpu:aarch64"]  # fmt: skip


def _entries(incomplete: str) -> list[str]:
    """Tab completion of `--entry`: the entries of the PTX file on the command line."""
    import re

    words = [w for w in sys.argv if w.endswith(".ptx") and Path(w).is_file()]
    found = re.findall(r"\.entry\s+([\w$]+)", Path(words[-1]).read_text(errors="replace")) if words else []
    return [n for n in found if n.startswith(incomplete)]


File = Annotated[str, typer.Argument(metavar="FILE.ptx", help="PTX of any origin; - is standard input")]
Entry = Annotated[str, typer.Option("--entry", "-e", help="which kernel (default: the only one)", autocompletion=_entries)]
Grid = Annotated[str, typer.Option("--grid", help="blocks, such as 4 or 4,2")]
Block = Annotated[str, typer.Option("--block", help="threads per block")]
Shared = Annotated[int, typer.Option("--shared", help="bytes of dynamic shared memory")]
Args = Annotated[list[str], typer.Option("--arg", "-a", help="f32[1024]=zeros|ones|arange|random, f32[1024]=@file.npy, i32=1000; in order")]
Cluster = Annotated[str, typer.Option("--cluster", help="blocks per cluster")]
Cooperative = Annotated[bool, typer.Option("--cooperative", help="all blocks are resident together")]
Seed = Annotated[int, typer.Option("--seed", help="of random arguments")]


def _source(file: str) -> str | Path:
    """The PTX that a command line names; UsageError where there is none."""
    if file == "-":
        return sys.stdin.read() + "\n"
    if not Path(file).is_file():
        raise UsageError(f"there is no file {file}")
    return Path(file)


def _entry(file: str, entry: str, device: str) -> tuple[Any, str]:
    """(module, name of the entry)."""
    from ..ptx import load_ptx

    mod = load_ptx(_source(file), device=device)
    names = list(mod.kernels)
    if entry and entry not in names or not entry and len(names) != 1:
        raise UsageError(f"--entry: {file} has {', '.join(names) or 'no entries'}")
    return mod, entry or names[0]


def translate(file: File,
              to: Annotated[str, typer.Option("--to", help="ptx, ptx:sm_80, cpu:host, cpu:x86-64-v3 …", autocompletion=lambda incomplete: [
                  t for t in TARGETS if t.startswith(incomplete)])] = "cpu:host",
              entry: Annotated[str, typer.Option("--entry", "-e", help="one kernel (default: all)", autocompletion=_entries)] = "",
              stage: Annotated[str, typer.Option("--stage", "-s", help="kernel, ll, asm, ptx or final")] = "final",
              output: Annotated[str, typer.Option("-o", help="write there instead; a name that ends in .o gets object code")] = "") -> None:  # fmt: skip
    """PTX for another target: code for any CPU, or PTX for another architecture."""
    from ..translation import translate as translated

    t = translated(_source(file), target=to)
    if entry and entry not in t.tree.entries:
        raise UsageError(f"--entry: {file} has {', '.join(t.tree.entries) or 'no entries'}")
    t.entry = entry or None
    if output.endswith(".o"):
        Path(output).write_bytes(t.binary)
    elif output:
        Path(output).write_text(t.as_text(stage))
    else:
        sys.stdout.write(t.as_text(stage))
        sys.stdout.flush()


def modes(file: str) -> None:
    """How each kernel of a PTX file runs here: `ptxjit doctor FILE.ptx`."""
    from ..ir.errors import PtxjitError
    from ..ptx import load_ptx

    mod = load_ptx(_source(file))
    counts, work = [0, 0], [0, 0]
    for name in mod.kernels:
        try:
            stats = mod[name].stats()
            mode, size, share = stats["mode"], stats["instructions"], stats["share"]
            counts[mode == "widened"] += 1
            work[mode == "widened"] += size
            if mode == "widened":
                mode += f": of {size} instructions " + ", ".join(f"{share[k]:.0%} {k}" for k in share if share[k])
                mode += f" (for blocks in {stats['blocks']})" if stats["blocks"] != "any" else ""
                mode += f", {stats['lanes']} lanes at a time" if stats["lanes"] < 32 else ""
                mode += f", loops of {' and '.join(map(str, sorted(set(stats['loops']))))} lanes at a time" if stats["loops"] else ""
            else:
                mode += f" ({size} instructions)"
            if stats["level"] < 2:
                mode += f"; huge: LLVM's level is {stats['level']}"
        except PtxjitError as e:
            mode = f"not compiled: {e.message} ({e.place})"
        print(f"{name:32} {mode}")
    part = f", with {work[1] / sum(work):.0%} of the instructions" if sum(work) else ""
    print(f"{counts[1]} of {len(mod.kernels)} kernels are widened{part}; {counts[0]} go lane by lane")


def run(file: File, entry: Entry = "", grid: Grid = "1", block: Block = "1", shared: Shared = 0, arg: Args = [],  # noqa: B006
        cluster: Cluster = "", cooperative: Cooperative = False, seed: Seed = 0,
        device: Annotated[str, typer.Option("--device", help="cpu or interp")] = "cpu",
        out: Annotated[list[str], typer.Option("--out", help="N=file.npy: where argument N goes afterwards")] = []) -> None:  # noqa: B006  # fmt: skip
    """Runs a PTX kernel; prints what it changed."""
    import numpy as np

    from .launch_args import parse_args, parse_outs, parse_three

    mod, name = _entry(file, entry, device)
    args = parse_args(arg, seed)
    outs = parse_outs(out, args)
    before = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
    mod[name].launch(*args, grid=parse_three(grid, "grid"), block=parse_three(block, "block"), shared=shared, cooperative=cooperative,
                     cluster=parse_three(cluster, "cluster") if cluster else None)  # fmt: skip
    for n, path in outs:
        np.save(path, args[n])
    for n, (a, b) in enumerate(zip(args, before)):
        if isinstance(a, np.ndarray) and a.tobytes() != b.tobytes() and n not in [k for k, _ in outs]:
            print(f"{n}: {np.array2string(a, threshold=32)}")


def check(file: Annotated[str, typer.Argument(metavar="FILE.ptx|FILE.py:FUNC", help="PTX, or a function whose kernels are checked")],
          spec: Annotated[list[str], typer.Argument(metavar="SPEC…", help="arguments of a function, such as f32[1024]")] = [],  # noqa: B006
          entry: Entry = "", grid: Grid = "1", block: Block = "1", shared: Shared = 0, arg: Args = [],  # noqa: B006
          cluster: Cluster = "", cooperative: Cooperative = False, seed: Seed = 0,
          fast: Annotated[bool, typer.Option("--fast", help="compiled code: accesses out of bounds only, at full size")] = False,
          json: Annotated[bool, typer.Option("--json", help="as JSON")] = False) -> None:  # fmt: skip
    """Runs a kernel on the interpreter and reports races, accesses out of bounds, deadlocks …"""
    from ..sanitize import check as check_kernel
    from .launch_args import parse_args, parse_three

    if ".py:" in file:
        _check_function(file, spec, seed, json, fast)
        return
    mod, name = _entry(file, entry, "interp")
    shape = {"grid": parse_three(grid, "grid"), "block": parse_three(block, "block"), "cluster": parse_three(cluster, "cluster") if cluster else None}
    args = parse_args(arg, seed)
    with contextlib.redirect_stdout(sys.stderr) if json else contextlib.nullcontext(), _bar("checking", "blocks") as bar:
        report = check_kernel(mod, name, **shape, shared=shared, args=args, cooperative=cooperative, fast=fast, progress=bar)
    print(report.to_json() if json else report)
    if not report:
        raise typer.Exit(1)


@contextlib.contextmanager
def _bar(what: str, unit: str) -> Iterator[Callable[[int, int], None] | None]:
    """A bar on the terminal for what takes longer than a moment; None where nobody looks."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    text = TextColumn("{task.completed} of {task.total} " + unit)
    with Progress(TextColumn(what), BarColumn(), text, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as p:
        task = p.add_task(what, total=None)
        yield lambda done, total: p.update(task, completed=done, total=total)


def _check_function(file: str, spec: list[str], seed: int, json: bool, fast: bool) -> None:
    """Each kernel of a function, as the PTX that it becomes, on arguments of those specs."""
    import numpy as np

    from ..ir.interp.program import run_program
    from ..ptx import load_ptx
    from ..sanitize import check as check_kernel
    from ..specs import parse_spec
    from .load import load_function

    specs = [parse_spec(t) for t in spec]
    low = load_function(file).lower(*specs, target="ptx:sm_80")
    mod = load_ptx(low.as_text("ptx") + "\n", device="interp")
    rng = np.random.default_rng(seed)
    reports: list[Any] = []

    def launch(kernel: str, grid: Any, args: list[Any]) -> None:
        k = low.kernels[kernel]
        reports.append(check_kernel(mod, kernel, grid=tuple(grid), block=(k.lanes or 32) * (k.warps or 1), args=args, fast=fast))

    program = low._low.program
    inputs = [(rng.random(b.type.shape) * 8).astype(b.type.elem.np) for b in program.inputs]
    run_program(program, inputs, launch)
    print("[" + ",\n".join(r.to_json() for r in reports) + "]" if json else "\n".join(map(str, reports)))
    if not all(reports):
        raise typer.Exit(1)
