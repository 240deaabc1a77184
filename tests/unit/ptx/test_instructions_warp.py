"""Warps, barriers, control flow, matrices, miscellaneous (PTX ISA 9.7.9.5–6, 9.7.12–14, 9.7.19), in blocks of 32 and of 20 threads."""
from __future__ import annotations

import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import ptxjit as pj  # noqa: E402
from ptxjit.ir.errors import PtxjitError, ReadError, UnsupportedError  # noqa: E402
from tests.unit.ptx import harness as h  # noqa: E402
from tests.unit.ptx.harness import Form, check_lanes, value, wrap  # noqa: E402
from tests.unit.ptx.test_instructions_memory import BODY, MODES, run  # noqa: E402

MASK32 = 0xFFFFFFFF
VALUES = [(2654435761 * k) & MASK32 for k in range(1, 33)]
EQUAL = [k % 3 for k in range(32)]
CHOICE = [int(k % 5 in (0, 1, 3)) for k in range(32)]  # lanes that take part, in guarded forms
FLOATS = [h.pack(h.Num("n", k % 2, 3 + 7 * k % 11, -2), "f32") if k % 7 else (0xFFC12345, 0x80000000, 0)[k // 7 % 3] for k in range(32)]


def forms(n):
    """All warp instructions for n threads.  `b` is a predicate: guarded forms run where it holds, with its lanes as the mask."""
    full, chosen = (1 << n) - 1, sum(c << k for k, c in enumerate(CHOICE[:n]))
    out = []

    def lanes(mask):
        return [k for k in range(n) if mask >> k & 1]

    def add(text, out_type, ins, fn, regs, second=False):
        """fn(members, columns) → results by lane; once for all lanes, once guarded."""
        everyone = Form(text.format(m=f"{full:#x}"), out_type, ins, lambda *cols: fn(lanes(full), cols), regs, second=second)
        out.append(everyone)
        zero = "mov.f32 {d}, 0f00000000;" if out_type == "f32" else "setp.ne.u32 {d}, 0, 0;" if out_type == "pred" else "mov.b32 {d}, 0;"
        clear = zero + " setp.ne.u32 {p}, 0, 0;"
        pred = "abce"[len(ins)]
        guarded = "@{" + pred + "} " + text.format(m=f"{chosen:#x}")

        def some(*cols):
            r = fn(lanes(chosen), cols[:-1])
            return [r[k] if chosen >> k & 1 else 0 for k in range(n)]

        out.append(Form(guarded, out_type, (*ins, "pred"), some, {**regs, len(ins): CHOICE}, clear, second))

    segments = ((1, 0), (1, 31), (5, 0x0F), (16, 31), (33, 0x181F), (3, 0x1807), (2, 0x1C03), (0, 0x0F00))
    for mode, (b, c) in product(("up", "down", "bfly", "idx"), segments):

        def shfl(members, cols, mode=mode, b=b, c=c):
            r = [None] * 32
            for lane in members:
                seg, bval = c >> 8 & 31, b & 31
                top, low = (lane & seg) | (c & 31 & ~seg), lane & seg
                j = {"up": lane - bval, "down": lane + bval, "bfly": lane ^ bval, "idx": low | bval & ~seg}[mode]
                p = j >= top if mode == "up" else j <= top
                j = j if p else lane
                r[lane] = (cols[0][j], int(p)) if j in members else None
            return r

        add(f"shfl.sync.{mode}.b32 {{{{d}}}}|{{{{p}}}}, {{{{a}}}}, {b}, {c:#x}, {{m}}", "u32", ("u32",), shfl, {0: VALUES}, second=True)
    truth = {"some": CHOICE[1:] + [1], "all": [1] * 32, "none": [0] * 32}
    for name, column in truth.items():
        _ = name
        for mode, fn in (("all", all), ("any", any), ("uni", lambda v: len(set(v)) == 1)):
            ref = lambda m, cols, f=fn: [int(f([cols[0][k] for k in m]))] * 32  # noqa: E731
            add(f"vote.sync.{mode}.pred {{{{d}}}}, {{{{a}}}}, {{m}}", "pred", ("pred",), ref, {0: column})
        ballot = lambda m, cols: [sum(cols[0][k] << k for k in m)] * 32  # noqa: E731
        add("vote.sync.ballot.b32 {{d}}, {{a}}, {m}", "u32", ("pred",), ballot, {0: column})
        add("vote.sync.ballot.b32 {{d}}, !{{a}}, {m}", "u32", ("pred",), lambda m, cols: [sum((1 - cols[0][k]) << k for k in m)] * 32, {0: column})
    for t in ("b32", "b64"):
        big = [v << 33 & ((1 << int(t[1:])) - 1) | v for v in EQUAL]
        for column in (big, [7] * 32):
            any_ = lambda m, cols: [sum(1 << j for j in m if cols[0][j] == cols[0][k]) for k in range(n)]  # noqa: E731
            all_ = lambda m, cols: [(sum(1 << j for j in m), 1) if len({cols[0][j] for j in m}) == 1 else (0, 0)] * 32  # noqa: E731
            add(f"match.any.sync.{t} {{{{d}}}}, {{{{a}}}}, {{m}}", "u32", (t,), any_, {0: column})
            add(f"match.all.sync.{t} {{{{d}}}}|{{{{p}}}}, {{{{a}}}}, {{m}}", "u32", (t,), all_, {0: column}, second=True)

    def fold(fn, t):
        def ref(m, cols):
            r = value(cols[0][m[0]], t)
            for k in m[1:]:
                r = fn(r, value(cols[0][k], t))
            return [wrap(r, t)] * 32

        return ref

    for op, t, fn in (("add", "u32", int.__add__), ("add", "s32", int.__add__), ("min", "u32", min), ("max", "u32", max), ("min", "s32", min),
                      ("max", "s32", max), ("and", "b32", int.__and__), ("or", "b32", int.__or__), ("xor", "b32", int.__xor__)):  # fmt: skip
        add(f"redux.sync.{op}.{t} {{{{d}}}}, {{{{a}}}}, {{m}}", "u32", ("u32",), fold(fn, t), {0: VALUES})
    for op, mag, nan, column in product(("min", "max"), ("", ".abs"), ("", ".NaN"), (FLOATS, [f if not h.is_nan(f, "f32") else 0x40000000 for f in FLOATS])):

        def floats(m, cols, op=op, mag=mag, nan=nan):
            vs = [cols[0][k] & 0x7FFFFFFF if mag else cols[0][k] for k in m]
            real = [v for v in vs if not h.is_nan(v, "f32")]
            if (nan and len(real) < len(vs)) or not real:
                return [0x7FFFFFFF] * 32
            key = lambda v: v if v < 1 << 31 else (1 << 31) - 1 - v  # noqa: E731
            return [(min if op == "min" else max)(real, key=key)] * 32

        add(f"redux.sync.{op}{mag}{nan}.f32 {{{{d}}}}, {{{{a}}}}, {{m}}", "f32", ("f32",), floats, {0: column})
    add("elect.sync {{d}}|{{p}}, {m}", "u32", ("u32",), lambda m, cols: [(m[0], int(k == m[0])) for k in range(n)], {0: VALUES}, second=True)
    out.append(Form("activemask.b32 {d}", "u32", ("u32",), lambda a: [full] * n))
    return out


@MODES
@pytest.mark.parametrize("threads", [32, 20])
def test_warps(threads, mode):
    every = forms(threads)
    wrong = []
    for at in range(0, len(every), 60):
        wrong += check_lanes(every[at : at + 60], threads, mode)
    assert not wrong, f"{len(wrong)} of {len(every)}\n" + "\n".join(wrong[:20])


@MODES
def test_old_forms_without_masks(mode):
    """shfl and vote of before Volta act on the lanes that are there."""
    code = """
	shfl.down.b32 r0|p, i, 3, 31;
	add.u64 o, o, t;  st.global.u32 [o], r0;
	setp.lt.u32 q, i, 5;
	vote.ballot.b32 r1, q;  st.global.u32 [o+128], r1;
	vote.any.pred p, q;  selp.u32 r2, 1, 0, p;  st.global.u32 [o+256], r2;
	vote.all.pred p, q;  selp.u32 r2, 1, 0, p;  st.global.u32 [o+384], r2;"""
    text = BODY.format(code=code, module="").replace(".version 9.1", ".version 6.0").replace("sm_100a", "sm_60")
    module = pj.load_ptx(text)
    module.mode = mode
    out = np.zeros(128, np.uint32)
    module["k"][1, 32](np.zeros(4, np.uint32), out)
    assert out[:32].tolist() == [k + 3 if k < 29 else k for k in range(32)]
    assert set(out[32:64].tolist()) == {31} and set(out[64:96].tolist()) == {1} and set(out[96:].tolist()) == {0}


@MODES
def test_barriers(mode):
    """Two warps: reductions over barriers, arrive and sync, a count of threads, warp barriers."""
    code = """
	setp.lt.u32 p, i, 37;  setp.eq.u32 q, i, 99;
	bar.red.popc.u32 r0, 0, p;
	bar.red.and.pred p, 1, p;  selp.u32 r1, 1, 0, p;
	barrier.cta.red.or.pred p, 2, q;  selp.u32 r2, 2, 0, p;
	barrier.red.or.aligned.pred p, 3, 64, !q;  selp.u32 r3, 4, 0, p;
	mov.u32 r5, smem;  shl.b32 r4, i, 2;  add.u32 r5, r5, r4;
	setp.lt.u32 p, i, 32;
	@p st.shared.u32 [r5+128], i;
	@p bar.arrive 4, 64;
	@p bra NEXT;
	bar.sync 4, 64;
	ld.shared.u32 r6, [r5];
	bar.warp.sync -1;
	st.shared.u32 [r5+128], r6;
NEXT:
	barrier.sync 0;
	barrier.cluster.arrive.relaxed.aligned;
	barrier.cluster.wait;
	ld.shared.u32 r6, [r5+128];
	add.u32 r1, r1, r2;  add.u32 r1, r1, r3;  mad.lo.u32 r0, r0, 100, r1;  mad.lo.u32 r0, r6, 10000, r0;
	add.u64 o, o, t;  st.global.u32 [o], r0;"""
    out = run(code, np.zeros(4, np.uint32), np.zeros(64, np.uint32), threads=64, mode=mode)
    assert out.tolist() == [(k % 32) * 10000 + 3704 for k in range(64)]


# ---- control flow ---------------------------------------------------------------------------------------------------


@MODES
def test_control_flow(mode):
    module = """
.func (.reg .u32 out) twice (.reg .u32 x) { add.u32 out, x, x; ret.uni; }
.func (.param .b32 out) thrice (.param .b32 x)
{ .reg .b32 v;  .reg .pred p;  ld.param.b32 v, [x];  setp.gt.u32 p, v, 1000;  @p ret;  mul.lo.u32 v, v, 3;  st.param.b32 [out], v;  ret; }
.func (.param .b32 out) negate (.param .b32 x)
{ .reg .b32 v;  ld.param.b32 v, [x];  neg.s32 v, v;  st.param.b32 [out], v;  ret; }
.global .u64 table[2] = {thrice, negate};"""
    code = """
	{ .reg .u32 i; mov.u32 i, 55; }
	and.b32 r0, i, 3;
TABLE: .branchtargets L0, L1, L2, L3;
	brx.idx r0, TABLE;
L0:	mov.u32 r1, 100;  bra.uni JOIN;
L1:	call.uni (r1), twice, (i);  bra JOIN;
L2:	{ .param .b32 x; .param .b32 y;  st.param.b32 [x], i;  call (y), thrice, (x);  ld.param.b32 r1, [y]; }
	bra JOIN;
L3:	{
PROTO:	.callprototype (.param .b32 _) _ (.param .b32 _);
	.param .b32 x; .param .b32 y;
	and.b32 r2, i, 4;  mov.u64 rd0, table;  cvt.u64.u32 rd1, r2;  add.u64 rd0, rd0, rd1;  add.u64 rd0, rd0, rd1;
	ld.global.u64 rd0, [rd0];
	st.param.b32 [x], i;  call (y), rd0, (x), PROTO;  ld.param.b32 r1, [y]; }
JOIN:
	setp.gt.u32 p, i, 27;
	add.u64 o, o, t;
	@p exit;
	@!p st.global.u32 [o], r1;
	setp.eq.u32 p, i, 3;
	@p ret;
	brkpt;
	ld.global.u32 r1, [o];  add.u32 r1, r1, 1;  st.global.u32 [o], r1;"""
    code = code.replace("brkpt;", "")
    out = run(code, np.zeros(4, np.uint32), np.full(32, 7, np.uint32), mode=mode, module=module)
    want = []
    for k in range(32):
        v = [100, 2 * k, 3 * k, 3 * k if not k & 4 else -k][k & 3]
        want.append(7 if k > 27 else (v + (k != 3)) & MASK32)
    assert out.tolist() == want


@MODES
def test_miscellaneous_instructions_change_nothing(mode):
    code = """
	brkpt;  nanosleep.u32 10;  nanosleep.u32 i;  pmevent 3;  pmevent.mask 0xff;
	griddepcontrol.launch_dependents;  griddepcontrol.wait;  setmaxnreg.inc.sync.aligned.u32 64;
	applypriority.global.L2::evict_normal [a], 128;  prefetchu.L1 [a];
	add.u64 o, o, t;  st.global.u32 [o], i;"""
    assert (run(code, np.zeros(64, np.uint32), np.zeros(32, np.uint32), mode=mode) == np.arange(32)).all()


@MODES
def test_trap(mode):
    with pytest.raises(PtxjitError, match="trap"):
        run("\tsetp.eq.u32 p, i, 9;\n\t@p trap;", np.zeros(4, np.uint32), np.zeros(4, np.uint32), mode=mode)


# ---- matrices -------------------------------------------------------------------------------------------------------


@MODES
def test_matrices_through_shared_memory(mode):
    """ldmatrix, stmatrix, movmatrix: element (r, c) of matrix m is 64·m + 8·r + c."""
    code = """
	mov.u32 r0, smem;  shl.b32 r1, i, 4;  add.u32 r1, r1, r0;
	cvt.u64.u32 rd0, i;  shl.b64 rd0, rd0, 4;  add.u64 rd0, rd0, a;
	ld.global.v2.b64 {rd1, rd2}, [rd0];  st.shared.v2.b64 [r1], {rd1, rd2};
	bar.sync 0;
	ldmatrix.sync.aligned.m8n8.x4.shared.b16 {r2, r3, r4, r5}, [r1];
	ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {r6, r7}, [r1];
	movmatrix.sync.aligned.m8n8.trans.b16 r8, r2;
	add.u64 o, o, t;
	st.global.u32 [o], r2;  st.global.u32 [o+128], r3;  st.global.u32 [o+256], r4;  st.global.u32 [o+384], r5;
	st.global.u32 [o+512], r6;  st.global.u32 [o+640], r7;  st.global.u32 [o+768], r8;
	bar.sync 0;
	stmatrix.sync.aligned.m8n8.x2.trans.shared.b16 [r1], {r3, r2};
	stmatrix.sync.aligned.m8n8.x2.shared.b16 [r1+256], {r5, r4};
	bar.sync 0;
	shl.b32 r1, i, 2;  add.u32 r1, r1, r0;
	ld.shared.u32 r2, [r1];  st.global.u32 [o+896], r2;  ld.shared.u32 r2, [r1+128];  st.global.u32 [o+1024], r2;
	ld.shared.u32 r2, [r1+256];  st.global.u32 [o+1152], r2;  ld.shared.u32 r2, [r1+384];  st.global.u32 [o+1280], r2;"""
    a = np.arange(256, dtype=np.uint16) * np.uint16(257) ^ np.uint16(0x8000)
    out = run(code, a, np.zeros(352, np.uint32), mode=mode).view(np.uint16).reshape(11, 8, 8)
    m = a.reshape(4, 8, 8)
    for got, want in zip(out, (*m, m[0].T, m[1].T, m[0].T, m[1].T, m[0].T, m[3], m[2])):
        assert (got == want).all()


MMA = """
	mul.wide.u32 rd0, i, 32;  add.u64 a, a, rd0;  add.u64 o, o, rd0;
	ld.global.v4.b32 {r0, r1, r2, r3}, [a];  ld.global.v4.b32 {r4, r5, r6, r7}, [a+16];
"""


@MODES
def test_mma(mode):
    """m16n8k16 of halves, m8n8k4 of doubles, m16n8k32 of bytes; fragments laid out by hand from the manual's figures."""
    rng = np.random.default_rng(2)
    A, B = rng.integers(-4, 5, (16, 16)), rng.integers(-4, 5, (16, 8))
    frag = np.zeros((32, 16), np.float16)
    for lane in range(32):
        g, q = lane // 4, lane % 4
        for k in range(8):
            row, col = g + 8 * (k // 2 % 2), 2 * q + k % 2 + 8 * (k // 4)
            frag[lane, k] = A[row, col]
        for k in range(4):
            frag[lane, 8 + k] = B[2 * q + k % 2 + 8 * (k // 2), g]
    code = MMA + """
	mov.f32 f4, 0f3F800000;
	mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {f0, f1, f2, f3}, {r0, r1, r2, r3}, {r4, r5}, {f4, f4, f4, f4};
	st.global.v4.f32 [o], {f0, f1, f2, f3};"""
    out = run(code, frag, np.zeros((32, 8), np.float32), mode=mode)
    want = A @ B + 1
    for lane in range(32):
        g, q = lane // 4, lane % 4
        assert out[lane, :4].tolist() == [want[g + 8 * (k // 2), 2 * q + k % 2] for k in range(4)]
    frag8 = np.zeros((32, 32), np.int8)
    A, B = rng.integers(-128, 128, (16, 32)), rng.integers(0, 256, (32, 8))
    for lane in range(32):
        g, q = lane // 4, lane % 4
        for k in range(16):
            frag8[lane, k] = A[g + 8 * (k // 4 % 2), 4 * q + k % 4 + 16 * (k // 8)]
        for k in range(8):
            frag8[lane, 16 + k] = np.uint8(B[4 * q + k % 4 + 16 * (k // 4), g]).astype(np.int8)
    code = MMA + """
	mov.b32 r8, 0;
	mma.sync.aligned.m16n8k32.row.col.s32.s8.u8.s32 {r9, r10, r11, r12}, {r0, r1, r2, r3}, {r4, r5}, {r8, r8, r8, r8};
	st.global.v4.u32 [o], {r9, r10, r11, r12};"""
    out = run(code, frag8, np.zeros((32, 8), np.int32), mode=mode)
    want = A @ B
    for lane in range(32):
        g, q = lane // 4, lane % 4
        assert out[lane, :4].tolist() == [want[g + 8 * (k // 2), 2 * q + k % 2] for k in range(4)]
    A, B = rng.standard_normal((8, 4)), rng.standard_normal((4, 8))
    frag64 = np.zeros((32, 4))
    for lane in range(32):
        frag64[lane, :2] = A[lane // 4, lane % 4], B[lane % 4, lane // 4]
    code = MMA + """
	ld.global.v2.f64 {d0, d1}, [a];  mov.f64 d2, 0d0000000000000000;
	mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {d3, d4}, {d0}, {d1}, {d2, d2};
	st.global.v2.f64 [o], {d3, d4};"""
    out = run(code, frag64, np.zeros((32, 4)), mode=mode)
    for lane in range(32):
        np.testing.assert_allclose(out[lane, :2], (A @ B)[lane // 4, 2 * (lane % 4) : 2 * (lane % 4) + 2], rtol=1e-14)


@MODES
def test_wmma(mode):
    """The layout is ours to choose, so load, multiply and store are tested together: also with a stride, and column-major."""
    code = """
	wmma.load.a.sync.aligned.m16n16k16.global.row.f16 {x0, x1, x2, x3, x4, x5, x6, x7}, [a], 16;
	wmma.load.b.sync.aligned.m16n16k16.global.col.f16 {y0, y1, y2, y3, y4, y5, y6, y7}, [a+512], 24;
	wmma.load.c.sync.aligned.m16n16k16.global.row.f32 {f0, f1, f2, f3, f4, f5, f6, f7}, [o], 16;
	wmma.mma.sync.aligned.row.col.m16n16k16.f32.f32 {f0, f1, f2, f3, f4, f5, f6, f7}, {x0, x1, x2, x3, x4, x5, x6, x7}, {y0, y1, y2, y3, y4, y5, y6, y7},
		{f0, f1, f2, f3, f4, f5, f6, f7};
	bar.warp.sync -1;
	wmma.store.d.sync.aligned.m16n16k16.global.col.f32 [o], {f0, f1, f2, f3, f4, f5, f6, f7}, 16;"""
    code = "\t.reg .b32 x<8>, y<8>;\n" + code
    rng = np.random.default_rng(2)
    A, B = rng.integers(-4, 5, (16, 16)).astype(np.float16), rng.integers(-4, 5, (16, 24)).astype(np.float16)
    C = rng.integers(-4, 5, (16, 16)).astype(np.float32)
    out = run(code, np.concatenate([A.ravel(), B.ravel()]), C.copy(), mode=mode)
    assert (out.T == A.astype(np.float32) @ B[:, :16].T.astype(np.float32) + C).all()


# ---- refused --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("statement,words", [
    ("add.wrong.s32 r0, r1, r2", "wrong"), ("add.s32.sat.frob r0, r1, r2", "frob"), ("shl.wrap.b32 r0, r1, r2", "wrap"), ("popc.hi.b32 r0, r1", "hi"),
    ("cvt.rn.pack2.f32.s32 f0, r1", "pack2"), ("ld.global.frob.u32 r0, [a]", "frob"), ("atom.global.mul.u32 r0, [a], r1", "mul"),
    ("bar.sync.frob 0", "frob"), ("mma.sync.frob.m8n8k4.row.col.f64.f64.f64.f64 {d0, d1}, {d2}, {d3}, {d0, d1}", "mma"), ("frobnicate.b32 r0", "frobnicate"),
    ("tex.1d.v4.f32.s32 {f0, f1, f2, f3}, [a, {r1}]", "tex.1d.v4.f32.s32"), ("wgmma.fence.sync.aligned", "wgmma.fence"),
    ("lop3.b32 r0, r1, r2, r3, r4", "constant"), ("setp.s32 p, r0, r1", "one of .eq"), ("add.s32 r0, r1", "operand"), ("fma.rn.f32 f0, f1, f2, q", "i1"),
    ("vote.sync.most.pred p, q, -1", "vote"), ("shfl.sync.left.b32 r0, r1, 1, 31, -1", "shfl"), ("prmt.b32.f5e r0, r1, r2, r3", "f5e"),
    ("mul.f32.hi f0, f1, f2", "mul"), ("cp.async.ca.shared.global [r0], [a], r1", "cp.async"), ("mov.b32 r0, {h0, h1, h2}", "mov"),
])  # fmt: skip
def test_what_is_not_known_is_refused_with_opcode_and_place(statement, words):
    text = BODY.format(code=f"\t  {statement};", module="")
    line = next(k for k, s in enumerate(text.splitlines(), 1) if statement in s)
    with pytest.raises((UnsupportedError, ReadError)) as e:
        pj.load_ptx(text)["k"].compile()
    assert words in e.value.message and statement.split(".")[0].split()[0] in e.value.message and str(e.value.place).endswith(f":{line}:4"), e.value


COUNTED = """.version 7.8
.target sm_80
.address_size 64
.visible .entry k(.param .u64 out) {
    .reg .pred %p<4>; .reg .b32 %r<9>; .reg .b64 %rd<4>; .shared .align 4 .b32 table[80];
    ld.param.u64 %rd0, [out]; mov.u32 %r0, %tid.x; mov.u32 %r8, %ntid.x; add.u32 %r7, %r8, 31; and.b32 %r7, %r7, -32;
    mov.u32 %r1, table; shl.b32 %r2, %r0, 2; add.u32 %r1, %r1, %r2; st.shared.u32 [%r1], %r0;
    BARRIER
    sub.u32 %r3, %r8, %r0; sub.u32 %r3, %r3, 1; shl.b32 %r3, %r3, 2; mov.u32 %r4, table; add.u32 %r4, %r4, %r3; ld.shared.u32 %r5, [%r4];
    add.u32 %r5, %r5, %r6; mul.wide.u32 %rd1, %r0, 4; add.s64 %rd1, %rd0, %rd1; st.global.u32 [%rd1], %r5; ret;
}
"""


@pytest.mark.parametrize("mode", ["auto", "dispatch", "interp"])
@pytest.mark.parametrize("threads", [1, 31, 32, 33, 48, 64, 70])
def test_a_counted_barrier_counts_whole_warps(mode, threads):
    """PTX ISA, bar: the arrival count grows by the warp size, not by the number of threads that are there."""
    forms = {"mov.u32 %r6, 0; bar.sync 1, %r7;": 0, "bar.red.popc.u32 %r6, 1, %r7, 1;": threads,
             "setp.lt.u32 %p0, %r0, 5; bar.red.popc.u32 %r6, 1, %r7, %p0;": min(5, threads),
             "setp.lt.u32 %p0, %r0, 99; bar.red.and.pred %p1, 1, %r7, %p0; selp.u32 %r6, 7, 0, %p1;": 7,
             "setp.lt.u32 %p0, %r0, 30; bar.red.and.pred %p1, 1, %r7, %p0; selp.u32 %r6, 7, 0, %p1;": 7 if threads <= 30 else 0,
             "setp.eq.u32 %p0, %r0, 0; bar.red.or.pred %p1, 1, %r7, %p0; selp.u32 %r6, 7, 0, %p1;": 7}  # fmt: skip
    for text, extra in forms.items():
        out = np.zeros(threads, np.uint32)
        module = pj.load_ptx(COUNTED.replace("BARRIER", text), device="interp" if mode == "interp" else "cpu")
        if mode == "dispatch":
            module.mode = "dispatch"
        module["k"][1, threads](out)
        assert (out == np.arange(threads)[::-1] + extra).all(), text
