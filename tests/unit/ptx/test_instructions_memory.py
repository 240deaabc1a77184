"""Loads, stores, atomics, address spaces, copies, mbarriers (PTX ISA 9.7.9.8–25, 9.7.13.4–7, 9.7.13.15, 9.7.17)."""
from __future__ import annotations

import sys
from itertools import product
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import ptxjit as pj  # noqa: E402
from tests.unit.ptx import harness as h  # noqa: E402
from tests.unit.ptx.harness import Form, assert_forms, bits_of, num, pack, value, wrap  # noqa: E402

MASK32 = 0xFFFFFFFF
CELL = {"global": "cg", "shared": "cs", "local": "cl", "": "cg"}
TYPES = ("b8", "u8", "s8", "b16", "u16", "s16", "b32", "u32", "s32", "f32", "b64", "u64", "s64", "f64")


def space(s):
    return "." + s if s else ""


def loads():
    out = []
    konst = (0x0123456789ABCDEF | 0xFEDCBA9876543210 << 64).to_bytes(16, "little")
    for s, t in product(("global", "shared", "local", "", "const"), TYPES):
        n = bits_of(t)
        wide = "b32" if n < 32 and t[0] != "f" else t  # narrow integers widen to the register
        for at in (0, 8 - n // 8):

            def ref(a, n=n, at=at, t=t, s=s, wide=wide):
                v = int.from_bytes((konst if s == "const" else a.to_bytes(8, "little"))[at : at + n // 8], "little")
                return wrap(value(v, t), wide) if t[0] == "s" else v

            where = f"konst+{at}" if s == "const" else f"{CELL[s]}+{at}"
            pre = "" if s == "const" else f"st{space(s)}.b64 [{CELL[s]}], {{a}};"
            out.append(Form(f"ld{space(s)}.{t} {{d}}, [{where}]", wide, ("b64",), ref, pre=pre))
    mods = [".volatile", ".relaxed.gpu", ".acquire.sys", ".relaxed.cluster", ".acquire.cta", ".weak"]
    for s, mod in product(("global", "shared", ""), mods):
        out.append(Form(f"ld{mod}{space(s)}.u32 {{d}}, [{CELL[s]}+4]", "u32", ("b64",), lambda a: a >> 32, pre=f"st{space(s)}.b64 [{CELL[s]}], {{a}};"))
    for mod in (".ca", ".cg", ".cs", ".lu", ".cv", ".nc", ".nc.L1::evict_last", ".L1::no_allocate.L2::128B", ".nc.L1::no_allocate.L2::256B"):
        text = f"ld.global{mod}.u32 {{d}}, [cg]" if mod[:3] != ".nc" else f"ld.global{mod}.u32 {{d}}, [cg]"
        out.append(Form(text, "u32", ("b32",), lambda a: a, pre="st.global.b32 [cg], {a};"))
    out.append(Form("ldu.global.u32 {d}, [cg]", "u32", ("b32",), lambda a: a, pre="st.global.b32 [cg], {a};"))
    out.append(Form("createpolicy.fractional.L2::evict_last.b64 pol, 1.0; ld.global.L2::cache_hint.u32 {d}, [cg], pol", "u32", ("b32",), lambda a: a,
                    pre=".reg .b64 pol; st.global.b32 [cg], {a};"))  # fmt: skip
    for s in ("global", "shared", "local", ""):
        c, st = CELL[s], f"st{space(s)}"
        two = f"{st}.b32 [{c}+8], {{a}}; {st}.b32 [{c}+12], {{b}};"
        out += [Form(f"ld{space(s)}.v2.u32 {{{{_, {{d}}}}}}, [{c}+8]", "u32", ("b32", "b32"), lambda a, b: b, pre=two),
                Form(f"ld{space(s)}.v4.u16 {{{{x, y, {{d}}, z}}}}, [{c}+8]", "u16", ("b32", "b32"), lambda a, b: b & 0xFFFF, pre=".reg .b16 x, y, z; " + two),
                Form(f"ld{space(s)}.v4.s8 {{{{_, {{d}}, _, _}}}}, [{c}+12]", "u32", ("b32", "b32"), lambda a, b: h.signed(b >> 8, 8) & MASK32, pre=two),
                Form(f"{st}.v2.b32 [{c}], {{{{{{a}}, {{b}}}}}}; ld{space(s)}.b64 {{d}}, [{c}]", "b64", ("b32", "b32"), lambda a, b: a | b << 32),
                Form(f"{st}.v4.b16 [{c}], {{{{{{a}}, {{b}}, {{c}}, {{e}}}}}}; ld{space(s)}.b64 {{d}}, [{c}]", "b64", ("b16",) * 4,
                     lambda a, b, c, e: a | b << 16 | c << 32 | e << 48),
                Form(f"{st}.v2.f64 [{c}], {{{{{{a}}, {{b}}}}}}; ld{space(s)}.f64 {{d}}, [{c}+8]", "f64", ("f64", "f64"), lambda a, b: b)]  # fmt: skip
        for t in ("b8", "u16", "s32", "f32", "f64", "u64"):
            n = bits_of(t)
            ref = lambda a, b, n=n: a if n == 64 else b & ~((1 << n) - 1) | a & ((1 << n) - 1)  # noqa: E731
            out.append(Form(f"{st}.{t} [{c}], {{a}}; ld{space(s)}.b64 {{d}}, [{c}]", "b64", ("b16" if n == 8 else t, "b64"), ref, pre=f"{st}.b64 [{c}], {{b}};"))
    for mod in (".volatile", ".relaxed.gpu", ".release.sys", ".weak", ".mmio.relaxed.sys"):
        out.append(Form(f"st{mod}.global.u32 [cg], {{a}}; ld.global.u32 {{d}}, [cg]", "u32", ("b32",), lambda a: a))
    for mod in (".wb", ".cg", ".cs", ".wt", ".L1::no_allocate"):
        out.append(Form(f"st.global{mod}.u32 [cg], {{a}}; ld.global.u32 {{d}}, [cg]", "u32", ("b32",), lambda a: a))
    for word in ("membar.cta", "membar.gl", "membar.sys", "fence.acq_rel.cta", "fence.sc.gpu", "fence.acq_rel.sys", "fence.proxy.async", "fence.proxy.alias",
                 "fence.acquire.gpu", "fence.release.cluster", "prefetch.global.L1 [cg]", "prefetchu.L1 [cg]", "prefetch.global.L2::evict_normal [cg]",
                 "fence.mbarrier_init.release.cluster", "nanosleep.u32 1", "pmevent 1", "griddepcontrol.wait", "griddepcontrol.launch_dependents"):  # fmt: skip
        out.append(Form(f"st.global.u32 [cg], {{a}}; {word}; ld.global.u32 {{d}}, [cg]", "u32", ("b32",), lambda a: a))
    for word, want in (("global", "cg"), ("shared", "gs"), ("local", "gl"), ("shared::cta", "gs"), ("shared::cluster", "gs"), ("const", "gk")):
        for at in ("cg", "gs", "gl", "gk"):
            out.append(Form(f"isspacep.{word} {{d}}, x", "pred", ("pred",), lambda a, w=want, at=at: int(w == at),
                            pre=f".reg .b64 gk, x; mov.u64 gk, konst; cvta.const.u64 gk, gk; mov.u64 x, {at};  st.global.u32 [cg], 0;"))  # fmt: skip
    for word, at in (("global", "cg"), ("shared", "gs"), ("local", "gl")):
        pre = f".reg .b64 x; st.b32 [{at}], {{a}}; cvta.to.{word}.u64 x, {at};"
        out.append(Form(f"ld.{word}.u32 {{d}}, [x]", "u32", ("b32",), lambda a: a, pre=pre))
    return out


def atomics():
    out = []

    def inc(r, s):
        return 0 if r >= s else r + 1

    def dec(r, s):
        return s if r == 0 or r > s else r - 1

    ops = [("add", t, lambda r, s, t=t: wrap(r + s, t)) for t in ("u32", "s32", "u64")]
    ops += [(op, t, fn) for t in ("b32", "b64") for op, fn in (("and", lambda r, s: r & s), ("or", lambda r, s: r | s), ("xor", lambda r, s: r ^ s))]
    ops += [(op, t, lambda r, s, f=f, t=t: wrap(f(value(r, t), value(s, t)), t)) for t in ("u32", "s32", "u64", "s64") for op, f in (("min", min), ("max", max))]
    ops += [("exch", t, lambda r, s: s) for t in ("b32", "b64")] + [("inc", "u32", inc), ("dec", "u32", dec)]
    for (op, t, fn), s in product(ops, ("global", "shared", "")):
        c, w = CELL[s], "b" + t[1:]
        put = f"st{space(s)}.{w} [{c}], {{a}};"
        get = f"ld{space(s)}.{w} {{d}}, [{c}]"
        if s == "":  # the generic address of shared memory
            c, put, get = "gs", f"st.{w} [gs], {{a}};", f"ld.{w} {{d}}, [gs]"
        out.append(Form(f"atom{space(s)}.{op}.{t} {{d}}, [{c}], {{b}}", w, (w, w), lambda a, b: a, pre=put))
        out.append(Form(f"atom{space(s)}.{op}.{t} old, [{c}], {{b}}; {get}", w, (w, w), fn, pre=f".reg .{w} old; " + put))
        if op != "exch":
            out.append(Form(f"red{space(s)}.{op}.{t} [{c}], {{b}}; {get}", w, (w, w), fn, pre=put))
    for mod in (".acquire.cta", ".release.sys", ".acq_rel.gpu", ".relaxed.cluster"):
        out.append(Form(f"atom{mod}.global.add.u32 old, [cg], {{b}}; ld.global.u32 {{d}}, [cg]", "u32", ("u32", "u32"), lambda a, b: (a + b) & MASK32,
                        pre=".reg .b32 old; st.global.b32 [cg], {a};"))  # fmt: skip
    for t, s in product(("b16", "b32", "b64"), ("global", "shared")):
        c = CELL[s]
        ref = lambda a, b, c: c if a == b else a  # noqa: E731
        out.append(Form(f"atom.{s}.cas.{t} old, [{c}], {{b}}, {{c}}; ld.{s}.{t} {{d}}, [{c}]", t, (t,) * 3, ref, pre=f".reg .{t} old; st.{s}.{t} [{c}], {{a}};"))
        out.append(Form(f"atom.{s}.cas.{t} {{d}}, [{c}], {{b}}, {{c}}", t, (t,) * 3, lambda a, b, c: a, pre=f"st.{s}.{t} [{c}], {{a}};"))
    for t in ("f32", "f64"):
        add = h.compute(h.adder("rn"), t)
        for s in ("global", "shared"):
            c = CELL[s]

            def sums(a, b, add=add, t=t):  # subnormals may be flushed in global memory
                return None if t == "f32" and any(0 < v & 0x7FFFFFFF < 0x00800000 for v in (a, b, add(a, b))) else add(a, b)

            out.append(Form(f"atom.{s}.add.{t} old, [{c}], {{b}}; ld.{s}.{t} {{d}}, [{c}]", t, (t, t), sums, pre=f".reg .{t} old; st.{s}.{t} [{c}], {{a}};", nan=t))
            out.append(Form(f"red.{s}.add.{t} [{c}], {{b}}; ld.{s}.{t} {{d}}, [{c}]", t, (t, t), sums, pre=f"st.{s}.{t} [{c}], {{a}};", nan=t))
    for t in ("f16", "bf16"):
        add = h.compute(h.adder("rn"), t)
        pair = loose(add, t)
        out += [Form(f"atom.global.add.noftz.{t} old, [cg], {{b}}; ld.global.b16 {{d}}, [cg]", t, (t, t), add, pre=".reg .b16 old; st.global.b16 [cg], {a};", nan=t),
                Form(f"red.shared.add.noftz.{t} [cs], {{b}}; ld.shared.b16 {{d}}, [cs]", t, (t, t), add, pre="st.shared.b16 [cs], {a};", nan=t),
                Form(f"atom.global.add.noftz.{t}x2 old, [cg], {{b}}; ld.global.b32 {{d}}, [cg]", "u32", (t + "x2",) * 2, pair,
                     pre=".reg .b32 old; st.global.b32 [cg], {a};"),
                Form(f"atom.global.add.noftz.{t}x2 {{d}}, [cg], {{b}}", "u32", (t + "x2",) * 2, lambda a, b: a, pre="st.global.b32 [cg], {a};")]  # fmt: skip
        for op in ("min", "max"):
            fn = loose(lambda a, b, op=op, t=t: extreme(op, t, a, b), t)
            out.append(Form(f"red.global.v2.{t}.{op}.noftz [cg], {{{{x, y}}}}; ld.global.b32 {{d}}, [cg]".replace(f".v2.{t}.{op}.noftz", f".{op}.noftz.v2.{t}"), "u32",
                            (t + "x2",) * 2, fn, pre=".reg .b16 x, y; mov.b32 {{x, y}}, {b}; st.global.b32 [cg], {a};"))  # fmt: skip
    out += [Form("atom.global.add.v2.f32 {{_, {d}}}, [cg], {{{b}, {b}}}", "f32", ("f32", "f32"), lambda a, b: a, pre="st.global.v2.f32 [cg], {{{b}, {a}}};", nan="f32"),
            Form("atom.global.exch.b128 q, [cg], r; ld.global.b64 {d}, [cg+8]", "b64", ("b64", "b64"), lambda a, b: b,
                 pre=".reg .b128 q, r; mov.b128 r, {{{a}, {b}}}; st.global.v2.b64 [cg], {{{b}, {a}}};"),
            Form("atom.global.exch.b128 q, [cg], r; mov.b128 {{{d}, _}}, q", "b64", ("b64", "b64"), lambda a, b: b,
                 pre=".reg .b128 q, r; mov.b128 r, {{{a}, {b}}}; st.global.v2.b64 [cg], {{{b}, {a}}};"),
            Form("atom.global.cas.b128 q, [cg], r, s; ld.global.b64 {d}, [cg]", "b64", ("b64", "b64", "pred"), lambda a, b, c: b if c else a,
                 pre=".reg .b128 q, r, s; .reg .b64 m; selp.b64 m, {a}, 77, {c}; mov.b128 r, {{{a}, m}}; mov.b128 s, {{{b}, {b}}}; "
                     "st.global.v2.b64 [cg], {{{a}, {a}}};")]  # fmt: skip
    out[-1] = out[-1]._replace(ref=lambda a, b, c: b if c or a == 77 else a)
    return out


def loose(ref, t):
    """On both halves, where the manual does not say which NaN an atomic leaves."""

    def judge(a, b):
        want = [ref(a & 0xFFFF, b & 0xFFFF), ref(a >> 16, b >> 16)]
        return lambda got: all(h.is_nan(g, t) if h.is_nan(w, t) else g == w for w, g in zip(want, (got & 0xFFFF, got >> 16)))

    return judge


def extreme(op, t, a, b):
    x, y = num(a, t), num(b, t)
    if x.kind == "q" and y.kind == "q":
        return h.FORMATS[t].nan
    if "q" in (x.kind, y.kind):
        return b if x.kind == "q" else a

    def key(v):
        return v if v < 0x8000 else 0x7FFF - v

    return (min if op == "min" else max)(a, b, key=key)


GROUPS = {"loads": loads(), "atomics": atomics()}


@pytest.mark.parametrize("mode", ["auto", "dispatch"])
@pytest.mark.parametrize("group", GROUPS)
def test_memory(group, mode):
    assert_forms(GROUPS[group], mode)


# ---- whole kernels --------------------------------------------------------------------------------------------------

BODY = """.version 9.1
.target sm_100a
.address_size 64
{module}
.visible .entry k(.param .u64 pa, .param .u64 po)
{{
	.reg .pred p, q, s;  .reg .b32 i, n, r<16>;  .reg .b64 a, o, t, rd<8>;  .reg .f32 f<8>;  .reg .f64 d<8>; .reg .b16 h<4>;
	.shared .align 128 .b8 smem[1024];
	.shared .align 8 .b64 bar;
	ld.param.u64 a, [pa];  ld.param.u64 o, [po];
	mov.u32 i, %tid.x;  mul.wide.u32 t, i, 4;
{code}
	ret;
}}
"""


def run(code, a, out, threads=32, mode="auto", module="", **options):
    mod = pj.load_ptx(BODY.format(code=code, module=module), device="interp" if mode == "interp" else "cpu")
    if mode != "interp":
        mod.mode = mode
    mod["k"].launch(a, out, grid=1, block=threads, **options)
    return out


MODES = pytest.mark.parametrize("mode", ["auto", "dispatch"])


def given(n=64):
    return np.arange(1, n + 1, dtype=np.uint32) * np.uint32(0x01010101)


@MODES
def test_cp_async(mode):
    """Sizes 4, 8, 16; a source size below the rest fills with zeros; a true predicate ignores the source."""
    code = """
	add.u64 rd0, a, t;  mov.u32 r0, smem;  mad.lo.u32 r0, i, 4, r0;
	st.shared.u32 [r0+256], -1;
	cp.async.ca.shared.global [r0], [rd0], 4;
	cp.async.commit_group;
	cp.async.wait_group 0;
	bar.sync 0;
	setp.ne.u32 p, i, 0;
	@p bra OUT;
	mov.u32 r0, smem;
	cp.async.cg.shared.global [r0+256], [a+16], 16, 12;
	cp.async.ca.shared::cta.global.L2::128B [r0+272], [a], 8;
	setp.eq.u32 q, i, 0;
	cp.async.ca.shared.global [r0+280], [a], 8, q;
	cp.async.wait_all;
OUT:
	bar.sync 0;
	mov.u32 r0, smem;  mad.lo.u32 r0, i, 4, r0;  add.u64 o, o, t;
	ld.shared.u32 r1, [r0];  st.global.u32 [o], r1;
	ld.shared.u32 r1, [r0+256];  st.global.u32 [o+128], r1;"""
    a = given()
    out = run(code, a, np.full(64, 9, np.uint32), mode=mode)
    assert (out[:32] == a[:32]).all()
    assert out[32:40].tolist() == [*a[4:7], 0, a[0], a[1], 0, 0]


@MODES
def test_bulk_copies_complete_on_an_mbarrier(mode):
    code = """
	setp.ne.u32 p, i, 0;
	@p bra WAIT;
	mbarrier.init.shared.b64 [bar], 1;
	fence.mbarrier_init.release.cluster;
	mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 rd1, [bar], 128;
	mov.u32 r0, smem;  mov.u32 r1, bar;
	cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [r0], [a], 128, [r1];
WAIT:
	bar.sync 0;
	mov.u32 r15, 0;
LOOP:
	mbarrier.try_wait.parity.acquire.cta.shared::cta.b64 q, [bar], 0;
	add.u32 r15, r15, 1;  setp.gt.u32 s, r15, 9999;
	@s trap;
	@!q bra LOOP;
	mov.u32 r0, smem;  mad.lo.u32 r2, i, 4, r0;
	ld.shared.u32 r3, [r2];  add.u32 r3, r3, 1;  st.shared.u32 [r2], r3;
	fence.proxy.async;
	bar.sync 0;
	@p exit;
	cp.async.bulk.global.shared::cta.bulk_group [o], [r0], 128;
	cp.reduce.async.bulk.global.shared::cta.bulk_group.add.u32 [o+128], [r0], 64;
	cp.reduce.async.bulk.global.shared::cta.bulk_group.min.s32 [o+192], [r0], 64;
	cp.async.bulk.commit_group;
	cp.async.bulk.wait_group.read 0;
	cp.async.bulk.wait_group 0;
	cp.async.bulk.prefetch.L2.global [a], 16;"""
    a = given()
    out = np.full(64, 7, np.uint32)
    out = run(code, a, out, mode=mode)
    assert (out[:32] == a[:32] + 1).all() and (out[32:48] == a[:16] + 8).all() and (out[48:] == np.minimum(7, (a[:16] + 1).view(np.int32)).view(np.uint32)).all()


@pytest.mark.parametrize("mode", ["auto", "dispatch", "interp"])
@pytest.mark.parametrize("mask", [0xFFFF, 0, 1, 0x8000, 0x5AC3, 0x0FF0])
def test_bulk_copies_with_a_byte_mask(mask, mode):
    """Bit i is about byte i of each 16; the mask may be in a register, and stand behind a cache policy."""
    code = f"""
	mov.u32 r0, smem;  mad.lo.u32 r1, i, 4, r0;  add.u64 rd0, a, t;  ld.global.u32 r2, [rd0];  st.shared.u32 [r1], r2;
	fence.proxy.async;  bar.sync 0;
	setp.ne.u32 p, i, 0;
	@p exit;
	mov.u16 h0, {mask};
	cp.async.bulk.global.shared::cta.bulk_group.cp_mask [o], [r0], 48, h0;
	createpolicy.fractional.L2::evict_last.b64 rd1, 1.0;
	cp.async.bulk.global.shared::cta.bulk_group.L2::cache_hint.cp_mask [o+64], [smem+16], 32, rd1, {mask};
	cp.async.bulk.commit_group;
	cp.async.bulk.wait_group 0;"""
    a = given(32)
    out = run(code, a, np.full(32, 0x77777777, np.uint32), mode=mode).view(np.uint8)
    want, source = np.full(128, 0x77, np.uint8), a.view(np.uint8)
    for at, first, n in ((0, 0, 48), (64, 16, 32)):
        for k in range(n):
            if mask >> k % 16 & 1:
                want[at + k] = source[first + k]
    assert (out == want).all()


@MODES
def test_mbarrier_counts(mode):
    """Pending counts, states, drops and phases of one thread's barrier."""
    code = """
	setp.ne.u32 p, i, 0;
	@p exit;
	mbarrier.init.shared.b64 [bar], 3;
	mbarrier.arrive.shared.b64 rd1, [bar];
	mbarrier.pending_count.b64 r0, rd1;  st.global.u32 [o], r0;
	mbarrier.arrive.noComplete.shared.b64 rd2, [bar], 1;
	mbarrier.pending_count.b64 r0, rd2;  st.global.u32 [o+4], r0;
	mbarrier.test_wait.shared.b64 q, [bar], rd1;  selp.u32 r0, 1, 0, q;  st.global.u32 [o+8], r0;
	mbarrier.arrive_drop.shared.b64 rd3, [bar];
	mbarrier.test_wait.shared.b64 q, [bar], rd1;  selp.u32 r0, 1, 0, q;  st.global.u32 [o+12], r0;
	mbarrier.test_wait.parity.shared.b64 q, [bar], 0;  selp.u32 r0, 1, 0, q;  st.global.u32 [o+16], r0;
	mbarrier.test_wait.parity.shared.b64 q, [bar], 1;  selp.u32 r0, 1, 0, q;  st.global.u32 [o+20], r0;
	mbarrier.arrive.shared.b64 rd1, [bar];
	mbarrier.pending_count.b64 r0, rd1;  st.global.u32 [o+24], r0;
	mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [bar], 24;
	mbarrier.arrive.shared::cta.b64 rd2, [bar], 1;
	mbarrier.try_wait.parity.shared.b64 q, [bar], 1, 1;  selp.u32 r0, 1, 0, q;  st.global.u32 [o+28], r0;
	mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [bar], 24;
	mbarrier.try_wait.parity.shared.b64 q, [bar], 1, 1;  selp.u32 r0, 1, 0, q;  st.global.u32 [o+32], r0;
	cp.async.mbarrier.arrive.noinc.shared.b64 [bar];
	mbarrier.test_wait.parity.shared.b64 q, [bar], 0;  selp.u32 r0, 1, 0, q;  st.global.u32 [o+40], r0;
	mbarrier.arrive.release.cta.shared::cta.b64 _, [bar], 1;
	mbarrier.test_wait.parity.shared.b64 q, [bar], 0;  selp.u32 r0, 1, 0, q;  st.global.u32 [o+36], r0;
	mbarrier.inval.shared.b64 [bar];"""
    out = run(code, given(), np.full(11, 99, np.uint32), mode=mode)
    assert out.tolist() == [3, 2, 0, 1, 1, 0, 2, 0, 1, 1, 0]


@MODES
def test_stores_and_reductions_of_the_cluster(mode):
    """st.async, red.async, st.bulk, mapa, getctarank in a cluster of one."""
    code = """
	setp.ne.u32 p, i, 0;
	@p exit;
	mov.u32 r0, smem;  mov.u32 r1, bar;
	st.bulk.weak.shared::cta [r0], 64, 0;
	mbarrier.init.shared.b64 [bar], 1;
	mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 rd1, [bar], 20;
	mapa.shared::cluster.u32 r2, r0, 0;
	mapa.shared::cluster.u32 r3, r1, 0;
	st.async.shared::cluster.mbarrier::complete_tx::bytes.v2.u32 [r2+8], {5, 6}, [r3];
	st.async.shared::cluster.mbarrier::complete_tx::bytes.b64 [r2+16], 7, [r3];
	red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.add.u32 [r2+8], 10, [r3];
	mov.u32 r15, 0;
LOOP:
	mbarrier.try_wait.shared.b64 q, [bar], rd1;
	add.u32 r15, r15, 1;  setp.gt.u32 s, r15, 9999;
	@s trap;
	@!q bra LOOP;
	ld.shared.v4.u32 {r4, r5, r6, r7}, [r0];  st.global.v4.u32 [o], {r4, r5, r6, r7};
	ld.shared::cluster.u32 r4, [r2+16];  st.global.u32 [o+16], r4;
	getctarank.shared::cluster.u32 r5, r2;  st.global.u32 [o+20], r5;
	cvta.shared.u64 rd2, smem;
	mapa.u64 rd3, rd2, 0;
	ld.u32 r4, [rd3+12];  st.global.u32 [o+24], r4;
	getctarank.u64 r5, rd3;  st.global.u32 [o+28], r5;
	red.async.release.gpu.global.add.u32 [o+32], 3;
	st.async.release.sys.global.u32 [o+36], 4;
	barrier.cluster.arrive.release;
	barrier.cluster.wait.acquire;"""
    out = run(code, given(), np.full(10, 1, np.uint32), mode=mode)
    assert out.tolist() == [0, 0, 15, 6, 7, 0, 6, 0, 4, 4]


@MODES
def test_stack(mode):
    code = """
	stacksave.u64 rd0;
	mul.wide.u32 rd1, i, 4;  add.u64 rd1, rd1, 16;
	alloca.u64 rd2, rd1, 16;
	alloca.u64 rd4, 16, 16;
	st.local.u32 [rd2], i;  st.local.u32 [rd4], 77;
	ld.local.u32 r0, [rd2];
	and.b64 rd3, rd2, 15;  cvt.u32.u64 r1, rd3;
	stackrestore.u64 rd0;
	add.u64 o, o, t;  add.u32 r0, r0, r1;  st.global.u32 [o], r0;"""
    assert (run(code, given(), np.zeros(32, np.uint32), mode=mode) == np.arange(32)).all()


@MODES
@pytest.mark.parametrize("fn,t,dtype,reference", [
    ("and", "b32", np.uint32, np.bitwise_and), ("or", "b32", np.uint32, np.bitwise_or), ("xor", "b64", np.uint64, np.bitwise_xor),
    ("add", "u64", np.uint64, np.add), ("max", "u32", np.uint32, np.maximum), ("min", "s64", np.int64, np.minimum),
    ("max", "s32", np.int32, np.maximum), ("min", "u64", np.uint64, np.minimum),
    ("inc", "u32", np.uint32, lambda r, s: np.where(r >= s, 0, r + 1)), ("dec", "u32", np.uint32, lambda r, s: np.where((r == 0) | (r > s), s, r - 1)),
    ("add", "f32", np.float32, np.add), ("add", "f64", np.float64, np.add), ("add.noftz", "f16", np.float16, np.add),
    ("add.noftz", "bf16", ml_dtypes.bfloat16, np.add), ("min", "f16", np.float16, np.minimum), ("max", "bf16", ml_dtypes.bfloat16, np.maximum),
])  # fmt: skip
def test_bulk_reductions(fn, t, dtype, reference, mode):
    code = f"""
	setp.ne.u32 p, i, 0;
	@p exit;
	mov.u32 r0, smem;
	ld.global.v2.b64 {{rd0, rd1}}, [a];  st.shared.v2.b64 [r0], {{rd0, rd1}};
	ld.global.v2.b64 {{rd0, rd1}}, [a+16];  st.shared.v2.b64 [r0+16], {{rd0, rd1}};
	cp.reduce.async.bulk.global.shared::cta.bulk_group.{fn}.{t} [o], [r0], 32;
	cp.async.bulk.commit_group;
	cp.async.bulk.wait_group 0;"""
    r = np.random.default_rng(4)
    n = 32 // np.dtype(dtype).itemsize
    if np.dtype(dtype).kind in "ui":
        a, out = (r.integers(0, 256, 32).astype(np.uint8).view(dtype) for _ in range(2))
    else:
        a, out = (r.integers(-9, 9, n).astype(dtype) for _ in range(2))
    want = reference(out, a).astype(dtype)
    run(code, a, out, mode=mode)
    assert out.tolist() == want.tolist()


@MODES
def test_addresses_of_other_blocks(mode):
    """mapa and getctarank in clusters of two: each block reads what the other wrote."""
    code = """
	mov.u32 r1, %ctaid.x;  mov.u32 r0, smem;
	setp.ne.u32 p, i, 0;
	mad.lo.u32 r2, r1, 100, 7;
	@!p st.shared.u32 [r0+8], r2;
	barrier.cluster.arrive.release;
	barrier.cluster.wait.acquire;
	@p bra DONE;
	xor.b32 r3, r1, 1;
	mapa.shared::cluster.u32 r4, r0, r3;
	ld.shared::cluster.u32 r5, [r4+8];
	getctarank.shared::cluster.u32 r6, r4;
	cvta.shared.u64 rd0, smem;
	mapa.u64 rd1, rd0, r3;
	ld.u32 r7, [rd1+8];
	getctarank.u64 r8, rd1;
	getctarank.shared::cluster.u32 r9, r0;
	mul.wide.u32 rd2, r1, 32;  add.u64 o, o, rd2;
	st.global.v4.u32 [o], {r5, r6, r7, r8};  st.global.u32 [o+16], r9;
DONE:
	barrier.cluster.arrive;
	barrier.cluster.wait;"""
    out = np.zeros((2, 8), np.uint32)
    module = pj.load_ptx(BODY.format(code=code, module=""))
    module.mode = mode
    module["k"].launch(np.zeros(4, np.uint32), out, grid=2, block=32, cluster=2)
    assert out[:, :5].tolist() == [[107, 1, 107, 1, 0], [7, 0, 7, 0, 1]]


def test_contended_atomics():
    """All threads of several blocks on one address."""
    text = """.version 8.0
.target sm_90
.address_size 64
.visible .entry k(.param .u64 po)
{
	.reg .b64 o; .reg .b32 r, i; .reg .f64 d;
	ld.param.u64 o, [po];  mov.u32 i, %tid.x;  mov.u32 r, %ctaid.x;  mad.lo.u32 i, r, 64, i;
	atom.global.inc.u32 r, [o], 99;
	red.global.add.u32 [o+4], i;
	red.global.max.s32 [o+8], i;
	red.global.min.u32 [o+12], i;
	red.global.xor.b32 [o+16], i;
	atom.global.dec.u32 r, [o+20], 40;
	ret;
}
"""
    out = np.array([0, 0, 0, 1000, 0, 0], np.uint32)
    pj.load_ptx(text)["k"][8, 64](out)
    x = 0
    for k in range(512):
        x ^= k
    assert out.tolist() == [512 % 100, 511 * 256, 511, 0, x, (-512) % 41]


_ = pack
