"""`dot4`: four products of bytes and a sum, the same at every level and on every target; expected values are computed with Python's integers."""
from __future__ import annotations

import re
from itertools import product

import numpy as np
import pytest

import ptxjit as pj
from ptxjit.ir.errors import BugError, DTypeError
from ptxjit.ir.interp.values import eval_lane
from ptxjit.ir.kernel import KernelBuilder
from ptxjit.ir.op import op
from ptxjit.ir.passes import kernel_pipeline
from ptxjit.ir.text import dump, parse
from ptxjit.ir.types import I32, I64
from ptxjit.targets import target
from ptxjit.targets.cpu.link import link
from ptxjit.targets.cpu.load import LINUX_X86, load
from ptxjit.targets.ptx.facts import facts_for
from ptxjit.targets.ptx.tools import assemble
from ptxjit.targets.ptx.write import write_module
from tests.unit.llvm.test_lanes import run

SIGNS = ("ss", "su", "us", "uu")
COUNT = 512


def words():
    """Three arrays: the bytes that like trouble against each other, totals at the ends of their range, and noise."""
    rng = np.random.default_rng(4)
    edge = np.array(list(product((0, 1, 0x7F, 0x80, 0xFF), repeat=2)), np.uint8)
    first, second = (rng.integers(0, 256, (COUNT, 4), np.uint8) for _ in range(2))
    for n, (x, y) in enumerate(edge):
        first[n], second[n] = x, y  # all four alike: the largest sums
        first[25 + n], second[25 + n] = np.roll([x, 0, y, 0], n), np.roll([y, x, x, y], n)
    total = rng.choice(np.array([0, -1, 1, 2**31 - 1, -(2**31), 12345], np.int32), COUNT)
    return first.view("<i4")[:, 0].copy(), second.view("<i4")[:, 0].copy(), total


def expected(a, b, c, signs):
    def four(word, sign):
        return [x - 256 if sign == "s" and x > 127 else x for x in (int(word) & 0xFFFFFFFF).to_bytes(4, "little")]

    whole = [int(z) + sum(p * q for p, q in zip(four(x, signs[0]), four(y, signs[1]))) for x, y, z in zip(a, b, c)]
    return np.array([(v + 2**31) % 2**32 - 2**31 for v in whole], np.int32)


def kernel(lanes=16):
    """out[k] = dot4(a[k], b[k], c[k]) for each of the signs, one after the other in `out`."""
    b = KernelBuilder("k", lanes=lanes, warps=1)
    ins = [b.param(n, I64, role="pointer", elem=I32, access="r") for n in ("a", "b", "c")]
    out = b.param("out", I64, role="pointer", elem=I32, access="w")
    at = b.iadd(b.imul(b.sreg(name="ctaid.x"), b.const(I32, lanes)), b.sreg(name="laneid"))
    args = [b.ld(p, at, space="global", to=I32, scale=4) for p in ins]
    for n, signs in enumerate(SIGNS):
        b.st(out, b.iadd(at, b.const(I32, n * COUNT)), b.dot4(*args, signs=signs), space="global", to=I32, scale=4)
    b.ret()
    return b.finish()


def legal(name, lanes=16):
    return kernel_pipeline(target(name).facts).run(kernel(lanes), check=True)


def left(k):
    """The signs of the ops that the pipeline left."""
    return {i.attr("signs") for i in k.instrs() if i.op.name == "dot4"}


ALL = np.concatenate([expected(*words(), s) for s in SIGNS])


@pytest.mark.parametrize("signs", SIGNS)
def test_the_meaning(signs):
    np.testing.assert_array_equal(eval_lane(op("dot4"), I32, words(), (("signs", signs),)), expected(*words(), signs))
    assert expected([0x80808080 - 2**32], [0x80808080 - 2**32], [2**31 - 1], "ss")[0] == -(2**31) + 65535


def test_it_is_read_back_and_checked():
    text = dump(kernel())
    assert dump(parse(text)) == text and text.count("dot4") == 4 and "signs=us" in text.replace('"', "")
    with pytest.raises(DTypeError, match="dot4"):
        op("dot4").infer((I32, I32, I64))
    with pytest.raises(BugError, match="signs"):
        op("dot4").infer((I32, I32, I32), (("signs", "s"),))


@pytest.mark.skipif(not LINUX_X86, reason="runs what the x86-64 Linux linker made: run it on such a machine")
def test_shifts_and_products_where_the_device_lacks_it():
    k = legal("cpu:host")
    assert not left(k)
    got = np.zeros(4 * COUNT, np.int32)
    run(load(link(target("cpu:host").emit([k], "obj"))), "k", [*words(), got], COUNT // 16)
    np.testing.assert_array_equal(got, ALL)


@pytest.mark.parametrize("arch", ["sm_75", "sm_120"])
def test_dp4a_written_assembled_and_read_back(arch, ptxas):
    text = write_module([legal(f"ptx:{arch}", 32)], facts_for(f"ptx:{arch}"))
    assert re.findall(r"dp4a\.(\w)32\.(\w)32", text) == [tuple(s) for s in SIGNS]
    assemble(text, arch)
    read = pj.load_ptx(text, device="cpu")["k"]
    got = np.zeros(4 * COUNT, np.int32)
    read[COUNT // 32, 32](*words(), got)
    np.testing.assert_array_equal(got, ALL)


@pytest.mark.parametrize(("arch", "found"), [
    ("gfx1100", {"v_dot4_i32_iu8": 4}), ("gfx1201", {"v_dot4_i32_iu8": 4}), ("gfx1030", {"v_dot4": 2}), ("gfx906", {"v_dot4": 2}),
    ("gfx950", {"v_dot4": 2}), ("gfx1010", {"v_dot4": 0}), ("gfx9-generic", {"v_dot4": 0})])  # fmt: skip
def test_amd(arch, found):
    """RDNA 3 and 4 have every combination, RDNA 2, CDNA and Vega 20 bytes of one signedness, others nothing."""
    t = target(f"amdgpu:{arch}")
    k = legal(t.name, t.facts.lanes)
    assert left(k) == ({*SIGNS} if "dot4mixed" in t.facts.features else {"ss", "uu"} if "dot4" in t.facts.features else set())
    text = str(t.emit([k], "asm"))
    assert {w: len(re.findall(rf"^\s*{w}", text, re.M)) for w in found} == found


def test_spellings(golden):
    dots = ("dot4", "dot4mixed")
    spirv = type(target("spirv"))("spirv")
    spirv.facts = target("spirv").facts._replace(features=(*target("spirv").facts.features, *dots))
    texts = {"ptx": write_module([legal("ptx:sm_80", 32)], facts_for("ptx:sm_80"))}
    k = kernel_pipeline(spirv.facts).run(kernel(), check=True)
    texts |= {f"spirv {stage}": str(spirv.emit([k], stage)) for stage in ("ll", "spirv", "opencl")}
    texts |= {f"amdgpu {arch}": str(target(f"amdgpu:{arch}").emit([legal(f"amdgpu:{arch}", target(f"amdgpu:{arch}").facts.lanes)], "ll")) for arch in ("gfx1100", "gfx906")}
    lines = [f"==== {name}\n" + "\n".join(x.strip() for x in text.splitlines() if re.search(r"dp4a|[Dd]ot(4|_|Product| |_4x8)|= Op\w*Dot", x)) for name, text in texts.items()]
    golden("\n".join(lines) + "\n", "dot4.txt")
