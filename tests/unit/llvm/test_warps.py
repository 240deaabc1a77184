"""Widened kernels: shapes of values over a warp, divergent loops, spinning, against Python integers and NumPy; in each form of blocks, with the
masked accesses of AVX-512 and without."""
from __future__ import annotations

import random

import numpy as np
import pytest

import ptxjit as pj
from ptxjit.ir.kernel import KernelBuilder
from ptxjit.ir.op import op
from ptxjit.ir.types import I32, I64
from ptxjit.targets import target
from ptxjit.targets.cpu.load import LINUX_X86
from ptxjit.targets.llvm.compile import level_of
from ptxjit.targets.llvm.lanes import BITWISE, FORMS, SCALAR, Lanes, Shape, added, bitwise, form_of, met, regroup, shifted, times

pytestmark = pytest.mark.skipif(not LINUX_X86, reason="runs what the x86-64 Linux linker made: run it on such a machine")
HEAD = ".version 7.8\n.target sm_80\n.address_size 64\n"
BLOCKS = [(96, 1, 1), (64, 2, 1), (16, 4, 1), (16, 2, 3), (16, 3, 1), (8, 8, 2), (8, 5, 1), (12, 5, 1), (7, 1, 1), (16, 3, 2), (45, 1, 1)]


def module(text, mode="auto", machine="cpu:host"):
    mod = pj.load_ptx(HEAD + text)
    mod.mode, mod.target = mode, target(machine)
    return mod


MACHINES = pytest.mark.parametrize("machine", [m for m in ("cpu:host", "cpu:x86-64-v3") if target(m).runs_kernels])
WIDTHS = pytest.mark.parametrize("mode", ["auto", "auto:16", "auto:8"])


# ---- shapes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block, form", [((32, 4, 2), "rows of 32"), ((100, 1, 1), "rows of 32"), ((16, 2, 5), "rows of 16"), ((16, 3, 1), "rows of 16"),
                                         ((16, 3, 2), "any"), ((8, 4, 4), "rows of 8"), ((8, 2, 4), "any"), ((12, 4, 1), "any"), ((96, 3, 1), "rows of 32")])  # fmt: skip
def test_forms(block, form):
    assert form_of((5, 1, 1), block) == form
    assert form_of((1 << 31, 1, 1), block) == "any"


def lanes_of(s, scalars):
    return [scalars[n // s.group] + s.offs[n] for n in range(32)]


def test_arithmetic_of_shapes_is_that_of_the_lanes():
    rng = random.Random(5)
    for _ in range(2000):
        group = rng.choice([32, 16, 8])
        zeros = rng.choice([0, 3, 5])
        step = rng.choice([0, 1, 1, 4])
        a = Shape(group, tuple(n % group * step for n in range(32)), (), zeros)
        base = [rng.randrange(1 << 12) << zeros for _ in range(32 // group)]
        values = lanes_of(a, base)
        c = rng.choice([0, 1, 7, 24, 31, 32, 96, -32, -1, 5])
        for got, want in ((times(a, c), [v * c for v in values]), (bitwise("and", a, c), [v & c for v in values]), (bitwise("or", a, c), [v | c for v in values]),
                          (bitwise("xor", a, c), [v ^ c for v in values]), (shifted(a, abs(c), 32), [v >> abs(c) for v in values]),
                          (added(a, regroup(a, 8)), [2 * v for v in values]), (added(a, Shape(32, (0,) * 32), -1), values)):  # fmt: skip
            if got is not None:
                firsts = [want[n] for n in range(0, 32, got.group)]
                assert lanes_of(got, firsts) == want
                assert all(f % (1 << min(got.zeros, 40)) == 0 for f in firsts)
        both = met(a, regroup(a, 8))
        assert both is not None and both.group == 8


def test_ctaid_ntid_tid_needs_no_question():
    b = KernelBuilder("k", lanes=None, warps=None)
    out = b.param("out", I64, role="scalar")
    i = b.iadd(b.imul(b.sreg(name="ctaid.x"), b.sreg(name="ntid.x")), b.sreg(name="tid.x"))
    n = b.param("n", I32, role="scalar")
    b.st(b.iadd(out, b.sext(i, to=I64)), b.sext(b.iadd(i, n), to=I64), space="global", to=I64)
    b.ret()
    k = b.finish()
    wide = [i.result for i in k.instrs() if i.op.name == "sext"]
    given = {p.value.id for p in k.params}
    found = Lanes(k, FORMS[0]).solve([0], lambda v: v.id in given, ())
    assert found[wide[0].id].anchors == () and found[wide[0].id].offs == tuple(range(32))
    assert [x.id for x, _, _ in found[wide[1].id].anchors] != []
    assert found.get(wide[0].id) and wide[0].id not in Lanes(k, "any").solve([0], lambda v: v.id in given, ())


class Random:
    """PTX of random integer arithmetic over %tid, and what each thread has, by Python's integers."""

    def __init__(self, seed, count=40):
        self.rng = random.Random(seed)
        self.lines, self.plan = [], []
        self.regs = {32: ["x", "y", "z", "p", "c"], 64: []}
        for n in range(count):
            self.step(n)

    def step(self, n):
        rng = self.rng
        kind = rng.choice(["add", "add", "sub", "mul", "mulc", "shl", "shr", "and", "or", "xor", "sext", "zext", "trunc"])
        bits = 64 if kind in ("sext", "zext") else 32 if kind == "trunc" else rng.choice([32, 32, 64])
        source = 32 if kind in ("sext", "zext") else 64 if kind == "trunc" else bits
        if not self.regs[source]:
            return
        a, b, d = rng.choice(self.regs[source]), rng.choice(self.regs[source]), f"t{n}"
        c = rng.choice([0, 1, 2, 3, 4, 5, 7, 16, 24, 31, 32, 64, 255, -1, -4, 0x7FFFFFF0])
        s = rng.choice([0, 1, 2, 3, 4, 5, 9])
        u, w = f"%{'r' if source == 32 else 'q'}_", f"%{'r' if bits == 32 else 'q'}_"
        text = {"add": f"add.s{bits} {w}{d}, {u}{a}, {u}{b};", "sub": f"sub.s{bits} {w}{d}, {u}{a}, {u}{b};", "mul": f"mul.lo.s{bits} {w}{d}, {u}{a}, {u}{b};",
                "mulc": f"mul.lo.s{bits} {w}{d}, {u}{a}, {c};", "shl": f"shl.b{bits} {w}{d}, {u}{a}, {s};", "shr": f"shr.{rng.choice('su')}{bits} {w}{d}, {u}{a}, {s};",
                "and": f"and.b{bits} {w}{d}, {u}{a}, {c};", "or": f"or.b{bits} {w}{d}, {u}{a}, {c};", "xor": f"xor.b{bits} {w}{d}, {u}{a}, {c};",
                "sext": f"cvt.s64.s32 {w}{d}, {u}{a};", "zext": f"cvt.u64.u32 {w}{d}, {u}{a};", "trunc": f"cvt.u32.u64 {w}{d}, {u}{a};"}[kind]  # fmt: skip
        self.lines.append(text)
        self.plan.append((kind, bits, source, a, b, d, c, s, ".s" in text.split()[0]))
        self.regs[bits].append(d)

    def text(self):
        results = [(bits, r) for bits in (32, 64) for r in self.regs[bits]]
        names = {32: self.regs[32], 64: self.regs[64]}
        out = [".visible .entry k(.param .u64 out, .param .u32 p) {", *(f".reg .b32 %r_{r};" for r in names[32]), *(f".reg .b64 %q_{r};" for r in names[64]),
               ".reg .b32 %lin, %t; .reg .b64 %o, %at, %v;", "ld.param.u64 %o, [out];", "ld.param.u32 %r_p, [p];", "mov.u32 %r_x, %tid.x;", "mov.u32 %r_y, %tid.y;",
               "mov.u32 %r_z, %tid.z;", "mov.u32 %r_c, %ctaid.x;", "mov.u32 %t, %ntid.y;", "mad.lo.s32 %lin, %r_z, %t, %r_y;", "mov.u32 %t, %ntid.x;",
               "mad.lo.s32 %lin, %lin, %t, %r_x;", *self.lines]  # fmt: skip
        for n, (bits, r) in enumerate(results):
            out += [f"cvt.u64.u32 %v, %r_{r};" if bits == 32 else f"mov.u64 %v, %q_{r};", f"mad.lo.s32 %t, %lin, {len(results)}, {n};",
                    "mul.wide.s32 %at, %t, 8;", "add.s64 %at, %at, %o;", "st.global.u64 [%at], %v;"]  # fmt: skip
        return "\n".join([*out, "ret;", "}"]), results

    def want(self, x, y, z, p):
        have = {"x": x, "y": y, "z": z, "p": p & 0xFFFFFFFF, "c": 0}
        for kind, bits, source, a, b, d, c, s, signed in self.plan:
            v, w, top = have[a], have[b], 1 << source
            exact = v - top if v >> (source - 1) else v
            r = {"add": v + w, "sub": v - w, "mul": v * w, "mulc": v * c, "shl": v << s, "shr": (exact if signed else v) >> s, "and": v & c, "or": v | c,
                 "xor": v ^ c, "sext": exact, "zext": v, "trunc": v}[kind]  # fmt: skip
            have[d] = r & ((1 << bits) - 1)
        return have


@pytest.mark.parametrize("seed", range(12))
def test_random_arithmetic_over_the_lanes(seed):
    program = Random(seed)
    text, results = program.text()
    mod = module(text, ("auto", "auto:16", "auto:8")[seed % 3])
    for block in random.Random(seed).sample(BLOCKS, 4):
        for p in (3, 0x7FFFFFF0, -7):
            threads = block[0] * block[1] * block[2]
            out = np.zeros((threads, len(results)), np.uint64)
            mod["k"].launch(out, np.int32(p), grid=1, block=block)
            for t in range(threads):
                have = program.want(t % block[0], t // block[0] % block[1], t // (block[0] * block[1]), p)
                want = [have[r] for _, r in results]
                assert out[t].tolist() == want, (block, p, t)
    assert mod["k"].stats()["mode"] == "widened"


WRAP = """
.visible .entry wrap(.param .u64 src, .param .u64 dst, .param .u32 start, .param .u32 n) {
    .reg .pred %p; .reg .b32 %r<9>; .reg .b64 %a<9>;
    ld.param.u64 %a1, [src]; ld.param.u64 %a2, [dst]; ld.param.u32 %r1, [start]; ld.param.u32 %r2, [n];
    mov.u32 %r3, %tid.x;
    add.u32 %r4, %r3, %r1;
    setp.ge.u32 %p, %r4, %r2;
    @%p bra done;
    mul.wide.u32 %a3, %r4, 4; add.s64 %a4, %a1, %a3;
    ld.global.u32 %r5, [%a4];
    add.s64 %a5, %a2, %a3;
    st.global.u32 [%a5], %r5;
done:
    ret;
}"""


@MACHINES
@WIDTHS
@pytest.mark.parametrize("start", [0, 5, -1, -16, -40, -64])
def test_addresses_that_wrap_within_a_warp(start, mode, machine):
    """start + tid wraps past zero: the lanes before it are out of range and take no part."""
    src, dst = np.arange(100, dtype=np.uint32) + 7, np.zeros(100, np.uint32)
    module(WRAP, mode, machine)["wrap"].launch(src, dst, np.uint32(start & 0xFFFFFFFF), np.uint32(100), grid=1, block=96)
    touched = np.arange(max(0, start), min(100, start + 96))
    want = np.zeros(100, np.uint32)
    want[touched] = touched + 7
    np.testing.assert_array_equal(dst, want)


TILE = """
.visible .entry tile(.param .u64 src, .param .u64 dst, .param .u32 pitch) {
    .reg .b32 %r<20>; .reg .b64 %a<12>; .reg .f32 %f<6>; .shared .align 4 .b8 buf[4096];
    ld.param.u64 %a1, [src]; ld.param.u64 %a2, [dst]; ld.param.u32 %r1, [pitch];
    mov.u32 %r2, %tid.x; mov.u32 %r3, %tid.y; mov.u32 %r4, %ntid.x; mov.u32 %r5, %ntid.y;
    mad.lo.s32 %r6, %r3, %r1, %r2; mul.wide.s32 %a3, %r6, 4; add.s64 %a4, %a1, %a3; ld.global.f32 %f1, [%a4];
    mad.lo.s32 %r7, %r3, %r4, %r2; shl.b32 %r8, %r7, 2; mov.u32 %r9, buf; add.s32 %r10, %r9, %r8; st.shared.f32 [%r10], %f1;
    bar.sync 0;
    mul.lo.s32 %r11, %r3, %r4; shl.b32 %r12, %r11, 2; add.s32 %r13, %r9, %r12; ld.shared.f32 %f2, [%r13];
    shl.b32 %r14, %r2, 2; add.s32 %r15, %r9, %r14; ld.shared.f32 %f3, [%r15];
    fma.rn.f32 %f4, %f2, %f3, %f1;
    mul.wide.s32 %a5, %r7, 4; add.s64 %a6, %a2, %a5; st.global.f32 [%a6], %f4;
    ret;
}"""


@MACHINES
@WIDTHS
@pytest.mark.parametrize("block", [(16, 16), (8, 8), (8, 5), (32, 4), (16, 3), (12, 4)])
def test_rows_of_a_tile(block, mode, machine):
    """Rows, columns and single elements of a tile in shared memory, whole and partial warps."""
    x, y = block
    src = np.random.default_rng(3).standard_normal((y, 40)).astype(np.float32)
    dst = np.zeros((y, x), np.float32)
    mod = module(TILE, mode, machine)
    mod["tile"].launch(src, dst, np.int32(40), grid=1, block=block)
    a = src[:, :x].astype(np.float64)
    np.testing.assert_array_equal(dst, (a[:, :1] * a[:1] + a).astype(np.float32))


# ---- divergent loops ------------------------------------------------------------------------------------------------

LOOPS = """
.visible .entry loops(.param .u64 data, .param .u64 out, .param .u32 n) {
    .reg .pred %p<9>; .reg .b32 %r<20>; .reg .b64 %a<9>;
    ld.param.u64 %a1, [data]; ld.param.u64 %a2, [out]; ld.param.u32 %r1, [n];
    mov.u32 %r2, %tid.x; mov.u32 %r3, %ntid.x; mov.u32 %r4, 0; mov.u32 %r5, %r2; mov.u32 %r12, 0;
    setp.ge.u32 %p1, %r5, %r1; @%p1 bra out;
outer:
    mul.wide.u32 %a3, %r5, 4; add.s64 %a4, %a1, %a3; ld.global.u32 %r6, [%a4];
    mov.u32 %r7, 0; mov.u32 %r8, %r6;
inner:
    setp.lt.u32 %p2, %r8, 2; @%p2 bra left;
    and.b32 %r9, %r8, 1; setp.eq.u32 %p3, %r9, 0; @%p3 bra even;
    mad.lo.u32 %r8, %r8, 3, 1; add.u32 %r7, %r7, 1; bra inner;
even:
    shr.u32 %r8, %r8, 1; add.u32 %r7, %r7, 1; bra inner;
left:
    add.u32 %r4, %r4, %r7; add.u32 %r12, %r12, 1; setp.gt.u32 %p4, %r4, 400; @%p4 bra out;
    add.u32 %r5, %r5, %r3; setp.lt.u32 %p5, %r5, %r1; @%p5 bra outer;
out:
    mul.wide.u32 %a5, %r2, 8; add.s64 %a6, %a2, %a5; st.global.v2.u32 [%a6], {%r4, %r12};
    ret;
}"""


@MACHINES
@WIDTHS
@pytest.mark.parametrize("n", [0, 20, 77, 500])
def test_nested_loops_that_lanes_leave_one_by_one(n, mode, machine):
    """Collatz lengths of a thread's numbers, until more than 400 steps: counters and results live behind the loops."""
    data = np.random.default_rng(1).integers(1, 200, max(n, 1)).astype(np.uint32)
    out = np.zeros((64, 2), np.uint32)
    mod = module(LOOPS, mode, machine)
    mod["loops"].launch(data, out, np.uint32(n), grid=1, block=64)
    for t in range(64):
        total = turns = 0
        for v in map(int, data[t:n:64]):
            while v > 1:
                v, total = v // 2 if v % 2 == 0 else 3 * v + 1, total + 1
            turns += 1
            if total > 400:
                break
        assert out[t].tolist() == [total, turns]
    assert mod["loops"].stats()["mode"] == "widened"


# ---- waiting for others ---------------------------------------------------------------------------------------------

CHAIN = """
.visible .entry chain(.param .u64 flags, .param .u64 out) {
    .reg .pred %p<5>; .reg .b32 %r<9>; .reg .b64 %a<9>; .shared .align 4 .b8 got[4];
    ld.param.u64 %a1, [flags]; ld.param.u64 %a2, [out];
    mov.u32 %r1, %ctaid.x; mov.u32 %r2, %tid.x; mov.u32 %r8, got;
    mul.wide.u32 %a3, %r1, 4; add.s64 %a4, %a1, %a3;
    setp.ne.u32 %p1, %r2, WHO; @%p1 bra meet;
    mov.u32 %r3, 1;
    setp.eq.u32 %p2, %r1, 0; @%p2 bra first;
wait:
    ld.volatile.global.u32 %r3, [%a4+-4]; setp.eq.u32 %p3, %r3, 0; @%p3 bra wait;
    add.u32 %r3, %r3, 1;
first:
    st.volatile.global.u32 [%a4], %r3; st.shared.u32 [%r8], %r3;
meet:
    bar.sync 0;
    ld.shared.u32 %r4, [%r8]; mov.u32 %r5, %ntid.x; mad.lo.u32 %r6, %r1, %r5, %r2; mul.wide.u32 %a5, %r6, 4; add.s64 %a6, %a2, %a5;
    st.global.u32 [%a6], %r4;
    ret;
}"""


@pytest.mark.parametrize("who", [0, 37])
def test_one_lane_waits_for_the_block_before(who):
    flags, out = np.zeros(50, np.uint32), np.zeros((50, 96), np.uint32)
    mod = module(CHAIN.replace("WHO", str(who)))
    mod["chain"].launch(flags, out, grid=50, block=96)
    np.testing.assert_array_equal(out, np.broadcast_to(np.arange(1, 51)[:, None], (50, 96)))
    assert mod["chain"].stats()["mode"] == "widened"


RELAY = """
.visible .entry relay(.param .u64 out, .param .u32 last) {
    .reg .pred %p<5>; .reg .b32 %r<9>; .reg .b64 %a<9>; .shared .align 4 .b8 turn[4];
    ld.param.u64 %a1, [out]; ld.param.u32 %r9, [last];
    mov.u32 %r2, %tid.x; mov.u32 %r8, turn; shr.u32 %r1, %r2, 5; mov.u32 %r3, 0;
    setp.ne.u32 %p1, %r2, 0; @%p1 bra ready; st.shared.u32 [%r8], %r3;
ready:
    bar.sync 0;
    sub.u32 %r4, %r9, %r1;
wait:
    ld.volatile.shared.u32 %r5, [%r8]; setp.ne.u32 %p2, %r5, %r4; @%p2 bra wait;
    bar.warp.sync 0xffffffff;
    and.b32 %r6, %r2, 31; setp.ne.u32 %p3, %r6, 0; @%p3 bra over;
    add.u32 %r5, %r5, 1; st.volatile.shared.u32 [%r8], %r5;
over:
    mul.wide.u32 %a3, %r2, 4; add.s64 %a4, %a1, %a3; st.global.u32 [%a4], %r4;
    ret;
}""".replace("%r<9>", "%r<10>")


def test_whole_warps_wait_for_one_another():
    """Warps take turns from the last to the first: a uniform loop, in which each gives way."""
    out = np.zeros(128, np.uint32)
    mod = module(RELAY)
    mod["relay"].launch(out, np.uint32(3), grid=1, block=128)
    np.testing.assert_array_equal(out, 3 - np.arange(128) // 32)


LOCK = """
.visible .entry lock(.param .u64 mutex, .param .u64 count) {
    .reg .pred %p<5>; .reg .b32 %r<9>; .reg .b64 %a<9>;
    ld.param.u64 %a1, [mutex]; ld.param.u64 %a2, [count];
wait:
    atom.global.cas.b32 %r1, [%a1], 0, 1; setp.ne.u32 %p1, %r1, 0; @%p1 bra wait;
    ld.volatile.global.u32 %r2, [%a2]; add.u32 %r2, %r2, 1; st.volatile.global.u32 [%a2], %r2;
    membar.gl;
    atom.global.exch.b32 %r3, [%a1], 0;
    ret;
}"""
HANDOVER = """
.visible .entry handover(.param .u64 flag, .param .u64 out) {
    .reg .pred %p<5>; .reg .b32 %r<9>; .reg .b64 %a<9>;
    ld.param.u64 %a1, [flag]; ld.param.u64 %a2, [out]; mov.u32 %r1, %tid.x;
    setp.ne.u32 %p1, %r1, 5; @%p1 bra on;
wait:
    ld.volatile.global.u32 %r2, [%a1]; setp.eq.u32 %p2, %r2, 0; @%p2 bra wait;
    st.global.u32 [%a2], %r2;
on:
    setp.ne.u32 %p3, %r1, 9; @%p3 bra done;
    mov.u32 %r3, 77; st.volatile.global.u32 [%a1], %r3;
done:
    ret;
}"""


def test_lanes_that_wait_for_lanes_of_their_warp_go_one_by_one():
    mutex, count = np.zeros(1, np.uint32), np.zeros(1, np.uint32)
    mod = module(LOCK)
    mod["lock"].launch(mutex, count, grid=4, block=64)
    assert (int(mutex[0]), int(count[0])) == (0, 256)
    assert "may be lanes of its warp" in mod["lock"].stats()["mode"]
    flag, out = np.zeros(1, np.uint32), np.zeros(1, np.uint32)
    mod = module(HANDOVER)
    mod["handover"].launch(flag, out, grid=1, block=32)
    assert int(out[0]) == 77 and "may be lanes of its warp" in mod["handover"].stats()["mode"]


# ---- atomics --------------------------------------------------------------------------------------------------------

REDS = """
.visible .entry reds(.param .u64 x, .param .u64 out) {
    .reg .pred %p<3>; .reg .b32 %r<9>; .reg .b64 %a<9>; .shared .align 4 .b8 bins[64];
    ld.param.u64 %a1, [x]; ld.param.u64 %a2, [out]; mov.u32 %r1, %tid.x; mov.u32 %r8, bins;
    setp.gt.u32 %p1, %r1, 15; shl.b32 %r2, %r1, 2; add.s32 %r3, %r8, %r2; mov.u32 %r7, 0;
    @!%p1 st.shared.u32 [%r3], %r7;
    bar.sync 0;
    mul.wide.u32 %a3, %r1, 4; add.s64 %a4, %a1, %a3; ld.global.u32 %r4, [%a4];
    and.b32 %r5, %r4, 15; shl.b32 %r5, %r5, 2; add.s32 %r6, %r8, %r5; red.shared.add.u32 [%r6], %r4;
    setp.lt.s32 %p2, %r4, 0;
    @%p2 red.global.add.u32 [%a2], %r4; red.global.min.s32 [%a2+4], %r4; red.global.max.u32 [%a2+8], %r4; red.global.xor.b32 [%a2+12], %r4;
    bar.sync 0;
    @%p1 bra done;
    ld.shared.u32 %r4, [%r3]; add.s64 %a5, %a2, %a3; st.global.u32 [%a5+16], %r4;
done:
    ret;
}"""


@pytest.mark.parametrize("mode", ["auto", "dispatch"])
def test_reductions_of_all_lanes(mode):
    x = np.random.default_rng(9).integers(-1000, 1000, 80).astype(np.int32)
    out = np.zeros(20, np.uint32)
    module(REDS, mode)["reds"].launch(x, out, grid=1, block=80)
    bins = np.zeros(16, np.int64)
    np.add.at(bins, x & 15, x)
    bits = x.view(np.uint32)
    assert out[:4].view(np.int32).tolist() == [x[x < 0].sum(), x.min(), np.int32(bits.max().view(np.int32)), np.bitwise_xor.reduce(x)]
    np.testing.assert_array_equal(out[4:].view(np.int32), bins)


def test_doctor_counts_instructions():
    stats = module(WRAP)["wrap"].compile().stats()
    assert stats["instructions"] > 5 and abs(sum(stats["share"].values()) - 1) < 0.01 and stats["blocks"] == "rows of 32" and stats["level"] == 2
    assert module(WRAP, "dispatch")["wrap"].compile().stats()["share"]["lane by lane"] == 1


def test_the_optimiser_does_less_for_huge_kernels():
    assert level_of("a line\n" * 1000) == 2 and level_of("a line\n" * 30_000) == 1


CAS = """
.visible .entry highest(.param .u64 x, .param .u64 out) {
    .reg .pred %p<5>; .reg .b32 %r<9>; .reg .f32 %f<5>; .reg .b64 %a<9>;
    ld.param.u64 %a1, [x]; ld.param.u64 %a2, [out]; mov.u32 %r1, %tid.x; mov.u32 %r8, %ctaid.x; mov.u32 %r7, %ntid.x; mad.lo.u32 %r1, %r8, %r7, %r1;
    mul.wide.u32 %a3, %r1, 4; add.s64 %a4, %a1, %a3; ld.global.f32 %f1, [%a4]; ld.global.u32 %r2, [%a2];
again:
    mov.b32 %f2, %r2; max.f32 %f3, %f1, %f2; mov.b32 %r4, %f3;
    atom.global.cas.b32 %r3, [%a2], %r2, %r4;
    setp.ne.u32 %p1, %r3, %r2; mov.u32 %r2, %r3; @%p1 bra again;
    st.global.f32 [%a4], %f3;
    ret;
}"""


def test_compare_and_swap_that_is_retried_is_no_waiting():
    x = np.random.default_rng(2).standard_normal(3 * 70).astype(np.float32)
    want, out = x.max(), np.full(1, -np.inf, np.float32)
    mod = module(CAS)
    mod["highest"].launch(x, out, grid=3, block=70)
    assert out[0] == want and x.max() == want and mod["highest"].stats()["mode"] == "widened"


COPIES = """
.visible .entry fetch(.param .u64 src, .param .u64 dst, .param .u32 n) {
    .reg .pred %p<3>; .reg .b32 %r<12>; .reg .b64 %a<9>; .shared .align 16 .b8 buf[2048];
    ld.param.u64 %a1, [src]; ld.param.u64 %a2, [dst]; ld.param.u32 %r1, [n]; mov.u32 %r2, %tid.x; mov.u32 %r3, buf;
    shl.b32 %r4, %r2, 4; add.u32 %r5, %r3, %r4; cvt.u64.u32 %a3, %r4; add.s64 %a4, %a1, %a3;
    setp.lt.u32 %p1, %r2, %r1; selp.u32 %r6, 16, 4, %p1;
    cp.async.cg.shared.global [%r5], [%a4], 16, %r6; cp.async.commit_group; cp.async.wait_all;
    bar.sync 0;
    ld.shared.v4.u32 {%r7, %r8, %r9, %r10}, [%r5]; add.s64 %a5, %a2, %a3; st.global.v4.u32 [%a5], {%r7, %r8, %r9, %r10};
    ret;
}"""


@MACHINES
def test_asynchronous_copies_of_a_warp(machine):
    """The last lanes read 4 of their 16 bytes; the rest is zero."""
    src, dst = np.arange(1, 281, dtype=np.uint32), np.zeros(280, np.uint32)
    mod = module(COPIES, machine=machine)
    mod["fetch"].launch(src, dst, np.uint32(50), grid=1, block=70)
    want = src.copy().reshape(70, 4)
    want[50:, 1:] = 0
    np.testing.assert_array_equal(dst, want.reshape(-1))
    assert mod["fetch"].stats()["mode"] == "widened"


PARTLY = """
.visible .entry sums(.param .u64 dst, .param .u32 n) {
    .reg .pred %p<3>; .reg .b32 %r<12>; .reg .b64 %a<4>;
    ld.param.u64 %a1, [dst]; ld.param.u32 %r1, [n]; mov.u32 %r2, %tid.x; add.u32 %r9, %r2, 1;
    setp.ge.u32 %p1, %r2, %r1; mul.wide.u32 %a2, %r2, 4; add.s64 %a3, %a1, %a2;
    @%p1 bra REST;
    vote.sync.ballot.b32 %r3, 1, 0xffffffff; popc.b32 %r4, %r3;
    shfl.sync.idx.b32 %r5, %r9, 1, 31, 0xffffffff; add.u32 %r6, %r4, %r5; st.global.u32 [%a3], %r6;
    bra.uni DONE;
REST:
    st.global.u32 [%a3], %r9;
DONE:
    BAR
    ret;
}"""


@MACHINES
@pytest.mark.parametrize("mode", ["auto", "dispatch"])
def test_a_member_mask_may_name_lanes_that_leave(mode, machine):
    """Lanes that only exit on their way are not waited for; those that come to a barrier are, and never arrive."""
    mod = module(PARTLY.replace("BAR", ""), mode, machine)
    out = np.zeros(64, np.uint32)
    mod["sums"].launch(out, np.uint32(45), grid=1, block=64)
    assert out.tolist() == [32 + 2] * 32 + [13 + 34] * 13 + list(range(46, 65))
    assert mod["sums"].stats()["mode"] == "widened" or mode == "dispatch"
    stuck = module(PARTLY.replace("BAR", "bar.sync 0;"), mode, machine)
    with pytest.raises(pj.errors.DeviceError, match="deadlock"):
        stuck["sums"].launch(out, np.uint32(45), grid=1, block=64)


def test_shapes_know_ops_by_the_names_of_the_table():
    assert all(op(name) is not None for name in SCALAR | set(BITWISE))


TEAMS = """
.visible .entry teams(.param .u64 out) {
    .reg .pred %p<3>; .reg .b32 %r<12>; .reg .b64 %a<9>; .shared .align 4 .b8 cells[512];
    ld.param.u64 %a1, [out]; mov.u32 %r1, %tid.x; shr.s32 %r2, %r1, 6; add.s32 %r3, %r2, 3; mov.u32 %r4, cells; mad.lo.u32 %r5, %r1, 4, %r4;
    st.shared.u32 [%r5], %r1; barrier.sync %r3, 64;
    xor.b32 %r6, %r1, 63; mad.lo.u32 %r7, %r6, 4, %r4; ld.shared.u32 %r8, [%r7]; setp.ne.s32 %p1, %r2, 0; @%p1 bra done;
    barrier.sync 5, 64; add.u32 %r8, %r8, 1000;
done:
    mul.wide.u32 %a2, %r1, 4; add.s64 %a3, %a1, %a2; st.global.u32 [%a3], %r8;
    ret;
}"""


def test_what_is_the_same_for_a_warp_by_its_threads_numbers():
    """tid >> 6 is: a barrier may have that number, and stand behind a branch on it."""
    for mode in ("auto", "dispatch"):
        out, mod = np.zeros(128, np.uint32), module(TEAMS, mode)
        mod["teams"].launch(out, grid=1, block=128)
        assert out.tolist() == [(n ^ 63) + 1000 * (n < 64) for n in range(128)]
    assert module(TEAMS)["teams"].stats()["mode"] == "widened"


LATEST = """
.visible .entry highest(.param .u64 x, .param .u64 out) {
    .reg .pred %p<5>; .reg .b32 %r<9>; .reg .b64 %a<9>;
    ld.param.u64 %a1, [x]; ld.param.u64 %a2, [out]; mov.u32 %r1, %tid.x; mov.u32 %r8, %ctaid.x; mov.u32 %r7, %ntid.x; mad.lo.u32 %r1, %r8, %r7, %r1;
    mul.wide.u32 %a3, %r1, 4; add.s64 %a4, %a1, %a3; ld.global.u32 %r5, [%a4]; ld.volatile.global.u32 %r2, [%a2];
again:
    setp.ge.s32 %p2, %r2, %r5; @%p2 bra done;
    atom.global.cas.b32 %r3, [%a2], %r2, %r5; setp.eq.u32 %p1, %r3, %r2; @%p1 bra done;
    mov.u32 %r2, %r3; bra again;
done:
    ret;
}"""
ONE_LANE = """
.visible .entry lock(.param .u64 mutex, .param .u64 count, .param .u32 rounds) {
    .reg .pred %p<5>; .reg .b32 %r<9>; .reg .b64 %a<9>;
    ld.param.u64 %a1, [mutex]; ld.param.u64 %a2, [count]; ld.param.u32 %r7, [rounds]; mov.u32 %r1, %tid.x; and.b32 %r1, %r1, 31;
    setp.ne.s32 %p1, %r1, 0; @%p1 bra done;
take:
    atom.global.cas.b32 %r2, [%a1], 0, 1; setp.ne.s32 %p2, %r2, 0; @%p2 bra take;
    ld.volatile.global.u32 %r3, [%a2]; add.u32 %r3, %r3, 1; st.volatile.global.u32 [%a2], %r3; membar.gl; atom.global.exch.b32 %r4, [%a1], 0;
    sub.s32 %r7, %r7, 1; setp.gt.s32 %p3, %r7, 0; @%p3 bra take;
done:
    ret;
}"""


UNOPTIMISED = pytest.mark.parametrize("turned", [lambda text: text, lambda text: text.replace("@%p1 bra done;", "not.pred %p4, %p1; @!%p4 bra done;")])


@UNOPTIMISED
def test_a_retried_compare_and_swap_may_also_give_up(turned):
    x = np.random.default_rng(3).integers(-1000, 1000, 3 * 70).astype(np.int32)
    out, mod = np.full(1, -5000, np.int32), module(turned(LATEST))
    mod["highest"].launch(x, out, grid=3, block=70)
    assert out[0] == x.max() and mod["highest"].stats()["mode"] == "widened"


@UNOPTIMISED
def test_one_lane_of_each_warp_takes_a_lock_again_and_again(turned):
    """Nobody of its warp waits for it where it writes."""
    mutex, count, mod = np.zeros(1, np.uint32), np.zeros(1, np.uint32), module(turned(ONE_LANE))
    mod["lock"].launch(mutex, count, 7, grid=5, block=96)
    assert (int(mutex[0]), int(count[0])) == (0, 105) and mod["lock"].stats()["mode"] == "widened"


# groups of eight lanes with a member mask each, of which the first and the third go in; then all four
MASKED = """
.visible .entry tiles(.param .u64 x, .param .u64 out) {
    .reg .pred %p<6>; .reg .b32 %r<32>; .reg .b64 %a<9>;
    ld.param.u64 %a1, [x]; ld.param.u64 %a2, [out]; mov.u32 %r1, %tid.x; mul.wide.u32 %a3, %r1, 4; add.s64 %a4, %a1, %a3; ld.global.u32 %r2, [%a4];
    mul.wide.u32 %a5, %r1, 32; add.s64 %a6, %a2, %a5; and.b32 %r3, %r1, 24; mov.u32 %r4, 255; shl.b32 %r4, %r4, %r3;
    and.b32 %r5, %r1, 8; setp.ne.u32 %p1, %r5, 0; CHOICE
    BODY
done:
    ret;
}"""
MEET = """
    setp.gt.s32 %p2, %r2, 0; vote.sync.ballot.b32 %r6, %p2, %r4; vote.sync.any.pred %p3, %p2, %r4; vote.sync.all.pred %p4, %p2, %r4;
    selp.u32 %r7, 1, 0, %p3; selp.u32 %r8, 2, 0, %p4; or.b32 %r7, %r7, %r8;
    redux.sync.add.s32 %r9, %r2, %r4; and.b32 %r10, %r2, 1; match.any.sync.b32 %r11, %r10, %r4; match.all.sync.b32 %r12|%p5, %r10, %r4;
    shfl.sync.bfly.b32 %r13, %r2, 3, 0x181f, %r4; shfl.sync.idx.b32 %r14, %r2, 2, 0x181f, %r4; add.s32 %r13, %r13, %r14; bar.warp.sync %r4;
    st.global.v4.u32 [%a6], {%r6, %r7, %r9, %r11}; st.global.v2.u32 [%a6+16], {%r12, %r13};
"""


@MACHINES
@pytest.mark.parametrize("mode", ["auto", "dispatch"])
@pytest.mark.parametrize("some", [False, True])
def test_groups_of_lanes_with_a_mask_each(some, mode, machine):
    text = MASKED.replace("CHOICE", "@%p1 bra done;" if some else "").replace("BODY", MEET)
    if some:  # those that do not go in come to a barrier of the warp with a mask of their own
        text = text.replace("done:", "st.global.u32 [%a6+24], %r1; bra end;\ndone: bar.warp.sync %r4; st.global.u32 [%a6+28], %r1;\nend:")
    x = np.random.default_rng(4).integers(-9, 10, 64).astype(np.int32)
    out, mod = np.zeros((64, 8), np.uint32), module(text, mode, machine)
    mod["tiles"].launch(x, out, grid=1, block=64)
    for n in range(64):
        first = n & ~7
        tile, low = x[first : first + 8], first & 24
        if some and n & 8:
            assert out[n].tolist() == [0] * 7 + [n]
            continue
        odd = [int(v) & 1 for v in tile]
        same = sum(1 << low + k for k in range(8) if odd[k] == int(x[n]) & 1)
        want = [sum(1 << low + k for k in range(8) if tile[k] > 0), int((tile > 0).any()) + 2 * int((tile > 0).all()), int(tile.sum()) & 0xFFFFFFFF, same,
                255 << low if len(set(odd)) == 1 else 0, int(tile[n % 8 ^ 3] + tile[2]) & 0xFFFFFFFF]  # fmt: skip
        assert out[n, :6].tolist() == want and out[n, 6:].tolist() == [n * some, 0]
    if mode == "auto":
        assert mod["tiles"].stats()["mode"] == "widened"


@pytest.mark.parametrize("limit", [0, 50_000])
def test_values_stay_in_the_frame_where_points_are_many(limit, monkeypatch):
    """Lane by lane: whether values are saved at each point or kept in the frame, predicates and 64 bits among them, is no difference."""
    from ptxjit.targets.llvm import dispatch

    monkeypatch.setattr(dispatch, "MANY_SAVED", limit)
    monkeypatch.setenv("PTXJIT_CACHE", "off")
    text = """
.visible .entry k(.param .u64 dst, .param .u32 n) {
    .reg .pred %p<4>; .reg .b32 %r<12>; .reg .b64 %a<6>; .reg .f32 %f<3>;
    ld.param.u64 %a1, [dst]; ld.param.u32 %r1, [n]; mov.u32 %r2, %tid.x; mul.wide.u32 %a2, %r2, 16; add.s64 %a3, %a1, %a2;
    setp.lt.u32 %p1, %r2, %r1; mov.u32 %r3, 0; mov.u64 %a4, 0x100000001; cvt.rn.f32.u32 %f1, %r2;
L:  shfl.sync.down.b32 %r4, %r2, 1, 31, -1; add.u32 %r3, %r3, %r4; add.s64 %a4, %a4, %a4; bar.sync 0;
    shfl.sync.bfly.b32 %r5, %r3, 16, 31, -1; xor.b32 %r3, %r3, %r5; add.f32 %f1, %f1, %f1;
    add.u32 %r1, %r1, -1; setp.gt.s32 %p2, %r1, 0; @%p2 bra L;
    @%p1 add.u32 %r3, %r3, 1000; cvt.rzi.u32.f32 %r6, %f1; cvt.u32.u64 %r7, %a4; shr.u64 %a5, %a4, 32; cvt.u32.u64 %r8, %a5;
    st.global.v4.u32 [%a3], {%r3, %r6, %r7, %r8};
    ret;
}"""
    out = np.zeros((64, 4), np.uint32)
    mod = module(text, "dispatch")
    mod["k"].launch(out, np.uint32(5), grid=1, block=64)
    total = [0] * 64
    for _ in range(5):
        total = [t + (n if n % 32 == 31 else n + 1) for n, t in enumerate(total)]
        total = [t ^ total[n ^ 16] for n, t in enumerate(total)]
    want = [[(t + 1000 * (n < 5)) & 0xFFFFFFFF, n << 5, 1 << 5, 1 << 5] for n, t in enumerate(total)]
    assert out.tolist() == want


def test_equal_collectives_are_one_function():
    """A kernel of thousands of matrix products is compiled in time, and its frame on the stack does not grow with them."""
    from ptxjit.targets.cpu.launch import legal
    from ptxjit.targets.llvm.dispatch import Dispatch

    cpu = target("cpu:host")

    def text_of(count):
        products = "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%f1, %f2, %f3, %f4}, {%r1, %r2, %r3, %r4}, {%r5, %r6}, {%f1, %f2, %f3, %f4};\n" * count
        mod = module(".visible .entry k(.param .u64 p) { .reg .b32 %r<7>; .reg .f32 %f<5>; .reg .b64 %a<2>; ld.param.u64 %a1, [p];\n"
                     "ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%a1]; ld.global.v2.u32 {%r5, %r6}, [%a1];\n"
                     "mov.f32 %f1, 0f00000000; mov.f32 %f2, %f1; mov.f32 %f3, %f1; mov.f32 %f4, %f1;\n"
                     f"{products} redux.sync.add.u32 %r1, %r1, -1; redux.sync.max.u32 %r2, %r1, -1;\n"
                     "st.global.v4.f32 [%a1], {%f1, %f2, %f3, %f4}; st.global.v2.u32 [%a1], {%r1, %r2}; ret; }")  # fmt: skip
        made = Dispatch(legal(mod["k"].entry.kernel, cpu.facts), "x86_64-unknown-linux-gnu", form=FORMS[0])
        assert made.mode == "widened"
        return made.text

    few, many = text_of(2), text_of(50)
    for text in (few, many):
        assert text.count("define internal void @k.op") == 3  # the product, the sum, the maximum
    assert few.count(" = alloca ") == many.count(" = alloca ")
