"""Small programs, in and out: the text of every level for one CPU, PTX for two cards, LLVM IR of one.  A program's text holds its tiles.

The programs are sources of their own, so that the lines that PTX shows do not depend on this file.
"""
from __future__ import annotations

import difflib
import linecache

import numpy as np
import pytest

import ptxjit as pj

LEVELS = ("graph", "program", "tile", "kernel")
CPU = "cpu:x86-64-v3"  # never the host: its vectors would show

PROGRAMS = {
    "add": ("return x + y", "f32[100]", "f32[100]"),
    "softmax": ("e = np.exp(x - x.max(axis=-1, keepdims=True))\nreturn e / e.sum(axis=-1, keepdims=True)", "f32[4,200]"),
    "column_sum": ("return x.sum(axis=0)", "f32[50,40]"),
    "transpose": ("return x.T.copy()", "i32[12,20]"),
    "matmul_bias": ("return x @ y + b", "f32[8,16]", "f32[16,24]", "f32[24]"),
    "matmul_bytes": ("return np.maximum(x.astype(np.int32) @ y.astype(np.int32) + b, 0)", "i8[16,32]", "i8[32,16]", "i32[16]"),
    "argmax": ("return np.argmax(x, axis=1)", "f32[5,70]"),
    "cumsum": ("return np.cumsum(x)", "i64[90]"),
    "where_clip": ("return np.where(x > y, np.clip(x, 0, 6), y)", "f64[33]", "f64[33]"),
    "gelu": ("return 0.5 * x * (1 + np.tanh(0.8 * (x + 0.045 * x * x * x)))", "bf16[64]"),
    "take": ("return np.take(x, i, axis=0)", "f32[9,32]", "i32[5]"),
}  # fmt: skip


def lowered(name: str, target: str):
    body, *specs = PROGRAMS[name]
    arguments = {"matmul_bias": "x, y, b", "matmul_bytes": "x, y, b", "take": "x, i"}.get(name, "x, y"[: 3 * len(specs) - 2])
    source = f"def {name}({arguments}):\n    " + body.replace("\n", "\n    ") + "\n"
    file = f"{name}.py"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    space = {"np": np}
    exec(compile(source, file, "exec"), space)
    return pj.jit(space[name]).lower(*specs, target=target)


@pytest.mark.parametrize("name", PROGRAMS)
def test_levels(name, golden):
    low = lowered(name, CPU)
    assert all(tile.partition("\n")[2] in low.as_text("program") for tile in low.as_text("tile").split("\nptxjit.ir 1"))
    golden("\n".join(f"==== {stage}\n{low.as_text(stage)}" for stage in ("graph", "program", "kernel")), f"{name}.txt")


@pytest.mark.parametrize("name", PROGRAMS)
def test_ptx(name, golden):
    """The PTX for sm_80, and what differs for sm_90."""
    old, new = (lowered(name, f"ptx:{arch}").as_text("ptx") for arch in ("sm_80", "sm_90"))
    other = "\n".join(difflib.unified_diff(old.splitlines(), new.splitlines(), "sm_80", "sm_90", n=0, lineterm=""))
    golden(f"{old}\n==== what differs for sm_90\n{other}\n", f"{name}.ptx.txt")


def test_llvm(golden):
    golden(lowered("add", CPU).as_text("ll"), "add.ll.txt")


def test_matrix_units(golden):
    """A product by WMMA: its tiles, and what one lane does; by `mma.sync` it is in the PTX above."""
    low = lowered("matmul_bytes", "amdgpu:gfx1100")
    golden("\n".join(f"==== {stage}\n{low.as_text(stage)}" for stage in ("tile", "ll")), "matmul_bytes.amdgpu.txt")


def test_golden_texts_know_no_machine():
    """Neither paths nor the host's vectors: the same texts on any machine."""
    for name in PROGRAMS:
        for text in (lowered(name, CPU).as_text(s) for s in (*LEVELS, "ll")):
            assert "/" not in text.replace("//", "") and "cpu:host" not in text, name
