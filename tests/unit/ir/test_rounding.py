"""Directed rounding by ops that round to nearest: the bits of the exact meaning, on numbers that like trouble."""
from __future__ import annotations

import numpy as np
import pytest

from ptxjit.ir.interp.machine import run_kernel
from ptxjit.ir.interp.values import eval_lane
from ptxjit.ir.kernel import KernelBuilder
from ptxjit.ir.op import op
from ptxjit.ir.passes import kernel_pipeline
from ptxjit.ir.types import F32, F64, I32, I64
from ptxjit.targets import target

COUNT, LANES = 2048, 32
HARD = {F32: [0.0, 1.0, 1.5, 3.0, 7.0, 1e-45, 1.1754942e-38, 1.1754944e-38, 3.4028235e38, 1.7014118e38, 1e-30, 1e30, 5.9e-39, np.inf, np.nan, 0.1, 2.0**-75, 16777217.0],
        F64: [0.0, 1.0, 1.5, 3.0, 7.0, 5e-324, 2.2250738585072009e-308, 2.2250738585072014e-308, 1.7976931348623157e308, 8.9e307, 1e-200, 1e200, 1e-170, 2.0**-540,
              np.inf, np.nan, 0.1, 1e-308]}  # fmt: skip


def numbers(t, seed, count=COUNT):
    rng = np.random.default_rng(seed)
    if t.is_int:
        bits = np.frombuffer(rng.bytes(count * t.bytes), t.np).copy()
        return np.where(rng.random(count) < 0.3, bits >> rng.integers(0, t.bits, count).astype(t.np), bits)
    bits = np.frombuffer(rng.bytes(count * t.bytes), t.np).copy()
    with np.errstate(all="ignore"):
        hard = rng.choice(np.array(HARD[t]), count).astype(t.np) * rng.choice([-1, 1], count).astype(t.np)
        near = (rng.standard_normal(count) * 10.0 ** rng.integers(-6, 6, count)).astype(t.np)
    kind = rng.integers(0, 3, count)
    return np.where(kind == 0, bits, np.where(kind == 1, hard, near)).astype(t.np)


def ran(o, types, attrs, args, result):
    b = KernelBuilder("k", lanes=LANES, warps=1)
    ins = [b.param(f"p{n}", I64, role="pointer", elem=t, access="r") for n, t in enumerate(types)]
    out = b.param("out", I64, role="pointer", elem=result, access="w")
    at = b.iadd(b.imul(b.sreg(name="ctaid.x"), b.const(I32, LANES)), b.sreg(name="laneid"))
    v = b.emit(o, [b.ld(p, at, space="global", to=t, scale=t.bytes) for p, t in zip(ins, types)], attrs)
    b.st(out, at, v, space="global", to=result, scale=result.bytes)
    b.ret()
    kernel = kernel_pipeline(target("spirv").facts).run(b.finish(), check=True)
    assert not any(i.attr("rnd") in ("rz", "rm", "rp") for i in kernel.instrs() if i.op.name not in ("ftos", "ftou"))
    got = np.zeros(COUNT, result.np)
    run_kernel(kernel, (COUNT // LANES, 1, 1), [*args, got])
    return got


CASES = [(n, (t,) * {"fsqrt": 1, "ffma": 3}.get(n, 2), (), t) for n in ("fadd", "fsub", "fmul", "fdiv", "ffma", "fsqrt") for t in (F32, F64)]
CASES += [(n, (f,), (("to", t),), t) for n in ("stof", "utof") for f in (I32, I64) for t in (F32, F64)]


@pytest.mark.parametrize("rnd", ["rz", "rm", "rp"])
@pytest.mark.parametrize("name,types,attrs,result", CASES, ids=lambda x: str(x) if isinstance(x, str) else "")
def test_the_exact_bits(name, types, attrs, result, rnd):
    attrs = tuple(sorted((*attrs, ("rnd", rnd))))
    args = [numbers(t, 7 + n) for n, t in enumerate(types)]
    if name == "fadd":
        args[1][:200] = -args[0][:200]  # exact zeros
    want = np.ascontiguousarray(np.broadcast_to(eval_lane(op(name), result, args, attrs), (COUNT,)))
    with np.errstate(all="ignore"):
        got = ran(op(name), types, attrs, args, result)
    same = (want.view(f"u{want.itemsize}") == got.view(f"u{want.itemsize}")) | (want != want) & (got != got)
    bad = np.flatnonzero(~same)
    assert not len(bad), f"{len(bad)}: {[tuple(a[bad[0]] for a in args), want[bad[0]], got[bad[0]]]}"
