"""`ptxjit show`: texts, numbers, decisions or the page of a function or of an entry of a PTX file, for any number of targets."""
from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from .load import UsageError, load_function

TARGETS = ["cpu:host", "cpu:x86-64-v3", "cpu:x86-64-v4", "cpu:aarch64", "ptx:sm_75", "ptx:sm_80", "ptx:sm_86", "ptx:sm_89", "ptx:sm_90",
           "ptx:sm_90a", "ptx:sm_100", "ptx:sm_120", "amdgpu:gfx90a", "amdgpu:gfx942", "amdgpu:gfx1100", "amdgpu:gfx1201", "spirv"]  # fmt: skip
STAGES = ["final", "graph", "program", "tile", "kernel", "ptx", "cubin", "sass", "ll", "asm", "obj", "hsaco", "spirv", "spv", "opencl"]


def completes(words: Sequence[str]) -> Any:
    return lambda incomplete: [w for w in words if w.startswith(incomplete)]


def spec_of(text: str, symbols: bool = False) -> Any:
    """A spec; what is none is a usage error."""
    from ..ir.errors import UserError
    from ..specs import parse_spec

    try:
        return parse_spec(text, symbols)
    except UserError as e:
        raise UsageError(str(e)) from e


Function = Annotated[str, typer.Argument(metavar="FILE.py:FUNC", help="a function, decorated or plain; show also takes FILE.ptx:ENTRY")]
Specs = Annotated[list[str], typer.Argument(metavar="SPEC…", help="arguments, such as f32[1024,1000] or i32")]
TargetOption = Annotated[list[str], typer.Option("--target", "-t", help="what code is made for; may be given several times", autocompletion=completes(TARGETS))]


def show(function: Function, specs: Specs = [], target: TargetOption = [],  # noqa: B006
         stage: Annotated[str, typer.Option("--stage", "-s", help="which level or text", autocompletion=completes(STAGES))] = "final",
         stats: Annotated[bool, typer.Option("--stats", help="registers, spills, occupancy, instruction mix, bytes, flops")] = False,
         as_json: Annotated[bool, typer.Option("--json", help="with --stats: as JSON")] = False,
         why: Annotated[bool, typer.Option("--why", help="what fusion decided")] = False,
         html: Annotated[str, typer.Option("--html", metavar="OUT", help="one page with every level, every target, the passes and a profile")] = "",
         grid: Annotated[str, typer.Option("--grid", help="FILE.ptx with --html: blocks of the run that is counted; SPECs are its arguments")] = "1",
         block: Annotated[str, typer.Option("--block", help="FILE.ptx with --html: threads per block")] = "1",
         shared: Annotated[int, typer.Option("--shared", help="FILE.ptx with --html: bytes of dynamic shared memory")] = 0,
         output: Annotated[str, typer.Option("-o", help="write there instead")] = "") -> None:  # fmt: skip
    """What becomes of a function, at any level, for any target.  Several targets stand side by side."""
    if output and Path(output).is_dir() or html and Path(html).is_dir():
        raise UsageError(f"{output or html} is a folder")
    if ".ptx:" in function:
        _foreign(function, specs, target, stage, stats, as_json, html, grid, block, shared, output)
    else:
        _function(function, specs, target, stage, stats, as_json, why, html, output)


def _function(function: str, specs: list[str], target: list[str], stage: str, stats: bool, as_json: bool, why: bool, html: str, output: str) -> None:
    f = load_function(function)
    arguments = [spec_of(s, symbols=True) for s in specs]
    wanted: list[str | None] = [*target] if target else [None]
    lows = [f.lower(*arguments, target=t) for t in wanted]
    if html:
        from ..inspect.page import write_page

        write_page(html, f, arguments, lows)
        _wrote(html)
    elif why:
        for low in lows:
            if len(lows) > 1:
                print(f"{low.target.name}:")
            print("\n".join(low.why))
    elif stats:
        _numbers([(low.target.name, low.stats()) for low in lows], as_json)
    else:
        _write([(low.target.name, low.target.text if stage == "final" else stage, low.stage(stage)) for low in lows], output)


def _numbers(found: list[tuple[str, list[dict[str, Any]]]], as_json: bool) -> None:
    if as_json:
        print(json.dumps([{"target": t, **entry} for t, entries in found for entry in entries], indent=1))
        return
    from ..inspect.columns import print_stats

    print_stats([(t, entry) for t, entries in found for entry in entries])


def _write(parts: list[tuple[str, str, str | bytes]], output: str) -> None:
    """Texts with a header each where there are several; binaries one after another."""
    from ..inspect.columns import one_after_another, write

    texts = [(t, s, made) for t, s, made in parts if isinstance(made, str)]
    if len(texts) == len(parts):
        if output:
            Path(output).write_text(one_after_another(texts))
        else:
            write(texts)
        return
    data = b"".join(made if isinstance(made, bytes) else made.encode() for _, _, made in parts)
    if output:
        Path(output).write_bytes(data)
    else:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()


def _wrote(path: str) -> None:
    print(f"{path}: {Path(path).stat().st_size / 1024:.0f} KiB, no network needed")


def _foreign(function: str, specs: list[str], target: list[str], stage: str, stats: bool, as_json: bool, html: str, grid: str, block: str, shared: int,
             output: str) -> None:  # fmt: skip
    """An entry of a PTX file."""
    from ..inspect.foreign import entry_stats
    from ..ir.errors import UnsupportedError
    from ..ptx import load_ptx
    from ..translation import translate

    file, _, entry = function.rpartition(":")
    if not Path(file).is_file():
        raise UsageError(f"there is no file {file}")
    mod = load_ptx(Path(file), device="cpu")
    if entry not in mod.kernels:
        raise UsageError(f"{file} has no entry {entry!r}; it has {', '.join(mod.kernels) or 'none'}")
    wanted = target or ["cpu:host"]
    if html:
        from ..inspect.page import write_foreign_page
        from .launch_args import parse_args, parse_three

        args = parse_args([s if "=" in s else s + "=random" for s in specs])
        write_foreign_page(html, mod[entry], wanted, args, parse_three(grid, "grid"), parse_three(block, "block"), shared)
        _wrote(html)
        return
    if specs:
        raise UsageError("the arguments of a PTX entry are only used with --html, for the run that is counted")
    if stats:
        found = []
        for t in wanted:
            try:
                found.append((t, [entry_stats(mod[entry], t)]))
            except UnsupportedError as e:
                if len(wanted) == 1:
                    raise
                found.append((t, [{"kernel": entry, "missing": f"{e.place}: {e.message}" if e.place else e.message}]))
        _numbers(found, as_json)
        return
    made = [translate(Path(file), target=t, entry=entry) for t in wanted]
    last = [[s for s in m.stages if s != "final"][-1] for m in made]
    _write([(t, s if stage == "final" else stage, m.as_text(stage)) for t, s, m in zip(wanted, last, made)], output)
