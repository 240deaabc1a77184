"""Which source line a line of LLVM IR, assembly, PTX, SASS or OpenCL C comes from; the marks never change the text."""
from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import ptxjit as pj
from ptxjit.targets import target as find_target

CORPUS = Path(__file__).resolve().parents[2] / "corpus"
CASES = [("cpu:x86-64-v3", "ll"), ("cpu:x86-64-v4", "asm"), ("cpu:aarch64", "asm"), ("amdgpu:gfx1100", "ll"), ("amdgpu:gfx942", "asm"), ("ptx:sm_75", "ptx"),
         ("ptx:sm_90", "sass"), ("spirv", "opencl"), ("spirv", "ll"), ("spirv", "spirv")]  # fmt: skip


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def sums(x):
    y = np.cumsum(x, axis=-1)
    return np.where(y > 0, y, 0) @ x.T


@pytest.mark.parametrize("fn", [softmax, sums])
@pytest.mark.parametrize("target, stage", CASES)
def test_every_line_of_the_user_is_somewhere_and_the_text_is_the_same(target, stage, fn, request):
    if stage == "sass":
        request.getfixturevalue("ptxas"), request.getfixturevalue("nvdisasm")
    low = pj.jit(fn).lower("f32[20,40]", target=target)
    kernels = list(low.kernels.values())
    text, origins = low.target.emit_lines(kernels, stage)
    assert text == low.as_text(stage) and len(origins) == len(text.splitlines())
    assert {o for o in origins if o is not None} == {i.loc for k in kernels for i in k.instrs() if i.loc is not None}
    assert not re.search(r"!dbg|\.cfi_|\.Ltmp", text)


def test_a_multiplication_stands_at_its_line():
    def f(x):
        y = x * 3
        return y + 1

    first = f.__code__.co_firstlineno
    for target, stage, word in (("cpu:x86-64-v4", "asm", "vmulps"), ("cpu:aarch64", "asm", "fmul"), ("ptx:sm_90", "ptx", r"mul\.rn\.f32"), ("amdgpu:gfx1100", "ll", "fmul"),
                                ("spirv", "opencl", r"x_\d+ \* "), ("spirv", "spirv", "OpFMul")):  # fmt: skip
        low = pj.jit(f).lower("f32[4096]", target=target)
        text, origins = low.target.emit_lines(list(low.kernels.values()), stage)
        hits = [o.line for o, line in zip(origins, text.splitlines()) if re.search(word, line) and o is not None]
        assert hits and set(hits) == {first + 1}, (target, text)


@pytest.mark.parametrize("name", ["blocks", "control", "calls"])
@pytest.mark.parametrize("stage", ["ll", "asm"])
def test_foreign_kernels_widened_and_lane_by_lane(name, stage):
    module = pj.load_ptx(CORPUS / "ptx" / f"{name}.sm_80.lineinfo.ptx", device="interp")
    for entry in list(module.kernels)[:3]:
        kernel = module[entry].entry.kernel
        found = find_target("cpu:x86-64-v3")
        text, origins = found.emit_kernel_lines(kernel, stage)
        assert text == found.emit_kernel(kernel, stage) and len(origins) == len(text.splitlines())
        known = {i.loc for f in (kernel, *kernel.functions) for i in f.instrs()}
        assert {o for o in origins if o is not None} <= known and sum(o is not None for o in origins) > 10
