"""`ptxjit tour`: one small function on its way through the levels, then how ptxjit is built, told by its own modules."""
from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np

FILE, SPEC = "your_file.py", "f32[8,64]"
SOURCE = """import numpy as np
import ptxjit as pj

@pj.jit
def positive_sum(x):
    y = np.maximum(x * 2, 0)
    return y.sum(axis=-1)
"""
MODULES = ("ptxjit", "ptxjit.ir", "ptxjit.ir.op", "ptxjit.ir.types", "ptxjit.ir.graph", "ptxjit.ir.program", "ptxjit.ir.tile", "ptxjit.ir.kernel",
           "ptxjit.ir.lower", "ptxjit.ir.lower.fuse", "ptxjit.ir.schedules", "ptxjit.targets", "ptxjit.targets.llvm.ops", "ptxjit.targets.llvm.emit",
           "ptxjit.targets.ptx.write", "ptxjit.targets.ptx.syntax", "ptxjit.targets.ptx.lift", "ptxjit.targets.llvm.warp",
           "ptxjit.targets.llvm.dispatch", "ptxjit.inspect")  # fmt: skip
LINES = 34  # of a text


def example() -> Any:
    """The function, as if it stood in a file."""
    import linecache

    linecache.cache[FILE] = (len(SOURCE), None, SOURCE.splitlines(keepends=True), FILE)
    space: dict[str, Any] = {}
    exec(compile(SOURCE, FILE, "exec"), space)
    return space["positive_sum"]


def tour() -> None:
    """A small function on its way through the levels, then how ptxjit is built."""
    for text in steps():
        print(text)
    print(rule("how it is built, told by its modules"))
    for name in MODULES:
        print(rule(name))
        print((inspect.getdoc(importlib.import_module(name)) or "") + "\n")


def rule(title: str) -> str:
    return f"── {title} " + "─" * max(3, 76 - len(title))


def steps() -> Iterator[str]:
    """The walk: what each level says, and that it computes the same."""
    from ..ir.interp.graph import run_graph
    from ..ir.interp.program import run_program

    f = example()
    x = np.linspace(-1, 1, 512, dtype=np.float32).reshape(8, 64)
    low, cpu = f.lower(SPEC, target="ptx:sm_90"), f.lower(SPEC, target="cpu:host")
    inner = low._low
    want = run_graph(inner.graph, [x])[0]

    def same(result: Any) -> str:
        return "the same bits" if np.asarray(result).tobytes() == np.asarray(want).tobytes() else f"OTHER BITS: {result}"

    yield rule("you write")
    yield "A function of arrays, in NumPy's words.  `@pj.jit` makes it fast; nothing happens before the first call.\n"
    yield part(SOURCE.splitlines())
    yield rule("1. the graph: what is computed")
    yield ("The function runs once on tracers that stand for its arguments.  What they saw is a graph of array values: no loops,\n"
           "no memory, no order.  Each value keeps the user's name and line.\n")  # fmt: skip
    yield part(low.as_text("graph").splitlines()[1:])
    yield f"The interpreter of this level, which is its definition, gives {np.array2string(want, precision=3)}.\n"
    yield rule("2. the program: which kernels, in which order")
    yield "Fusion says: " + "; ".join(low.why) + ".  The grid is in parentheses.\n"
    text = low.as_text("program")
    yield part(text[text.index("program @") :].splitlines())
    yield rule("3. the tile level: how it is cut up for a device")
    yield (f"What one program of the grid does, with tiles that fit the registers.  The schedule read the record of ptx:sm_90 ({low.target.facts.lanes} lanes\n"
           "per warp); for the CPU the same graph gives other tiles.\n")  # fmt: skip
    yield part(low.as_text("tile").splitlines()[1:])
    yield f"Interpreted: {same(run_program(inner.program, [x])[0])}.\n"
    yield rule("4. the kernel level: what each lane does")
    yield "Blocks with parameters, addresses as integers; sums across lanes are shuffles.  Anybody's PTX is read into this level too.\n"
    yield part([line for line in low.as_text("kernel").splitlines()[1:] if " = constant {" not in line], "constants are left out")
    yield f"Interpreted lane by lane: {same(run_program(inner.program, [x], low.kernels)[0])}.\n"
    yield rule("5. PTX for NVIDIA, with your line above each group")
    yield part(_from_first_origin(*low.target.emit_lines(list(low.kernels.values()), "ptx")), "from the first line of yours on")
    yield rule("6. and for this machine: LLVM's vector code, run now")
    yield part(_from_first_origin(*cpu.target.emit_lines(list(cpu.kernels.values()), "asm")), "from the first line of yours on")
    yield f"Called with that array: {same(cpu.compile()(x)[0])}.\n"
    yield rule("now you")
    yield ("  ptxjit show FILE.py:FUNC f32[1024,1000] --stage tile          any level; --target ptx:sm_90 --target cpu:host side by side\n"
           "  ptxjit show FILE.py:FUNC f32[1024,1000] --stats               registers, occupancy, instruction mix, bytes and flops\n"
           "  ptxjit show FILE.py:FUNC f32[1024,1000] --html page.html      all of it on one page, tied to your lines\n"
           "  ptxjit test FILE.py:FUNC                                      searches for inputs on which a target differs from NumPy\n"
           "  ptxjit run FILE.ptx --arg …, ptxjit check FILE.ptx --arg …    anybody's PTX on this machine, and its faults\n")  # fmt: skip


def _from_first_origin(text: str, origins: list[Any] | None) -> list[str]:
    """A text from the first line that has a source line."""
    first = next((n for n, o in enumerate(origins or []) if o is not None), 0)
    return text.splitlines()[first:]


def part(lines: list[str], note: str = "") -> str:
    """The first lines of a text, and how many more there are."""
    shown = ["    " + (line.expandtabs(8).rstrip() if len(line) <= 124 else line[:123] + "…") for line in lines[:LINES]]
    if len(lines) > LINES or note:
        more = f"… and {len(lines) - LINES} more lines" if len(lines) > LINES else ""
        shown.append(f"    ({', '.join(x for x in (more, note) if x)})")
    return "\n".join(shown) + "\n"
