"""Passes over kernels: before and after, the same meaning, the same object where nothing changed, no depth limit."""
from __future__ import annotations

import numpy as np
import pytest

from ptxjit.ir.device import interp_facts
from ptxjit.ir.errors import BugError, ResourceError
from ptxjit.ir.interp.machine import run_kernel
from ptxjit.ir.kernel import KernelBuilder
from ptxjit.ir.passes import kernel_pipeline
from ptxjit.ir.passes.cleanup import cleanup, dominators, drop_dead, merge_equal, reverse_post_order
from ptxjit.ir.passes.decompose import decompose
from ptxjit.ir.rewrite import Pass, Pipeline, main
from ptxjit.ir.text import dump, parse
from ptxjit.ir.types import BF16, F16, F32, F64, I1, I32, I64
from ptxjit.ir.verify import verify

FACTS = interp_facts()
PASSES = {"merge_equal": merge_equal, "drop_dead": drop_dead, "cleanup": cleanup, "decompose": lambda k: decompose(k, FACTS)}
PARAMS = "%x: i64 pointer f32 rw align=4, %p: i1 scalar align=1, %n: i32 scalar align=1"


def kernel(body):
    return parse(f"ptxjit.ir 1\nkernel @k ({PARAMS}) {{\n{body.strip()}\n}}\n")


def body(k):
    return "\n".join(line for line in dump(k).splitlines()[2:-1])


# ---- before and after -----------------------------------------------------------------------------------------------

REWRITES = {
    "equal ops": (merge_equal, """
^0 entry():
  %0: i32 = iadd %n, %n
  %1: i32 = iadd %n, %n
  st %x, %0, %1 {to=!i32}
  return""", """
^0 entry():
  %0: i32 = iadd %n, %n
  st %x, %0, %0 {to=!i32}
  return"""),
    "operands of a commutative op change places, others do not": (merge_equal, """
^0 entry():
  %0: i32 = sreg {name="laneid"}
  %1: i32 = imul %n, %0
  %2: i32 = imul %0, %n
  %3: i32 = isub %n, %0
  %4: i32 = isub %0, %n
  st %x, %1, %2 {to=!i32}
  st %x, %3, %4 {to=!i32}
  return""", """
^0 entry():
  %0: i32 = sreg {name="laneid"}
  %1: i32 = imul %n, %0
  %2: i32 = isub %n, %0
  %3: i32 = isub %0, %n
  st %x, %1, %1 {to=!i32}
  st %x, %2, %3 {to=!i32}
  return"""),
    "zeros of either sign, attributes, types": (merge_equal, """
^0 entry():
  %0: f32 = constant {type=!f32, value=0x0.0p+0}
  %1: f32 = constant {type=!f32, value=-0x0.0p+0}
  %2: f32 = constant {type=!f32, value=0x0.0p+0}
  %3: i1 = icmp %n, %n {pred="slt"}
  %4: i1 = icmp %n, %n {pred="ult"}
  %5: f32 = select %3, %0, %1
  %6: f32 = select %4, %2, %1
  st %x, %5 {to=!f32}
  st %x, %6 {to=!f32}
  return""", """
^0 entry():
  %0: f32 = constant {type=!f32, value=0x0.0p+0}
  %1: f32 = constant {type=!f32, value=-0x0.0p+0}
  %2: i1 = icmp %n, %n {pred="slt"}
  %3: i1 = icmp %n, %n {pred="ult"}
  %4: f32 = select %2, %0, %1
  %5: f32 = select %3, %0, %1
  st %x, %4 {to=!f32}
  st %x, %5 {to=!f32}
  return"""),
    "from dominating blocks, not from a side": (merge_equal, """
^0 entry():
  %0: i32 = iadd %n, %n
  branch %p -> ^1(), ^2()
^1 side():
  %1: i32 = iadd %n, %n
  %2: i32 = imul %1, %1
  st %x, %2, %2 {to=!i32}
  jump -> ^2()
^2 join():
  %3: i32 = imul %0, %0
  st %x, %3, %3 {to=!i32}
  return""", """
^0 entry():
  %0: i32 = iadd %n, %n
  branch %p -> ^1(), ^2()
^1 side():
  %1: i32 = imul %0, %0
  st %x, %1, %1 {to=!i32}
  jump -> ^2()
^2 join():
  %2: i32 = imul %0, %0
  st %x, %2, %2 {to=!i32}
  return"""),
    "loads stay apart": (merge_equal, """
^0 entry():
  %0: f32 = ld %x {to=!f32}
  st %x, %0 {to=!f32}
  %1: f32 = ld %x {to=!f32}
  %2: f32 = fneg %1
  %3: f32 = fneg %1
  st %x, %3 {disp=4, to=!f32}
  return""", """
^0 entry():
  %0: f32 = ld %x {to=!f32}
  st %x, %0 {to=!f32}
  %1: f32 = ld %x {to=!f32}
  %2: f32 = fneg %1
  st %x, %2 {disp=4, to=!f32}
  return"""),
    "what nothing reads": (drop_dead, """
^0 entry():
  %0: i32 = iadd %n, %n
  %1: i32 = imul %0, %0
  %2: f32 = ld %x {to=!f32}
  st %x, %0, %0 {to=!i32}
  return""", """
^0 entry():
  %0: i32 = iadd %n, %n
  st %x, %0, %0 {to=!i32}
  return"""),
    "a carried value that only feeds itself": (drop_dead, """
^0 entry():
  jump -> ^1(%n, %n)
^1 loop(%0: i32, %1: i32):
  %2: i32 = iadd %0, %n
  %3: i32 = iadd %1, %n
  %4: i1 = icmp %2, %n {pred="slt"}
  branch %4 -> ^1(%2, %3), ^2()
^2 done():
  return""", """
^0 entry():
  jump -> ^1(%n)
^1 loop(%0: i32):
  %1: i32 = iadd %0, %n
  %2: i1 = icmp %1, %n {pred="slt"}
  branch %2 -> ^1(%1), ^2()
^2 done():
  return"""),
    "effects stay": (drop_dead, """
^0 entry():
  bar
  fence
  report %p {code=2}
  red %x, %n {fn="iadd", to=!i32}
  %0: i1 = vote_any %p
  return""", """
^0 entry():
  bar
  fence
  report %p {code=2}
  red %x, %n {fn="iadd", to=!i32}
  return"""),
}  # fmt: skip


@pytest.mark.parametrize("name", REWRITES)
def test_before_and_after(name):
    fn, before, after = REWRITES[name]
    k = fn(verify(kernel(before)))
    assert body(verify(k)) == after.strip()
    assert fn(k) is k, "a second run changes nothing"


def test_math_becomes_exact_ops():
    b = KernelBuilder("k")
    b.fadd(b.exp(b.const(F32, 1.0)), b.const(F32, 0.0))
    b.ret()
    names = {i.op.name for i in decompose(b.finish(), FACTS).instrs()}
    assert "exp" not in names and {"ffma", "fadd"} <= names


def test_uses_may_stand_before_definitions_in_the_text():
    """A compiler may write the end of a function before the loop that leads there."""
    k = verify(kernel("""
^0 entry():
  %0: f32 = ld %x {to=!f32}
  jump -> ^2()
^1 end():
  %1: f32 = fadd %2, %0
  st %x, %1 {to=!f32}
  return
^2 before():
  %2: f32 = exp %0
  jump -> ^1()"""))
    out = verify(decompose(k, FACTS))
    assert not any(i.op.name == "exp" for i in out.instrs())
    x = np.array([1.5], np.float32)
    run_kernel(out, (1, 1, 1), [x, False, 0])
    assert abs(float(x[0]) - (np.exp(1.5) + 1.5)) < 1e-6


@pytest.mark.parametrize("t", [F16, BF16], ids=str)
def test_narrow_floats_are_computed_wide(t):
    b = KernelBuilder("k")
    b.fadd(b.const(t, 1.0), b.const(t, 2.0))
    b.ret()
    k = b.finish()
    assert [i.op.name for i in decompose(k, FACTS).instrs()] == ["constant", "constant", "fcvt", "fcvt", "fadd", "fcvt", "return"]
    native = FACTS._replace(features=(t.name,))
    assert decompose(k, native) is k, "a device that has the format keeps the op"


# ---- nothing to do --------------------------------------------------------------------------------------------------

MINIMAL = """
^0 entry():
  %0: i32 = sreg {name="laneid"}
  jump -> ^1(%0)
^1 loop(%1: i32):
  %2: i32 = iadd %1, %n
  st %x, %2, %2 {to=!i32}
  %3: i1 = icmp %2, %n {pred="slt"}
  branch %3 -> ^1(%2), ^2()
^2 done():
  return"""


@pytest.mark.parametrize("name", PASSES)
def test_the_same_object_where_nothing_changed(name):
    k = kernel(MINIMAL)
    assert PASSES[name](k) is k


def test_facts_of_a_kernel_survive():
    k = kernel("^0 entry():\n%0: i32 = iadd %n, %n\nreturn")
    b = KernelBuilder("k", lanes=8, warps=2)
    b.shared = 64
    b.exp(b.const(F32, 1.0))
    b.ret()
    full = b.finish((("schedule", "s"),))
    for fn in PASSES.values():
        for before in (k, full):
            after = fn(before)
            assert (after.name, after.lanes, after.warps, after.shared, after.meta, after.params) == (
                before.name, before.lanes, before.warps, before.shared, before.meta, before.params)  # fmt: skip


# ---- meaning --------------------------------------------------------------------------------------------------------

def interpreted(k, arrays):
    """What a random kernel writes."""
    with np.errstate(all="ignore"):
        run_kernel(k, (3, 1, 1), arrays)
    return arrays[1:]


@pytest.mark.parametrize("elem", [F32, F64, F16, BF16], ids=str)
def test_a_pass_keeps_the_meaning(elem, random_kernel):
    for seed in range(12):
        k = random_kernel(seed, elem)
        y, z = interpreted(k, random_kernel.inputs(elem, seed))
        for name, fn in {**PASSES, "pipeline": lambda k: kernel_pipeline(FACTS).run(k, check=True)}.items():
            got = interpreted(verify(fn(k)), random_kernel.inputs(elem, seed))
            np.testing.assert_array_equal(got[0].astype("f8"), y.astype("f8"), err_msg=f"{name} {seed}")
            np.testing.assert_array_equal(np.signbit(got[0][got[0] == 0]), np.signbit(y[y == 0]), err_msg=f"{name} {seed}")
            np.testing.assert_array_equal(got[1], z, err_msg=f"{name} {seed}")


def one_op(c):
    b = KernelBuilder("k", lanes=64, warps=1)
    ins = [b.param(f"p{k}", I64, role="pointer", elem=t, access="r") for k, t in enumerate(c.types)]
    out = b.param("out", I64, role="pointer", elem=c.result, access="w")
    lane = b.sreg(name="laneid")
    args = [b.ld(p, lane, space="global", to=t, scale=t.bytes) for p, t in zip(ins, c.types)]
    b.st(out, lane, b.emit(c.op, args, c.attrs), space="global", to=c.result, scale=c.result.bytes)
    b.ret()
    return b.finish()


def decomposed_wrongly(cases):
    """Cases whose decomposition gives other bits than the op itself."""
    rng, wrong = np.random.default_rng(3), []
    for c in cases:
        k = one_op(c)
        after = decompose(k, FACTS)
        if after is k:
            continue
        args = [rng.integers(0, 2, 64).astype(bool) if t is I1 else np.frombuffer(rng.bytes(64 * t.bytes), t.np).copy() for t in c.types]
        for a, t in zip(args, c.types):
            if t.is_float:
                a[:32] = (rng.standard_normal(32) * 4).astype(t.np)
        want, got = np.zeros(64, c.result.np), np.zeros(64, c.result.np)
        with np.errstate(all="ignore"):
            run_kernel(k, (1, 1, 1), [*args, want])
            run_kernel(after, (1, 1, 1), [*args, got])
        same = want.view(f"u{want.itemsize}") == got.view(f"u{got.itemsize}")
        if c.result.is_float:
            same |= (want != want) & (got != got)
        if not same.all():
            j = int(np.flatnonzero(~same)[0])
            wrong.append(f"{c.name}({', '.join(str(a[j]) for a in args)}) gives {got[j]}, not {want[j]}")
    return wrong


def test_every_decomposition(lane_cases):
    wrong = decomposed_wrongly(lane_cases())
    assert not wrong, "\n".join(wrong)


def test_every_decomposition_with_attributes(lane_cases):
    wrong = decomposed_wrongly([c for c in lane_cases(attributes=True) if {"rnd", "ftz", "sat"} & set(dict(c.attrs))])
    assert not wrong, "\n".join(wrong)


# ---- size -----------------------------------------------------------------------------------------------------------


def chain(n):
    b = KernelBuilder("k")
    x = b.param("x", I64, role="pointer", elem=I32)
    one = b.const(I32, 1)
    v = w = b.param("n", I32)
    for k in range(n // 2):
        v, w = b.iadd(v, one), b.iadd(w, one)
    b.st(x, v, space="global", to=I32)
    b.st(x, w, space="global", to=I32)
    b.ret()
    return b.finish()


def test_long_chains():
    """No recursion over the depth of a computation; the second half of the chain is a copy of the first."""
    k = chain(100_000)
    after = cleanup(k)
    assert sum(1 for _ in after.instrs()) == 50_000 + 4
    assert decompose(k, FACTS) is k
    verify(after)


def test_many_blocks():
    """Neither over the number of blocks, nor over that of nested dominators."""
    b = KernelBuilder("k")
    p = b.param("p", I1)
    for _ in range(1500):
        rest, side = b.block("rest"), b.block("side")
        b.branch(p, side, rest)
        b.start(side)
        b.jump(rest)
        b.start(rest)
    b.ret()
    k = b.finish()
    assert len(reverse_post_order(k)) == 3001 and dominators(k)[-2] == len(k.blocks) - 4
    assert cleanup(k) is k and verify(k) is k


# ---- pipelines ------------------------------------------------------------------------------------------------------


def test_steps_are_shown():
    seen = []
    kernel_pipeline(FACTS).run(kernel(MINIMAL), check=True, on_pass_end=lambda p, before, after, seconds: seen.append((p.name, before is after, seconds >= 0)))
    assert seen == [("merge", True, True), ("simplify", True, True), ("decompose", True, True), ("cleanup", True, True)]
    assert repr(kernel_pipeline(FACTS)) == "Pipeline(merge → simplify → decompose → cleanup)"


def test_a_failing_pass_leaves_its_input(tmp_path, monkeypatch):
    monkeypatch.setenv("PTXJIT_DUMP", str(tmp_path))
    k = kernel(MINIMAL)

    def fail(_):
        raise ZeroDivisionError("oh")

    with pytest.raises(BugError, match="pass broken failed: ZeroDivisionError: oh") as e:
        Pipeline([Pass("broken", "", fail)], "interp").run(k)
    file = tmp_path / "before-broken.ir"
    assert dump(parse(file.read_text())) == dump(k)
    assert f"-m ptxjit.ir.rewrite {file} broken interp" in e.value.hint


def test_a_pass_that_breaks_a_promise_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PTXJIT_DUMP", str(tmp_path))
    bad = kernel("^0 entry():\n%0: i64 = iadd %n, %n\nreturn")
    with pytest.raises(BugError, match="pass breaks failed: BugError.*iadd gives i32"):
        Pipeline([Pass("breaks", "", lambda k: bad)]).run(kernel(MINIMAL), check=True)


def test_a_users_error_is_not_a_bug():
    def full(_):
        raise ResourceError("too many registers")

    with pytest.raises(ResourceError, match="too many registers"):
        Pipeline([Pass("full", "", full)]).run(kernel(MINIMAL))


def test_replay(tmp_path, capsys):
    file = tmp_path / "k.ir"
    k = kernel("^0 entry():\n%0: i32 = iadd %n, %n\nst %x, %n {to=!i32}\nreturn")
    file.write_text(dump(k))
    assert main([str(file), "cleanup", "interp"]) == 0
    assert capsys.readouterr().out == dump(cleanup(k)) + "\n"
