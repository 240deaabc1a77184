"""What the PTX manual leaves open, or what our reader decided without a card: the same PTX on the card and on the CPU, side by side.

A question is decided by what the card does.  `ours` is what the reader gives; where they differ, that is a known limit of the reader or work to do, not
a failure of the card's target, so it is no error of the run.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import ptxjit as pj
from ptxjit.errors import PtxjitError

BODY = """.address_size 64
{module}
.visible .entry k(.param .u64 pa, .param .u64 pb, .param .u64 po)
{{
    .reg .pred p, q; .reg .b16 h<6>; .reg .b32 r<16>; .reg .b64 a, b, o, t8, t4, rd<4>; .reg .f32 f<10>; .reg .f64 d<4>; .reg .b32 i;
    .shared .align 16 .b8 smem[1024];
    ld.param.u64 a, [pa]; ld.param.u64 b, [pb]; ld.param.u64 o, [po];
    mov.u32 r14, %ctaid.x; mov.u32 r15, %ntid.x; mov.u32 i, %tid.x; mad.lo.u32 r14, r14, r15, i;
    mul.wide.u32 t8, r14, 8; mul.wide.u32 t4, r14, 4;
    {code}
    ret;
}}
"""


def bits32(*values: int) -> Any:
    return np.array(values, np.uint32)


class Question(NamedTuple):
    """`code` reads arrays at a and b (t4, t8: offset of the thread's own word of 4 or 8 bytes) and writes o.  `shown` puts a result into words."""

    text: str
    code: str
    a: Any
    b: Any
    out: Any
    shown: Callable[[Any], str]
    threads: int = 0
    module: str = ""
    distance: bool = False  # f32 results: the largest distance in units of the last place is what matters

    def on(self, device: str, header: str) -> Any:
        out, n = self.out.copy(), self.threads or len(self.a)
        block = min(n, 256) if not self.threads else n
        pj.load_ptx(header + BODY.format(code=self.code, module=self.module), device=device)["k"][-(-n // block), block](self.a.copy(), self.b.copy(), out)
        return out

    def ask(self, c: Any) -> dict[str, Any]:
        try:
            ours: Any = self.on("cpu", c.header)
            said = self.shown(ours)
        except PtxjitError as e:
            ours, said = None, e.message.splitlines()[0]
        try:
            card = self.on(c.device, c.header)
        except PtxjitError as e:
            return {"card": e.message.splitlines()[0], "ours": said, "verdict": "agree" if ours is None else "differ"}
        if ours is None:
            return {"card": self.shown(card), "ours": said, "verdict": "differ"}
        if self.distance:
            far = ulps(card, ours)
            return {"card": "", "ours": "", "verdict": f"{(card.view(np.uint32) != ours.view(np.uint32)).mean():.1%} of the results differ, at most {far} ulp apart"}
        return {"card": self.shown(card), "ours": said, "verdict": "agree" if card.tobytes() == ours.tobytes() else "differ"}


def ulps(x: Any, y: Any) -> int:
    """The largest distance of finite f32 results, counted in numbers between."""
    def order(v: Any) -> Any:
        w = v.view(np.int32).astype(np.int64)
        return np.where(w < 0, -(w & 0x7FFFFFFF), w)

    both = np.isfinite(x) & np.isfinite(y)
    return int(np.abs(order(x) - order(y))[both].max()) if both.any() else 0


def words(out: Any) -> str:
    return ", ".join(f"{int(v):#x}" for v in out.view(np.uint32 if out.dtype.itemsize == 4 else np.uint64))


NONE = np.zeros(4, np.uint32)
PAYLOADS = bits32(0x7FC12345, 0xFFC00001, 0x7F800001, 0xFFBFFFFF)  # quiet and signalling, both signs
ONE = bits32(*[0x3F800000] * 4)
LD = "add.u64 rd0, a, t4; ld.global.f32 f0, [rd0]; add.u64 rd1, b, t4; ld.global.f32 f1, [rd1]; add.u64 rd2, o, t4; "
ST = " st.global.f32 [rd2], f2;"
LD64 = "add.u64 rd0, a, t8; ld.global.f64 d0, [rd0]; add.u64 rd1, b, t8; ld.global.f64 d1, [rd1]; add.u64 rd2, o, t8; "
PAYLOADS64 = np.array([0x7FF8123456789ABC, 0xFFF8000000000001, 0x7FF0000000000001, 0xFFF7FFFFFFFFFFFF], np.uint64)
ONE64 = np.array([1.0] * 4).view(np.uint64)
_rng = np.random.default_rng(12)
WIDE = (_rng.standard_normal(1 << 16) * np.exp2(_rng.integers(-20, 20, 1 << 16))).astype(np.float32)
ANGLES = _rng.uniform(-np.pi, np.pi, 1 << 16).astype(np.float32)
POSITIVE = np.abs(WIDE) + np.float32(1e-30)


def approx(op: str, x: Any, args: str = "f2, f0") -> Question:
    return Question(f"how far {op} on the card is from our definition", LD + f"{op} {args};" + ST, x, POSITIVE, np.zeros(len(x), np.float32), words, distance=True)


def payload(op: str, statement: str) -> Question:
    return Question(f"the bits of NaN results of {op}", LD + statement + ST, PAYLOADS, ONE, np.zeros(4, np.uint32), words)


QUESTIONS = [
    Question("does `bar.sync id, n` count whole warps? (48 threads, `bar.sync 1, 64`)", "bar.sync 1, 64; add.u64 rd2, o, t4; st.global.u32 [rd2], i;", NONE, NONE,
             np.full(48, 99, np.uint32), lambda out: "all threads pass: whole warps are counted" if (out == np.arange(48)).all() else f"threads that passed: {(out != 99).sum()}",
             threads=48),
    Question("does `bar.red.popc` with a count see the lanes that a partial warp lacks?", "setp.ge.u32 p, i, 0; bar.red.popc.u32 r0, 1, 64, p; add.u64 rd2, o, t4; st.global.u32 [rd2], r0;",
             NONE, NONE, np.zeros(48, np.uint32), lambda out: f"it counts {sorted(set(out.tolist()))}", threads=48),
    payload("add.f32 (NaN + 1)", "add.rn.f32 f2, f0, f1;"),
    payload("add.f32 (1 + NaN)", "add.rn.f32 f2, f1, f0;"),
    payload("mul.f32", "mul.rn.f32 f2, f0, f1;"),
    payload("fma.rn.f32", "fma.rn.f32 f2, f0, f1, f1;"),
    payload("min.f32 (NaN, 1)", "min.f32 f2, f0, f1;"),
    payload("min.f32 (NaN, NaN)", "min.f32 f2, f0, f0;"),
    payload("abs.f32", "abs.f32 f2, f0;"),
    payload("neg.f32", "neg.f32 f2, f0;"),
    payload("sqrt.rn.f32", "sqrt.rn.f32 f2, f0;"),
    payload("div.rn.f32", "div.rn.f32 f2, f0, f1;"),
    payload("0/0", "mov.f32 f3, 0f00000000; div.rn.f32 f2, f3, f3;"),
    payload("inf - inf", "mov.f32 f3, 0f7F800000; sub.rn.f32 f2, f3, f3;"),
    payload("cvt.f32.f64 of cvt.f64.f32", "cvt.f64.f32 d0, f0; cvt.rn.f32.f64 f2, d0;"),
    payload("cvt.f32.f16 of cvt.f16.f32", "cvt.rn.f16.f32 h0, f0; cvt.f32.f16 f2, h0;"),
    payload("cvt.rni.f32.f32", "cvt.rni.f32.f32 f2, f0;"),
    payload("selp and mov", "setp.eq.f32 p, f1, f1; selp.f32 f2, f0, f1, p;"),
    Question("the bits of NaN results of add.f64", LD64 + "add.rn.f64 d2, d0, d1; st.global.f64 [rd2], d2;", PAYLOADS64, ONE64, np.zeros(4, np.uint64), words),
    Question("the bits of NaN results of fma.rn.f64", LD64 + "fma.rn.f64 d2, d0, d1, d1; st.global.f64 [rd2], d2;", PAYLOADS64, ONE64, np.zeros(4, np.uint64), words),
    Question("the bits of NaN results of add.f16x2", "add.u64 rd0, a, t4; ld.global.b32 r0, [rd0]; add.rn.f16x2 r1, r0, r0; add.u64 rd2, o, t4; st.global.b32 [rd2], r1;",
             bits32(0x7E01FC01, 0xFE007D00, 0x7C017FFF, 0xFFFF3C00), NONE, np.zeros(4, np.uint32), words),
    Question("is `mul.f32; add.f32` without .rn contracted?", LD + "mul.f32 f3, f0, f1; add.f32 f2, f3, f0;" + ST, WIDE[:4096], POSITIVE[:4096], np.zeros(4096, np.float32),
             lambda out: f"{fused(out)} of 4096 results are those of a fused operation alone"),
    Question("is `mul.rn.f32; add.rn.f32` contracted?", LD + "mul.rn.f32 f3, f0, f1; add.rn.f32 f2, f3, f0;" + ST, WIDE[:4096], POSITIVE[:4096], np.zeros(4096, np.float32),
             lambda out: f"{fused(out)} of 4096 results are those of a fused operation alone"),
    Question("does `atom.global.add.f32` flush subnormal numbers?", LD + "atom.global.add.f32 f3, [rd2], f0; ld.volatile.global.f32 f2, [rd2];" + ST, bits32(1, 0x1234, 0x80000001, 0x00400000),
             ONE, np.zeros(4, np.float32), words),
    Question("does `atom.shared.add.f32` flush subnormal numbers?",
             LD + "mov.u32 r0, smem; mad.lo.u32 r0, i, 4, r0; st.shared.b32 [r0], 0; atom.shared.add.f32 f3, [r0], f0; ld.volatile.shared.f32 f2, [r0];" + ST,
             bits32(1, 0x1234, 0x80000001, 0x00400000), ONE, np.zeros(4, np.float32), words),
    Question("`shfl.sync.idx` from a lane that has exited", "setp.ge.u32 p, i, 16; @p bra OUT; mov.u32 r0, i; shfl.sync.down.b32 r1|q, r0, 8, 31, 0xffff; add.u64 rd2, o, t4; st.global.u32 [rd2], r1; OUT:",
             NONE, NONE, np.full(32, 99, np.uint32), lambda out: ", ".join(map(str, out[:16].tolist())), threads=32),
    Question("`ex2.approx.ftz.f32` of a subnormal number, of −126.5, of −149", LD + "ex2.approx.ftz.f32 f2, f0;" + ST, np.array([1e-40, -126.5, -149, -150], np.float32).view(np.uint32), ONE,
             np.zeros(4, np.uint32), words),
    Question("`rcp.approx.f32` and friends at 0, −0, inf, subnormal", LD + "rcp.approx.f32 f2, f0;" + ST, bits32(0, 0x80000000, 0x7F800000, 0x00000001), ONE, np.zeros(4, np.uint32), words),
    Question("tensor cores: the order and rounding of f32 sums in mma.m16n8k16 (f16)",
             "add.u64 rd0, a, t8; ld.global.v2.b32 {r0, r1}, [rd0]; add.u64 rd1, b, t8; ld.global.v2.b32 {r4, r5}, [rd1]; mov.f32 f4, 0f00000000; "
             "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {f0, f1, f2, f3}, {r0, r1, r0, r1}, {r4, r5}, {f4, f4, f4, f4}; "
             "mul.wide.u32 rd3, i, 16; add.u64 rd2, o, rd3; st.global.v4.f32 [rd2], {f0, f1, f2, f3};",
             _rng.standard_normal((32, 4)).astype(np.float16).view(np.uint32).reshape(-1), _rng.standard_normal((32, 4)).astype(np.float16).view(np.uint32).reshape(-1),
             np.zeros(128, np.float32), words, threads=32, distance=True),
    approx("ex2.approx.f32", np.clip(WIDE, -120, 120)), approx("lg2.approx.f32", POSITIVE), approx("sin.approx.f32", ANGLES), approx("cos.approx.f32", ANGLES),
    approx("tanh.approx.f32", WIDE), approx("rcp.approx.f32", WIDE), approx("rsqrt.approx.f32", POSITIVE), approx("sqrt.approx.f32", POSITIVE),
    approx("div.approx.f32", WIDE, "f2, f0, f1"), approx("div.full.f32", WIDE, "f2, f0, f1"),
]  # fmt: skip


def fused(out: Any) -> int:
    """How many results are a·b + a rounded once and not twice."""
    a, b = WIDE[:4096], POSITIVE[:4096]
    with np.errstate(all="ignore"):
        once = (a.astype(np.longdouble) * b.astype(np.longdouble) + a.astype(np.longdouble)).astype(np.float32)
        twice = (a * b).astype(np.float32) + a
    return int(((out == once) & (out != twice)).sum())
