"""PTX of others as code objects: every kernel of the corpus gives what NumPy expects on the emulator, or is refused with the instruction."""
from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest

import ptxjit as pj
import tests.corpus.cases  # noqa: F401
from ptxjit import targets
from ptxjit.errors import UnsupportedError
from ptxjit.ptx import Module
from ptxjit.targets.amdgpu import dialect
from ptxjit.targets.amdgpu.codeobject import read
from ptxjit.targets.llvm.compile import Machine
from tests.corpus.corpus import CASES, check
from tests.corpus.test_corpus_runs import aligned, chosen
from tests.unit.amdgpu import emulator
from tests.unit.ptx import test_instructions_matrix as m

REFUSED = re.compile(
    r"mbarrier|cluster|a barrier that is not the block's|a function that calls itself or is called by address|printf|rounded r[zmp]|cp\.reduce\.async"
    r"|atomic \w+ of i128|isspacep\.const|needs warps of 32 lanes|waits for another thread")  # fmt: skip
BEYOND = {  # kernels that are right, and that the emulator cannot run
    "clocks": "it has no s_sendmsg_rtn and no s_memtime",
    "grid_barrier": "it runs one block after the other", "look_back": "it runs one block after the other",
    "lock_divergent": "lanes of a wave do not go on while another lane of it spins, there as on the card",
    "dynamic_stack on gfx1201": "it ends there",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("arch", emulator.archs("gfx1100", "gfx1201", "gfx942"))
@pytest.mark.parametrize("name", sorted(CASES) if emulator.missing() is None else ["the corpus"])
def test_the_corpus(name, arch, monkeypatch):
    entry, target = CASES[name], targets.target(f"amdgpu:{arch}")
    case = entry.make(3)
    kernel = pj.load_ptx(chosen(entry)[0])[name]
    body = kernel.entry.kernel
    if case.cluster not in (None, (1, 1, 1)) or kernel.facts["limits"].get("reqnctapercluster", [1, 1, 1]) != [1, 1, 1]:
        pytest.skip("clusters have no counterpart on AMD")
    if name == "misaligned_copy":  # the emulator's stores drop the lowest bits of an address: here the code does not rely on that
        monkeypatch.setattr(dialect, "machine", lambda arch: Machine(dialect.TRIPLE, arch, "-unaligned-access-mode"))
    try:
        code = target.emit_kernel(body, "hsaco")
    except UnsupportedError as e:
        assert REFUSED.search(str(e)) and (arch in str(e) or "functions" not in str(e)), e
        return
    beyond = BEYOND.get(name) or BEYOND.get(f"{name} on {arch}")
    if beyond is not None:
        pytest.skip(f"the emulator cannot: {beyond}")
    [signature] = target._made([target._legal(body)], "ll")[1]
    args = [aligned(a) if isinstance(a, np.ndarray) else a for a in case.args]
    values, keep = kernel._values(args)
    values += [kernel.module.memory.address(s) for s in kernel.facts["symbols"]]
    regions = [(r.start, r.data) for r in kernel._host(args, keep)]
    emulator.run_foreign(arch, code, name, values, regions, entry.grid, entry.block, body.shared + entry.shared, signature["reports"])
    check(case, args)


@pytest.mark.parametrize("arch", emulator.archs("gfx1100", "gfx942"))
@pytest.mark.parametrize("name", ["saxpy", "histogram", "dynamic_shared", "variables", "struct_parameter", "grid3"] if emulator.missing() is None else ["some"])
def test_launches(name, arch):
    """As `load_ptx` launches on a card: arrays, variables and structures are copied there and back."""
    entry = CASES[name]
    case = entry.make(3)
    ptx = chosen(entry)[0]
    module = Module(targets.target("ptx").read(ptx.read_bytes(), ptx.name), "emulated", False, None, emulator.EmulatedTarget(f"amdemu:{arch}"))
    module[name].launch(*case.args, grid=entry.grid, block=entry.block, shared=entry.shared)
    check(case, case.args)


PTX = """
.version 7.0
.target sm_80
.address_size 64
.visible .entry twice(.param .u64 p)
{
    .reg .b32 %r<4>;
    .reg .b64 %rd<4>;
    ld.param.u64 %rd1, [p];
    mov.u32 %r1, %tid.x;
    mul.wide.u32 %rd2, %r1, 4;
    add.s64 %rd3, %rd1, %rd2;
    ld.global.u32 %r2, [%rd3];
    add.u32 %r3, %r2, %r2;
    st.global.u32 [%rd3], %r3;
    ret;
}
.visible .entry rotate(.param .u64 p)
{
    .reg .b32 %r<4>;
    .reg .b64 %rd<4>;
    ld.param.u64 %rd1, [p];
    mov.u32 %r1, %tid.x;
    mul.wide.u32 %rd2, %r1, 4;
    add.s64 %rd3, %rd1, %rd2;
    ld.global.u32 %r2, [%rd3];
    shfl.sync.down.b32 %r3, %r2, 1, 31, -1;
    st.global.u32 [%rd3], %r3;
    ret;
}
"""


SPIN = """
.version 7.0
.target sm_80
.address_size 64
.visible .entry spin(.param .u64 p)
{
    .reg .pred %q;
    .reg .b32 %r<2>;
    .reg .b64 %rd<2>;
    ld.param.u64 %rd1, [p];
AGAIN:
    ld.volatile.global.u32 %r1, [%rd1];
    setp.eq.u32 %q, %r1, 0;
    @%q bra AGAIN;
    ret;
}
"""


def test_loops_that_wait():
    """A warp of 32 that waits for the other half of its wave of 64 would wait for ever."""
    assert "s_cbranch" in pj.translate(SPIN, target="amdgpu:gfx1100").as_text()
    with pytest.raises(UnsupportedError, match="ld waits for another thread, which may be of the same wave of 64"):
        pj.translate(SPIN, target="amdgpu:gfx942").as_text()


def test_translation():
    made = pj.translate(PTX, target="amdgpu:gfx1100", entry="twice")
    assert made.stages == ("kernel", "ll", "asm", "final")
    assert "global_load_b32" in made.as_text() and "amdgpu_kernel void @twice" in made.as_text("ll")
    code = read(made.binary)
    assert code.target == "amdgcn-amd-amdhsa--gfx1100" and code.kernels["twice"].group == 1024 and code.kernels["twice"].lds == 0
    assert [a[".value_kind"] for a in code.kernels["twice"].args] == ["by_value"]


def test_warps_of_32_on_waves_of_64():
    assert "ds_bpermute_b32" in pj.translate(PTX, target="amdgpu:gfx1100", entry="rotate").as_text()
    assert read(pj.translate(PTX, target="amdgpu:gfx942", entry="twice").binary).kernels["twice"].wave == 64
    for arch in ("gfx90a", "gfx942", "gfx950", "gfx9-generic"):
        with pytest.raises(UnsupportedError, match=r"shfl_sync needs warps of 32 lanes") as e:
            pj.translate(PTX, target=f"amdgpu:{arch}", entry="rotate").as_text()
        assert e.value.place and "RDNA" in e.value.hint


MMA = """
.version 7.0
.target sm_80
.address_size 64
.visible .entry product(.param .u64 p)
{
    .reg .b32 %r<12>;
    .reg .b64 %rd<4>;
    ld.param.u64 %rd1, [p];
    mov.u32 %r1, %laneid;
    mul.wide.u32 %rd2, %r1, 16;
    add.s64 %rd3, %rd1, %rd2;
    ld.global.v4.u32 {%r2, %r3, %r4, %r5}, [%rd3];
    mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32 {%r6, %r7, %r8, %r9}, {%r2, %r3}, {%r4}, {%r5, %r5, %r5, %r5};
    st.global.v4.u32 [%rd3], {%r6, %r7, %r8, %r9};
    ret;
}
"""


def test_a_product_of_a_warp():
    """Two rows of A from the four lanes of a group, two columns of B from two groups of four: 8 + 8 words, each read once; four products at once."""
    for arch, dot in (("gfx1030", "v_dot4_i32_i8"), ("gfx1100", "v_dot4_i32_iu8"), ("gfx1201", "v_dot4_i32_iu8")):
        made = pj.translate(MMA, target=f"amdgpu:{arch}")
        assert made.as_text("ll").count("call i32 @llvm.amdgcn.ds.bpermute") == 16 and "ds_bpermute_b32" in made.as_text()
        assert made.as_text().count(dot) == 16 or made.as_text().count(dot) + made.as_text().count("v_dot4c_i32_i8") == 16
    floats = pj.translate(MMA.replace("s32.s8.s8.s32", "f32.bf16.bf16.f32").replace("{%r4}, {%r5, %r5, %r5, %r5}", "{%r4, %r5}, {%f1, %f1, %f1, %f1}").replace(
        "{%r6, %r7, %r8, %r9}, {%r2, %r3}", "{%f2, %f3, %f4, %f5}, {%r2, %r3, %r4, %r5}").replace("v4.u32 [%rd3], {%r6, %r7, %r8, %r9}", "v4.f32 [%rd3], {%f2, %f3, %f4, %f5}")
        .replace(".reg .b64 %rd<4>;", ".reg .b64 %rd<4>; .reg .f32 %f<6>; mov.f32 %f1, 0f00000000;"), target="amdgpu:gfx1100")  # fmt: skip
    assert floats.as_text("ll").count("@llvm.fma.f32(float %") == 4 * 16
    with pytest.raises(UnsupportedError, match="mma needs warps of 32"):
        pj.translate(MMA, target="amdgpu:gfx90a").as_text()


def test_the_command_line(tmp_path):
    file = tmp_path / "k.ptx"
    file.write_text(PTX)
    done = subprocess.run([sys.executable, "-m", "ptxjit", "translate", str(file), "--to", "amdgpu:gfx1201"], capture_output=True, text=True)
    assert done.returncode == 0 and "amdgcn-amd-amdhsa--gfx1201" in done.stdout, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("arch", emulator.archs("gfx1100", "gfx1201"))
@pytest.mark.parametrize("case", [m.INTEGERS[17], m.F8[3], m.SCALED[3], m.SCALED[8]] if emulator.missing() is None else m.INTEGERS[:1], ids=lambda c: c.text)
def test_narrow_products(case, arch):
    """Sparse, scaled and both: as the pass writes them (`ir/passes/matrices.py`)."""
    data = m.chosen(case, 1)
    words = m.words(case, data, 1)
    text = m.HEAD + m.kernel(case, words.shape[1], registers=True)
    module = Module(targets.target("ptx").read(text.encode(), "product.ptx"), "emulated", False, None, emulator.EmulatedTarget(f"amdemu:{arch}"))
    out = np.zeros((32, 4), np.uint32)
    module["k"].launch(words, out, grid=1, block=32)
    assert not m.disagree(case, 1, out)


def test_products_are_emitted_or_refused():
    """gfx1100 has the narrow products, as shuffles; directed rounding has none, and waves of 64 no warps."""
    target = targets.target("amdgpu:gfx1100")
    for case in (m.INTEGERS[0], m.F8[3], m.SCALED[0], m.SCALED[12]):
        kernel = pj.load_ptx(m.HEAD + m.kernel(case, 20))["k"].entry.kernel
        assert "ds_bpermute" in str(target.emit_kernel(kernel, "asm"))
        with pytest.raises(UnsupportedError, match=r"\w+ needs warps of 32 lanes"):
            targets.target("amdgpu:gfx942").emit_kernel(kernel, "asm")
    code = "mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64.rz {d8, d9}, {d0}, {d2}, {d4, d5};"
    with pytest.raises(UnsupportedError, match="mma rounded rz on amdgpu:gfx1100"):
        target.emit_kernel(pj.load_ptx(m.HEAD + m.DOUBLES.format(code=code))["k"].entry.kernel, "asm")
