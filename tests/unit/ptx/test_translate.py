"""`translate`: PTX to PTX byte for byte, to another architecture, to code for any CPU."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ptxjit as pj
import tests.corpus.cases  # noqa: F401
from ptxjit.errors import ReadError, UnsupportedError, UserError
from tests.corpus.corpus import CASES, check, files
from tests.corpus.test_corpus_runs import aligned

CORPUS = Path(__file__).resolve().parents[2] / "corpus"
SAXPY = CORPUS / "ptx" / "arithmetic.sm_80.O3.ptx"


def test_the_same_bytes():
    assert pj.translate(SAXPY, target="ptx").binary == SAXPY.read_bytes()
    assert pj.translate(SAXPY.read_text(), target="ptx:sm_80").as_text() == SAXPY.read_text()


def test_another_architecture_and_one_entry():
    text = pj.translate(SAXPY, target="ptx:sm_75", entry="saxpy").as_text()
    assert ".target sm_75" in text and ".entry saxpy(" in text and "int32_ops" not in text.split("saxpy_param_3")[1]
    assert list(pj.load_ptx(text).kernels) == ["saxpy"]
    with pytest.raises(UnsupportedError, match="mma.*needs sm_80") as e:
        pj.translate(CORPUS / "ptx" / "matrices.sm_80.O3.ptx", target="ptx:sm_75").as_text()
    assert "matrices.sm_80.O3.ptx:" in e.value.place
    with pytest.raises(UserError, match="no PTX target"):
        pj.translate(SAXPY, target="ptx:sm_12").as_text()


LATE = """.version 8.8
.target sm_120
.address_size 64
.visible .entry k() {
    .reg .pred %p<2>; .reg .b16 %h<4>; .reg .b32 %r<9>; .reg .b64 %rd<4>; .reg .f32 %f<9>; .shared .align 8 .b64 bar;
    STATEMENT
    ret;
}
"""


@pytest.mark.parametrize("statement,arch,least", [
    ("min.NaN.f32 %f0, %f1, %f2;", "sm_75", "sm_80"), ("min.xorsign.abs.f32 %f0, %f1, %f2;", "sm_80", "sm_86"), ("min.f32 %f0, %f1, %f2, %f3;", "sm_90", "sm_100"),
    ("add.s16x2 %r0, %r1, %r2;", "sm_89", "sm_90"), ("add.rn.bf16 %h0, %h1, %h2;", "sm_80", "sm_90"), ("fma.rn.relu.f16 %h0, %h1, %h2, %h3;", "sm_75", "sm_80"),
    ("ld.global.L2::256B.b32 %r0, [%rd0];", "sm_75", "sm_80"), ("ld.shared::cluster.b32 %r0, [%r1];", "sm_89", "sm_90"),
    ("ld.global.v8.b32 {%r0, %r1, %r2, %r3, %r4, %r5, %r6, %r7}, [%rd0];", "sm_90", "sm_100"), ("atom.global.add.noftz.bf16x2 %r0, [%rd0], %r1;", "sm_80", "sm_90"),
    ("fence.acquire.gpu;", "sm_80", "sm_90"), ("mbarrier.try_wait.shared.b64 %p0, [bar], %rd1;", "sm_80", "sm_90"), ("bar.sync 0;", "sm_75", ""),
    ("cvt.rn.satfinite.e4m3x2.f32 %h0, %f1, %f2;", "sm_80", "sm_89"), ("cvt.f32.bf16 %f0, %h1;", "sm_75", "sm_80"), ("add.f32x2 %rd0, %rd1, %rd2;", "sm_90", "sm_100"),
])  # fmt: skip
def test_what_an_older_card_lacks_is_named(statement, arch, least):
    """By the rows of the instructions: ISA 9.7, "Target ISA Notes"."""
    text = LATE.replace("STATEMENT", statement)
    if not least:
        assert f".target {arch}" in pj.translate(text, target=f"ptx:{arch}").as_text()
        return
    with pytest.raises(UnsupportedError) as e:
        pj.translate(text, target=f"ptx:{arch}").as_text()
    assert e.value.message == f"{statement.split()[0].rstrip(';')} needs {least} and has no form for {arch}" and e.value.place.endswith(":6:5")


def test_an_instruction_that_no_row_has_cannot_go_back():
    text = LATE.replace("STATEMENT", "later.b32 %r0;")
    with pytest.raises(UnsupportedError, match="later.b32 is not an instruction of PTX ISA 9.1: whether sm_80 has it is not known"):
        pj.translate(text, target="ptx:sm_80").as_text()
    assert ".target sm_120a" in pj.translate(text.replace("sm_120", "sm_100"), target="ptx:sm_120a").as_text()


def lacking() -> list[str]:
    """Kernels of the corpus that have something that sm_75 lacks and a rule says otherwise."""
    from ptxjit import targets
    from ptxjit.targets.ptx.lift.core import instructions
    from ptxjit.targets.ptx.older import rule_for

    out = []
    for name, entry in sorted(CASES.items()):
        path = next((p for p in files(entry) if ".sm_80.O3." in p.name), None)
        if path is not None:
            f = targets.target("ptx").read(path.read_bytes(), path.name).functions[name]
            if any(rule_for(i, "sm_75") for i in instructions(f.body.items)):
                out.append(name)
    return out


@pytest.mark.parametrize("name", lacking())
def test_what_an_older_card_lacks_is_said_otherwise(name):
    """The kernel for sm_75 assembles there, and gives the corpus's results."""
    from ptxjit.targets.ptx.tools import assemble, available

    entry = CASES[name]
    path = next(p for p in files(entry) if ".sm_80.O3." in p.name)
    try:
        text = pj.translate(path, target="ptx:sm_75", entry=name).as_text()
    except UnsupportedError as e:  # it has something else that no rule says otherwise
        assert "needs sm_80 and has no form for sm_75" in e.message and path.name in str(e.place)
        return
    case = entry.make(5)
    args = [aligned(a) if isinstance(a, np.ndarray) else a for a in case.args]
    pj.load_ptx(text)[name].launch(*args, grid=entry.grid, block=entry.block, shared=entry.shared)
    check(case, args)
    if available("ptxas"):
        assemble(text, "sm_75")


def test_ptxas_takes_what_is_retargeted():
    from ptxjit.targets.ptx.tools import assemble, available

    if not available("ptxas"):
        pytest.skip("ptxas is missing: pip install nvidia-cuda-nvcc")
    assemble(pj.translate(SAXPY, target="ptx:sm_90", entry="int32_ops").as_text(), "sm_90")


@pytest.mark.parametrize("target,sign", [("cpu:host", ""), ("cpu:x86-64-v3", "%rdi"), ("cpu:aarch64", "x0")])
def test_code_for_any_cpu(target, sign):
    t = pj.translate(SAXPY, target=target, entry="saxpy")
    assert "saxpy" in t.as_text("ll") and "saxpy" in t.as_text() and sign in t.as_text()
    assert t.binary[:4] == b"\x7fELF"
    assert "kernel @saxpy" in t.as_text("kernel")


def test_what_is_not_there():
    with pytest.raises(UserError, match="no entry"):
        pj.translate(SAXPY, target="cpu:host", entry="nope")
    with pytest.raises(UserError, match="one entry"):
        _ = pj.translate(SAXPY, target="cpu:host").binary
    with pytest.raises(UnsupportedError):
        pj.translate(SAXPY, target="interp")


def test_spirv_and_opencl_c():
    made = pj.translate(SAXPY, target="spirv", entry="saxpy")
    assert made.stages == ("kernel", "ll", "opencl", "spirv", "final") and made.as_text() == made.as_text("spirv")
    assert 'OpEntryPoint Kernel' in made.as_text() and made.binary[:4] == b"\x03\x02\x23\x07"
    c = made.as_text("opencl")
    assert "__kernel" in c and "saxpy_(" in c and "fma(" in c and "spir_kernel void @saxpy_" in made.as_text("ll")


@pytest.mark.parametrize("text", ["cvta.to.gobal.u64 %rd0, %rd0;", "cvta.to.u64 %rd0, %rd0;", "cvta.u64 %rd0, %rd0;", "isspacep.u64 %p0, %rd0;"])
def test_a_state_space_that_is_missing(text):
    head = ".version 7.8\n.target sm_80\n.address_size 64\n.visible .entry k() { .reg .b64 %rd<2>; .reg .pred %p<2>;\n"
    with pytest.raises(ReadError, match="one of .const, .global, .local, .shared, .shared::cta, .shared::cluster, .param, .param::entry is missing") as e:
        pj.load_ptx(head + text + " ret; }")["k"].compile()
    assert e.value.place.startswith("<ptx>:5:1")
