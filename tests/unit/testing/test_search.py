"""`check`, `assert_targets_agree` and `which_step`: they pass what is right, and name what broke."""
from __future__ import annotations

import numpy as np
import pytest

import ptxjit.ir.passes as passes
from ptxjit import testing
from ptxjit.ir.instr import Block
from ptxjit.ir.op import op
from ptxjit.ir.rewrite import Pass, Pipeline
from ptxjit.jitted import jit
from ptxjit.testing import arrays, assert_targets_agree, check, scalars, which_step


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def almost(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / (e.sum(axis=-1, keepdims=True) + np.float32(0.001))


def steps(x):
    y = x * 2
    z = y + 1
    return np.sqrt(z)


def line_of(fn, text):
    import inspect

    lines, first = inspect.getsourcelines(fn)
    return f"{__file__}:{first + next(n for n, line in enumerate(lines) if text in line)}"


def test_what_is_right_passes():
    report = check(softmax, examples=30)
    assert report.passed and report.examples == 30 and "no difference in 30 examples" in repr(report)


def test_specs_with_searched_sizes():
    assert check(lambda a, b: a @ b, specs=["f32[n,k]", "f32[k,m]"], examples=15).passed
    assert check(lambda a, b: a * b, specs=["f64[n]", "f64"], examples=15).passed


def test_strategies_of_the_caller():
    assert check(np.sqrt, None, arrays("f8", (7,), low=0), examples=20).passed
    assert check(lambda x, k: x << k, None, arrays("i4", (5,)), scalars("i4").map(abs), examples=20).passed


def test_a_wrong_function_is_told_from_a_wrong_compiler():
    with pytest.raises(AssertionError) as e:
        check(almost, softmax, specs=["f32[n]"], examples=30)
    text = str(e.value)
    assert "the function itself differs from the reference" in text and "argument 0: float32[1] = [0.]" in text


def test_inputs_that_no_reference_takes():
    from ptxjit.errors import UserError

    with pytest.raises(UserError, match="refuses all"):
        check(lambda x: x @ x, specs=["f32[2,3]"], examples=5)


def test_a_refusal_is_a_finding():
    report = check(lambda x: x if x.sum() > 0 else -x, specs=["f32[4]"], examples=5, raise_error=False)
    assert not report.passed and "TraceError" in report.difference and report.step.level == "trace"


def test_code_targets_run_on_the_kernel_interpreter():
    assert check(softmax, specs=["f32[3,n]"], examples=5, targets=["interp", "ptx:sm_90", "cpu:x86-64-v3"]).passed


def test_the_database_keeps_failures(tmp_path):
    for expected in (1, 1):
        report = check(lambda x: x + 1, lambda x: x + 1 + (x == 3), specs=["i32[5]"], examples=200, database=tmp_path, raise_error=False)
        assert not report.passed and len(list(tmp_path.iterdir())) == expected
    first = check(lambda x: x + 1, lambda x: x + 1 + (x == 3), specs=["i32[5]"], examples=1, database=tmp_path, raise_error=False)
    assert first.passed or first.inputs  # another function: another key


# ---- something broken on purpose ------------------------------------------------------------------------------------


def swapped(old, new):
    """A kernel pass that replaces one op by another."""

    def run(k):
        def fix(i):
            return i.replace(op=op(new)) if i.op.name == old else i

        return k.with_blocks(tuple(Block(b.name, b.params, tuple(fix(i) for i in b.instrs)) for b in k.blocks))

    return Pass("spoil", "a pass that is wrong on purpose", run)


@pytest.fixture
def uncached(monkeypatch):
    monkeypatch.setenv("PTXJIT_CACHE", "off")


def test_a_broken_pass_is_named_with_op_and_line(monkeypatch, uncached):
    before = passes.kernel_pipeline
    monkeypatch.setattr(passes, "kernel_pipeline", lambda facts, fast=False: Pipeline([before(facts).passes[0], swapped("fadd", "fsub"), *before(facts).passes[1:]]))
    report = check(steps, specs=["f32[n]"], examples=20, raise_error=False)
    assert not report.passed and report.step.level == "kernel" and "`spoil`" in report.step.step
    assert report.step.op == "fadd" and report.step.place == line_of(steps, "y + 1")
    assert f"fadd ({report.step.place})" in repr(report)


def test_a_broken_schedule_is_named(monkeypatch, uncached):
    from ptxjit.ir.tile import TileBuilder

    right = TileBuilder.emit

    def wrong(self, o, args, attrs=(), **kw):
        return right(self, op("fsub") if o.name == "fadd" else o, args, attrs, **kw)

    monkeypatch.setattr(TileBuilder, "emit", wrong)
    step = which_step(steps, [np.ones(3, "f4")])
    assert step.level == "program" and step.op == "fadd" and step.place == line_of(steps, "y + 1")


def test_a_broken_device_is_named(monkeypatch, uncached):
    from ptxjit.targets.cpu.target import CpuTarget

    right = CpuTarget.emit

    def wrong(self, kernels, stage):
        return right(self, [swapped("fmul", "fadd").fn(k) for k in kernels], stage)

    monkeypatch.setattr(CpuTarget, "emit", wrong)
    step = which_step(steps, [np.full(3, 5, "f4")])
    assert step.level == "device" and step.op == "fmul" and step.place == line_of(steps, "x * 2")


def test_a_broken_meaning_is_found_on_the_users_line(monkeypatch, uncached):
    from ptxjit.functions import elementwise

    monkeypatch.setitem(elementwise.RULES, "add", elementwise.RULES["subtract"])
    step = which_step(jit(steps), [np.full(3, 5, "f4")])
    assert step.level == "graph" and step.op == "add" and step.place == line_of(steps, "y + 1")


def test_nothing_broken():
    assert which_step(steps, [np.ones(3, "f4")]).level == "none"


def test_targets_agree():
    x = np.random.default_rng(0).standard_normal((3, 70)).astype("f4")
    assert_targets_agree(softmax, x)
    assert_targets_agree(jit(softmax), x, targets=["cpu", "interp", "ptx:sm_75", "cpu:x86-64-v4"], bitwise=True)
    shift = np.float32(0.25)
    table = np.arange(70, dtype="f4")
    assert_targets_agree(lambda x: x * shift + table, x)  # what is captured is passed along


def test_targets_that_disagree(monkeypatch, uncached):
    before = passes.kernel_pipeline
    monkeypatch.setattr(passes, "kernel_pipeline", lambda facts, fast=False: Pipeline([swapped("fadd", "fsub"), *before(facts).passes]))
    with pytest.raises(AssertionError, match=r"cpu and interp disagree: result 0 differs at \[0\]: .* \(3 of 3 elements\)"):
        assert_targets_agree(lambda x: x + 1, np.ones(3, "f4"))
    with pytest.raises(AssertionError, match="admitted are 4"):
        assert_targets_agree(lambda x: x + 1, np.ones(3, "f4"), ulp=4)


def test_names():
    assert {"arrays", "shapes", "scalars", "programs", "assert_targets_agree", "check"} <= set(dir(testing))
    with pytest.raises(AttributeError):
        testing.nonsense  # noqa: B018


def test_a_seed_means_one_sequence_of_programs(tmp_path):
    """Whatever the disk cache knows, and however sets are ordered."""
    import os
    import subprocess
    import sys

    code = ("from ptxjit.testing import fuzz as F; old = F.examine; F.examine = lambda p, device: (print(repr(p)), old(p, device)); F.fuzz(12, 5)")
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                           env={**os.environ, "PTXJIT_CACHE_DIR": str(tmp_path), "PYTHONHASHSEED": seed}).stdout for seed in "12"]  # fmt: skip
    assert runs[0].count("def f(") == 12 and runs[0] == runs[1]
