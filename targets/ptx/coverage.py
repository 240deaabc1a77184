"""What of the PTX ISA is read, lifted and run: one row per instruction of §9.7, with samples made from its syntax lines, which are really tried.

    read     the reader takes the samples in a small kernel
    lifted   their meaning is known: the kernel's IR is there
    runs     code for a CPU is made of it

`ptxjit doctor --ptx-coverage` prints the table; `python -m ptxjit.targets.ptx.coverage` writes it to docs/ptx-coverage.md.
"""
from __future__ import annotations

import importlib
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from ...ir.errors import PtxjitError
from .rows.samples import Sample, chosen, entry, head
from .rows.table import VERSION, Need, Section, sections

CHAPTERS = {1: "Integer arithmetic", 2: "Extended precision", 3: "Floating point", 4: "Half precision", 5: "Mixed precision",
            6: "Comparison and selection", 7: "Half precision comparison", 8: "Logic and shift", 9: "Data movement and conversion", 10: "Texture",
            11: "Surface", 12: "Control flow", 13: "Synchronization and communication", 14: "Matrix: mma, wmma", 15: "Matrix: wgmma",
            16: "Tensor core, 5th generation", 17: "Stack", 18: "Video", 19: "Miscellaneous"}  # fmt: skip
MANY = 8  # samples of one instruction
NOW = Need((100, "a"), (9, 1))  # has everything that a sample by hand needs

# what no syntax line gives: braces, guards, and calls with all that they need
BY_HAND = {
    ("9.7.12.1", "{}"): ("{ .reg .u32 x; mov.u32 x, 1; }",),
    ("9.7.12.2", "@"): ("@%p0 add.s32 %r0, %r1, %r2", "@!%p0 st.global.u32 [%rd0], %r1"),
    ("9.7.12.5", "call"): ("call.uni (%r0), helper, (%r1)", "call (%r0), helper, (%r1)"),
    ("9.7.12.5", "call (by address)"): ("{ .param .b32 x; .param .b32 y; st.param.b32 [x], %r1; call (y), %rd1, (x), PROTO; ld.param.b32 %r0, [y]; }",),
}

DOC = Path(importlib.import_module("ptxjit").__file__ or ".").resolve().parents[1] / "docs" / "ptx-coverage.md"


class Row(NamedTuple):
    """One instruction: where the manual has it, the least that it needs, samples, and which of its forms are not executed."""

    section: str
    name: str
    need: Need
    samples: tuple[tuple[str, Need, bool], ...]  # text, what it needs, whether it names a sampler
    except_for: str

    @property
    def chapter(self) -> int:
        return int(self.section.split(".")[2])

    @property
    def since(self) -> str:
        arch = self.need.target if self.need.arch[0] else "any"
        return f"{arch}, PTX {self.need.version}"


class Result(NamedTuple):
    """A row tried: what works, and the reason where something does not."""

    row: Row
    read: bool
    lifted: bool
    runs: bool
    reason: str


@lru_cache(maxsize=None)
def rows() -> tuple[Row, ...]:
    """All instructions, in the order of the manual."""
    out = [_row(s) for s in sections() if s.name != "call"]
    out += [Row(number, name, Need(), tuple((t, NOW, False) for t in texts), "") for (number, name), texts in BY_HAND.items()]
    return tuple(sorted(out, key=lambda r: [int(p) for p in r.section.split(".")]))


def _row(s: Section) -> Row:
    """Samples: of every line one plain form and one with much in it, spread evenly where the lines are many."""
    found: list[Sample] = []
    for line in (row for row in s.rows() if not row.until):
        forms = [x for x in chosen(line, 24) if not (x.later and s.partly)]
        found += forms[:1] + forms[1:][-1:]
    if len(found) > MANY:
        found = [found[k * (len(found) - 1) // (MANY - 1)] for k in range(MANY)]
    least = min((line.need | s.need for line in s.rows()), key=lambda n: (n.arch, n.isa))
    return Row(s.number, s.name, least, tuple((x.text, x.need, x.independent) for x in found), s.partly)


def opcodes(row: Row, sample: tuple[str, Need, bool]) -> list[Any]:
    """The instructions of a sample, as they are read."""
    from .lift.core import instructions
    from .parse import read

    return instructions(read(module(sample), "sample").functions["k0"].body.items)


def module(sample: tuple[str, Need, bool]) -> str:
    text, need, independent = sample
    return head(need, independent) + entry(text)


def attempt(row: Row) -> Result:
    """Every sample of a row, really tried."""
    from .. import target
    from .lift import lift
    from .parse import read

    level, reason = 3, row.except_for and f"except {row.except_for}"
    for sample in row.samples:
        done = 0
        try:
            tree = read(module(sample), "sample")
            done = 1
            kernel = lift(tree, "k0").kernel
            done = 2
            target("cpu:host").emit_kernel(kernel, "ll")
            done = 3
        except PtxjitError as e:
            if done < level:
                found, _, why = e.message.partition(" is not executed yet: ")
                reason = f"not executed yet: {why}" if why else found
        level = min(level, done)
    return Result(row, level >= 1, level >= 2, level >= 3, reason)


def coverage() -> list[Result]:
    """All rows, tried."""
    return [attempt(r) for r in rows()]


def _totals(found: list[Result]) -> list[tuple[str, int, int, int, int]]:
    """By chapter, and of all: instructions, read, lifted, run."""
    out = []
    for n, title in CHAPTERS.items():
        mine = [f for f in found if f.row.chapter == n]
        out.append((f"9.7.{n} {title}", len(mine), sum(f.read for f in mine), sum(f.lifted for f in mine), sum(f.runs for f in mine)))
    out.append(("all", sum(t[1] for t in out), sum(t[2] for t in out), sum(t[3] for t in out), sum(t[4] for t in out)))
    return out


def table(found: list[Result]) -> str:
    """For terminals: totals by chapter, then what does not run and why."""
    lines = [f"{'PTX ISA ' + VERSION:42} instructions   read  lifted   runs"]
    for title, count, a, b, c in _totals(found):
        lines.append(f"{title:42} {count:12} {a:6} {b:7} {c:6}")
    lines.append("")
    lines += [f"  {f.row.section:12} {f.row.name:34} {f.reason}" for f in found if not f.runs]
    return "\n".join(lines)


def page(found: list[Result]) -> str:
    """docs/ptx-coverage.md."""
    lines = ["# Instructions of PTX that are read, lifted and run", "",
             "Generated by `python -m ptxjit.targets.ptx.coverage` from the rows in `targets/ptx/rows`, whose forms it samples and really tries;",
             f"`ptxjit doctor --ptx-coverage` prints the same in short. Sections are those of the PTX ISA manual, version {VERSION}.", "",
             "*read*: the reader takes it. *lifted*: its meaning is known. *runs*: it is compiled for the CPU.", "",
             "| chapter | instructions | read | lifted | runs |", "|---|--:|--:|--:|--:|"]  # fmt: skip
    lines += [f"| {t} | {n} | {a} | {b} | {c} |" for t, n, a, b, c in _totals(found)]
    for number, title in CHAPTERS.items():
        lines += ["", f"## 9.7.{number} {title}", "", "| section | instruction | from | read | lifted | runs | |", "|---|---|---|:-:|:-:|:-:|---|"]
        for f in found:
            if f.row.chapter == number:
                marks = " | ".join("✓" if ok else "–" for ok in (f.read, f.lifted, f.runs))
                lines.append(f"| {f.row.section} | `{f.row.name}` | {f.row.since} | {marks} | {f.reason.replace('|', '/')} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    target = DOC
    found = coverage()
    target.write_text(page(found), encoding="utf-8")
    print(table(found))


if __name__ == "__main__":
    main()
