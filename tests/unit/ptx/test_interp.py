"""The kernel interpreter on foreign kernels: a third of the corpus agrees with its references; what goes wrong is told."""
from __future__ import annotations

import numpy as np
import pytest

import ptxjit as pj
import tests.corpus.cases  # noqa: F401
from ptxjit.ir.errors import DeviceError, ResourceError
from tests.check.test_corpus import run
from tests.corpus import corpus

HEAD = ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 out)\n{\n" + \
       ".reg .b32 %r<9>; .reg .b64 %rd<9>; .reg .pred %p<9>;\nld.param.u64 %rd1, [out]; mov.u32 %r1, %tid.x;\n"  # fmt: skip


@pytest.mark.parametrize("name", [n for k, n in enumerate(sorted(corpus.CASES)) if k % 3 == 1])
def test_corpus(name):
    run(name, "O3", checked=False)


def kernel(body):
    return pj.load_ptx(HEAD + body + "\nret;\n}\n", device="interp")["k"]


def test_partial_warps_and_blocks_of_three_dimensions():
    k = kernel("""mov.u32 %r2, %tid.y; mov.u32 %r3, %ntid.x; mov.u32 %r4, %tid.z; mov.u32 %r5, %ntid.y;
        mad.lo.u32 %r6, %r4, %r5, %r2; mad.lo.u32 %r6, %r6, %r3, %r1; mul.wide.u32 %rd2, %r6, 4; add.s64 %rd2, %rd1, %rd2;
        bar.sync 0; activemask.b32 %r7; st.global.u32 [%rd2], %r7;""")
    out = np.zeros(105, np.uint32)
    k.launch(out, grid=1, block=(5, 7, 3))
    assert (out[:96] == 0xFFFFFFFF).all() and (out[96:] == 0x1FF).all()


def test_out_of_bounds_names_the_place():
    out = np.zeros(4, np.int32)
    with pytest.raises(DeviceError, match=r"st out of bounds .*byte 16 of out \(16 bytes\).*thread \(4, 0, 0\)") as e:
        kernel("mul.wide.u32 %rd2, %r1, 4; add.s64 %rd2, %rd1, %rd2; st.global.u32 [%rd2], 1;").launch(out, grid=1, block=8)
    assert e.value.place.startswith("<ptx>:8:")


def test_a_deadlock_says_where_everybody_stands():
    with pytest.raises(DeviceError, match="(?s)deadlock, no thread can go on\n  block .0, 0, 0., warp 0, all lanes: waits at a barrier .named_barrier at"):
        kernel("setp.lt.u32 %p1, %r1, 32; @%p1 bar.sync 1, 64;").launch(np.zeros(1, np.int32), grid=1, block=64)


def test_spinning_for_what_nobody_changes():
    with pytest.raises(DeviceError, match="(?s)deadlock.*lanes 0–3: spins"):
        kernel("again: ld.volatile.global.u32 %r2, [%rd1]; setp.eq.u32 %p1, %r2, 0; @%p1 bra again;").launch(np.zeros(1, np.int32), grid=1, block=4)


def test_trap():
    with pytest.raises(DeviceError, match=r"k: trap in block \(1, 0, 0\), thread 3"):
        kernel("mov.u32 %r2, %ctaid.x; mad.lo.u32 %r2, %r2, 8, %r1; setp.eq.u32 %p1, %r2, 11; @%p1 trap;").launch(np.zeros(1, np.int32), grid=2, block=8)


def test_limits():
    with pytest.raises(ResourceError, match="1 to 1024 threads"):
        kernel("").launch(np.zeros(1, np.int32), grid=1, block=2000)
    with pytest.raises(ResourceError, match="shared memory"):
        kernel("").launch(np.zeros(1, np.int32), grid=1, block=1, shared=1 << 20)


def test_more_blocks_than_fit_at_once():
    out = np.zeros(70000, np.int32)
    kernel("""mov.u32 %r2, %ctaid.x; mad.lo.u32 %r2, %r2, 1000, %r1; mul.wide.u32 %rd2, %r2, 4; add.s64 %rd2, %rd1, %rd2;
        st.global.u32 [%rd2], %r2;""").launch(out, grid=70, block=1000)
    assert np.array_equal(out, np.arange(70000))


def test_strided_and_overlapping_arguments():
    text = HEAD.replace(".param .u64 out", ".param .u64 out, .param .u64 other") + "ld.param.u64 %rd2, [other]; ld.global.u32 %r2, [%rd2+4]; st.global.u32 [%rd1], %r2; ret; }"
    x = np.arange(8, dtype=np.int32)
    pj.load_ptx(text, device="interp")["k"].launch(x[:4], x[2:], grid=1, block=1)
    assert x.tolist() == [3, 1, 2, 3, 4, 5, 6, 7]


def test_printf_is_what_compiled_code_prints(capfd):
    entry = next(e for e in corpus.CASES.values() if e.make(0).stdout is not None)
    case = entry.make(0)
    shown = {}
    for device in ("interp", "cpu"):
        pj.load_ptx(corpus.files(entry)[0], device=device)[entry.name].launch(*[np.copy(a) if isinstance(a, np.ndarray) else a for a in case.args],
                                                                              grid=entry.grid, block=entry.block)  # fmt: skip
        shown[device] = capfd.readouterr().out
    assert shown["interp"] == shown["cpu"] == case.stdout
