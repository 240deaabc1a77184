"""The laws: every level and target gives the same bits; random programs agree with NumPy; text is read back as it was written."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

import ptxjit as pj
from ptxjit.ir.text import dump, parse
from ptxjit.ir.verify import verify
from ptxjit.targets import target as find_target
from ptxjit.testing import assert_targets_agree, programs
from ptxjit.testing.fuzz import fuzz
from tests.properties.cases import CASES, softmax

TARGETS = ["interp", "cpu", "cpu:x86-64-v3", "cpu:x86-64-v4", "ptx:sm_75", "ptx:sm_90", "ptx:sm_75 on cpu", "ptx:sm_90 on cpu",
           *(f"{t} on cpu" for t in ("cpu:x86-64-v3", "cpu:x86-64-v4") if find_target(t).runs_kernels)]  # fmt: skip  (their machine code)


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2"])
@pytest.mark.parametrize("name", CASES)
def test_every_level_and_target_gives_the_same_bits(name, dtype):
    fn, shapes = CASES[name]
    if dtype == "f2" and name in ("matmul", "long softmax", "all"):
        shapes = [tuple(min(n, 70) for n in s) for s in shapes]
    rng = np.random.default_rng(1)
    assert_targets_agree(fn, *(rng.standard_normal(s).astype(dtype) for s in shapes), targets=TARGETS, bitwise=True)


@pytest.mark.parametrize("dtype", ["?", "i1", "u2", "i4", "u8"])
def test_integers_at_every_level(dtype):
    rng = np.random.default_rng(2)
    x, y = (rng.integers(0, 2 if dtype == "?" else 100, 45).astype(dtype) for _ in range(2))
    ops = (lambda a, b: (a & b, a | b, a ^ b, ~a)) if dtype == "?" else (lambda a, b: (a + b, a * b, a // b, a % b, a >> 1, a < b, np.maximum(a, b), a.astype("f4")))
    assert_targets_agree(ops, x, y, targets=TARGETS, bitwise=True)


def test_a_loop_over_a_reduction():
    fn = lambda x: pj.fori_loop(0, 3, lambda i, s: s * 0.5 + x.max(), x.sum())
    assert_targets_agree(fn, np.arange(10.0), targets=TARGETS, bitwise=True)


def test_random_programs_agree_with_numpy():
    counts, failures = fuzz(100, seed=0)
    assert failures == [] and counts["programs"] >= 100


@settings(max_examples=15)
@given(programs())
def test_text_is_read_back(p):
    for target in ("cpu:host", "ptx:sm_80"):
        low = pj.jit(p.fn).lower(*p.inputs, target=target)._low
        for x in (low.graph, low.program, *low.kernels.values()):
            text = dump(x)
            assert dump(parse(text)) == text
            verify(x)
            verify(parse(text))


def test_a_planted_fault_is_named(monkeypatch):
    """A target that multiplies wrongly is found, shrunk, and the message names the step and the user's line."""
    from ptxjit.targets.llvm import ops
    from ptxjit.testing import check

    monkeypatch.setenv("PTXJIT_CACHE", "off")
    monkeypatch.setitem(ops.BINARY, "fmul", "fadd")
    report = check(lambda x: x * 3, lambda x: x * 3, specs=["f32[20]"], examples=50, raise_error=False)
    assert not report.passed and "test_levels.py" in repr(report), repr(report)


def test_check_finds_a_small_difference():
    from ptxjit.testing import check

    report = check(lambda x: np.where(x > 50, x + 1, x), lambda x: x, specs=["f32[20]"], examples=100, raise_error=False)
    assert not report.passed and repr(report)
    with pytest.raises(AssertionError):
        check(lambda x: x + 1, lambda x: x, specs=["i32[4]"], examples=5)
    assert check(lambda x: x + 1, lambda x: x + 1, examples=10).passed


def test_fewer_rows_than_warps():
    assert_targets_agree(lambda x: (x.min(axis=1), x.sum(axis=1)), np.arange(9, dtype="u2").reshape(3, 3), targets=TARGETS, bitwise=True)
    assert_targets_agree(softmax, np.arange(12.0).reshape(2, 6), targets=TARGETS, bitwise=True)
