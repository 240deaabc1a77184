"""Kernels as work-items: the text of a few, and LLVM's verifier over many, for a dialect that exists only here."""
from __future__ import annotations

import re

import numpy as np
import pytest

import ptxjit as pj
import tests.corpus.cases  # noqa: F401
from ptxjit import targets
from ptxjit.ir.analysis import warp_needs
from ptxjit.ir.errors import UnsupportedError
from ptxjit.ir.kernel import KernelBuilder
from ptxjit.ir.passes import kernel_pipeline
from ptxjit.ir.types import F16, F32, I1, I32, I64
from ptxjit.targets.llvm.item import Dialect, emit_items, module_of
from tests.corpus.corpus import CASES, files
from tests.properties.cases import CASES as LEVELS

llvm = pytest.importorskip("llvmlite.binding")


class Paper(Dialect):
    """A machine that nobody built: what a target must say, as calls."""

    name = "paper"

    def outside(self, e, result, name, *args):
        e.declared.add(f"declare {result} @{name}({', '.join(a.split()[0] for a in args)})")
        return e.put(f"call {result} @{name}({', '.join(args)})")

    def thread(self, e, name, axis):
        return self.outside(e, "i32", f"{name}.{axis}")

    def barrier(self, e):
        self.outside(e, "i32", "meet")

    def read_lane(self, e, text, lane):
        return self.outside(e, "i32", "read", f"i32 {text}", f"i32 {lane}")

    def ballot(self, e, text):
        return self.outside(e, "i32", "ballot", f"i1 {text}")

    def warp_barrier(self, e):
        self.outside(e, "i32", "warp")

    def clock(self, e, name):
        return self.outside(e, "i64", "clock")

    def arena_size(self, e):
        return "4096"


def verified(text):
    llvm.parse_assembly(text, llvm.create_context()).verify()
    assert not re.search(r"\b(nsw|nuw|inbounds|fast|x86|masked)\b", text)
    called = set(re.findall(r"@([\w.]+)\(", text)) - set(re.findall(r"define [^@]*@([\w.]+)\(", text))
    ours = {f"{r}.{a}" for r in ("tid", "ntid", "ctaid", "nctaid") for a in "xyz"} | {"meet", "read", "ballot", "warp", "clock"}
    assert {c for c in called if not c.startswith("llvm.")} <= ours
    return text


def lifted(name):
    have = files(CASES[name])
    path = next((p for p in have if ".O3." in p.name), have[0])
    ptx = targets.target("ptx")
    kernel = ptx.lift(ptx.read(path.read_bytes().decode(), path.name), name).kernel
    return kernel_pipeline(targets.target("spirv").facts).run(kernel)


def axpy():
    b = KernelBuilder("axpy", lanes=16, warps=1)
    x, y = (b.param(n, I64, role="pointer", elem=F32, access=a) for n, a in (("x", "r"), ("y", "rw")))
    n, head, body = b.param("n", I32), b.block("head", [I32]), b.block("body")
    out = b.block("out")
    b.jump(head, b.sreg(name="ctaid.x"))
    [k] = b.start(head)
    b.branch(b.icmp(k, n, pred="slt"), body, out)
    b.start(body)
    at = b.iadd(b.imul(k, b.const(I32, 16)), b.sreg(name="laneid"))
    p = b.iadd(y, b.imul(b.sext(at, to=I64), b.const(I64, 4)))
    b.st(p, b.fadd(b.ld(x, at, space="global", to=F32, scale=4), b.ld(p, space="global", to=F32)), space="global", to=F32)
    b.jump(head, b.iadd(k, b.sreg(name="nctaid.x")))
    b.start(out)
    b.ret()
    return b.finish()


def test_pointers_stay_pointers_and_block_parameters_are_phis():
    text, [signature] = module_of([axpy()], Paper())
    verified(text)
    assert "inttoptr" not in text and "ptrtoint" not in text and "alloca" not in text
    assert "define void @axpy(ptr addrspace(1) readonly %p0, ptr addrspace(1) %p1, i32 %p2)" in text
    assert re.search(r"%bp1_0 = phi i32 \[ %v1, %entry \]|%bp1_0 = phi i32 \[ %v1, %b0 \], \[ %v\d+, %b2 \]", text)
    assert signature == {"name": "axpy", "params": ["pointer", "pointer", "i32"], "local": 16, "shared": 0, "apart": False, "arena": False, "reports": False}


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2"])
@pytest.mark.parametrize("name", LEVELS)
def test_every_kernel_of_the_levels_is_valid(name, dtype):
    fn, shapes = LEVELS[name]
    low = pj.jit(fn).lower(*(np.zeros(s, dtype) for s in shapes), target="spirv")
    verified(emit_items(list(low.kernels.values()), Paper()))


@pytest.mark.parametrize("name", sorted(CASES))
def test_foreign_kernels_are_valid_or_refused_with_the_op(name):
    try:
        kernel = lifted(name)
        text = emit_items([kernel], Paper())
    except UnsupportedError as e:
        assert "on paper" in e.message or "rounding" in e.message or "rounded" in e.message
        return
    verified(text)


def test_guards_are_branches_and_results_phis():
    b = KernelBuilder("guarded")
    x, p = b.param("x", I64), b.param("p", I1)
    zero = b.const(F16, 1.0)
    [v] = [b.emit(*_load(x, F16), guard=p, passthrough=(zero,))]
    b.st(x, v, space="global", to=F16)
    b.ret()
    text = verified(emit_items([b.finish()], Paper()))
    assert "%p1 = icmp ne i8 %pb1, 0" in text and re.search(r"phi half \[ %v\d+, %g\d+ \], \[ 0xH3C00, %b0 \]", text)


def _load(x, elem):
    from ptxjit.ir.op import op

    return op("ld"), (x,), (("space", "global"), ("to", elem))


def test_two_edges_to_one_block():
    b = KernelBuilder("twice")
    x, p = b.param("x", I64), b.param("p", I1)
    join = b.block("join", [I32])
    b.branch(p, join, join, (b.const(I32, 1),), (b.const(I32, 2),))
    [v] = b.start(join)
    b.st(x, v, space="global", to=I32)
    b.ret()
    text = verified(emit_items([b.finish()], Paper()))
    assert re.search(r"phi i32 \[ 1, %b0 \], \[ 2, %e\d+ \]", text)


def test_who_needs_a_warp():
    found = {n: warp_needs(lifted(n)) for n in ("saxpy", "block_reduce")}
    assert found["saxpy"] is None and found["block_reduce"].op.name == "shfl_sync" and str(found["block_reduce"].loc)


def test_what_a_target_lacks_names_the_op():
    class Less(Paper):
        def barrier(self, e):
            raise self.lacks("bar")

    with pytest.raises(UnsupportedError, match="bar on paper"):
        emit_items([lifted("block_reduce")], Less())
