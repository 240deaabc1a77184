"""`load_ptx`: modules, arguments, launches, and what goes wrong in them."""
from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import ptxjit as pj
from ptxjit.errors import DeviceError, DTypeError, PtxjitError, ReadError, ResourceError, UnsupportedError, UserError

CORPUS = Path(__file__).resolve().parents[2] / "corpus"
HEAD = ".version 7.8\n.target sm_80\n.address_size 64\n"
SCALE = HEAD + """
.visible .entry scale(.param .u64 x, .param .f32 by, .param .u32 n) {
    .reg .pred p; .reg .b32 %r<8>; .reg .b64 %rd<4>; .reg .f32 %f<4>;
    ld.param.u64 %rd0, [x]; ld.param.f32 %f0, [by]; ld.param.u32 %r0, [n];
    mov.u32 %r1, %ctaid.x; mov.u32 %r2, %ntid.x; mov.u32 %r3, %tid.x; mad.lo.s32 %r4, %r1, %r2, %r3;
    setp.ge.u32 p, %r4, %r0; @p bra DONE;
    mul.wide.u32 %rd1, %r4, 4; add.s64 %rd2, %rd0, %rd1;
    ld.global.f32 %f1, [%rd2]; mul.f32 %f1, %f1, %f0; st.global.f32 [%rd2], %f1;
DONE: ret;
}
"""
TWO = HEAD + """
.global .align 4 .u32 counter = 7;
.const .align 8 .f64 table[3] = {0d3FF0000000000000, 0d4000000000000000, 0d4008000000000000};
.visible .entry good(.param .u64 out) {
    .reg .b64 %rd<4>; .reg .f64 %d; .reg .b32 %r;
    ld.param.u64 %rd0, [out]; ld.const.f64 %d, [table+8]; st.global.f64 [%rd0], %d;
    ld.global.u32 %r, [counter]; add.u32 %r, %r, 1; st.global.u32 [counter], %r; ret;
}
.visible .entry later(.param .u64 out) { .reg .b32 %r<2>; tcgen05.relinquish_alloc_permit.cta_group::1.sync.aligned; ret; }
.visible .entry unknown() { .reg .b32 %r<2>; frobnicate.b32 %r0, %r1; ret; }
.visible .entry broken() { .reg .b32 %r<2>; mov.u32 %r0, %r9; ret; }
"""


def scale():
    return pj.load_ptx(SCALE)["scale"]


@pytest.mark.parametrize("device", ["cpu", "interp"])
def test_runs_in_place(device):
    x = np.arange(100, dtype="f4")
    pj.load_ptx(SCALE, device=device)["scale"][4, 32](x, np.float32(2), 100)
    assert np.array_equal(x, 2 * np.arange(100, dtype="f4"))


def test_text_path_and_name():
    file = CORPUS / "ptx" / "arithmetic.sm_80.O3.ptx"
    assert "saxpy" in pj.load_ptx(file).kernels and "saxpy" in pj.load_ptx(str(file)).kernels
    assert repr(pj.load_ptx(SCALE).kernels["scale"]) == "scale(x: .u64, by: .f32, n: .u32)"
    with pytest.raises(UserError, match="cannot be read"):
        pj.load_ptx("no such file.ptx")
    with pytest.raises(ReadError):
        pj.load_ptx("hello\nworld")


def test_views_and_any_dtype():
    x = np.zeros(64, "u1")
    x.view("f4")[:] = 3
    scale()[1, 32](x, 0.5, 16)
    assert (x.view("f4") == 1.5).all()
    y = np.arange(10, dtype="f4")[::-1]  # the data pointer of a reversed view is its first element
    scale()[1, 32](y, 2, 1)
    assert y[0] == 18 and y[1] == 8


@pytest.mark.parametrize("args,error,words", [
    ((np.ones(4, "f4"), 1.0), UserError, "takes 3 arguments, got 2"),
    ((np.ones(4, "f4"), np.ones(2), 4), UserError, "not a pointer"),
    ((np.ones(4, "f4"), 1.0, 2.5), DTypeError, "not an integer"),
    ((np.ones(4, "f4"), 1.0, 1 << 40), UserError, "does not fit"),
    ((np.ones(4, "f4"), "x", 4), DTypeError, "cannot take a str"),
    ((b"1234", 1.0, 4), UserError, "8 bytes, got 4"),
])  # fmt: skip
def test_wrong_arguments(args, error, words):
    with pytest.raises(error, match=words):
        scale()[1, 32](*args)


def test_read_only_is_refused_before_anything_runs():
    x = np.ones(4, "f4")
    x.flags.writeable = False
    with pytest.raises(UserError, match="written by the kernel"):
        scale()[1, 32](x, 2.0, 4)
    assert (x == 1).all()


def test_a_null_pointer_and_a_pointer_that_does_not_fit():
    scale()[1, 32](np.uint64(0), 1.0, 0)
    narrow = SCALE.replace(".param .u64 x", ".param .u32 x").replace("ld.param.u64 %rd0, [x]", "ld.param.u32 %r5, [x]; cvt.u64.u32 %rd0, %r5")
    x = np.ones(4, "f4")
    assert x.ctypes.data >= 1 << 32
    with pytest.raises(UserError, match="does not fit"):
        pj.load_ptx(narrow)["scale"][1, 32](x, 1.0, 4)


@pytest.mark.parametrize("config,words", [((1,), "grid, block"), ((1, 2048), "1 to 1024 threads"), (((1, 2, 3, 4), 1), "one to three"), ((-1, 1), "one to three"),
                                          ((1, 32, 1 << 20), "shared memory")])  # fmt: skip
def test_wrong_launches(config, words):
    with pytest.raises(PtxjitError, match=words):
        scale()[config](np.ones(4, "f4"), 1.0, 4)


def test_an_empty_grid_does_nothing():
    x = np.ones(4, "f4")
    scale()[0, 32](x, 2.0, 4)
    assert (x == 1).all()


def test_errors_belong_to_their_kernel():
    mod = pj.load_ptx(TWO)
    assert list(mod.kernels) == ["good", "later", "unknown", "broken"]
    out = np.zeros(1)
    mod["good"][1, 1](out)
    assert out[0] == 2.0 and mod.symbols["counter"][0] == 8
    with pytest.raises(UnsupportedError, match="tcgen05.*not executed yet") as e:
        mod["later"].compile()
    assert e.value.place == "<ptx>:12:59"
    with pytest.raises(ReadError, match="frobnicate.b32 is not an instruction"):
        mod["unknown"].compile()
    with pytest.raises(ReadError, match="%r9 is not declared") as r:
        mod["broken"].compile()
    assert r.value.place.startswith("<ptx>:14:") and "^" in str(r.value)
    with pytest.raises(UserError, match="no entry 'nope'") as u:
        mod["nope"]
    assert "good" in u.value.hint


def test_symbols_are_memory():
    mod = pj.load_ptx(TWO)
    mod.symbols["table"][1] = 40
    out = np.zeros(1)
    mod["good"][1, 1](out)
    assert out[0] == 40 and mod.symbols["table"].dtype == np.float64 and list(mod.symbols) == ["table", "counter"]
    with pytest.raises(UserError, match="no variable"):
        mod.symbols["nope"]


@pytest.mark.parametrize("device", ["cpu", "interp"])
def test_a_deadlock_is_reported_with_where_each_warp_waits(device):
    text = HEAD + ".visible .entry k() { .reg .pred p; .reg .b32 %r; mov.u32 %r, %tid.x; setp.lt.u32 p, %r, 32; @p bra A;\n bar.sync 1, 96;\nA: bar.sync 0;\n ret; }\n"
    with pytest.raises(DeviceError, match="deadlock") as e:
        pj.load_ptx(text, device=device)["k"][1, 64]()
    assert "<ptx>:5" in str(e.value) and "<ptx>:6" in str(e.value)


@pytest.mark.parametrize("device", ["cpu", "interp"])
def test_a_trap_is_an_error(device):
    text = HEAD + ".visible .entry k() { .reg .pred p; .reg .b32 %r; mov.u32 %r, %tid.x; setp.eq.u32 p, %r, 5; @p trap; ret; }\n"
    with pytest.raises(DeviceError, match="trap"):
        pj.load_ptx(text, device=device)["k"][1, 64]()


def test_bounds():
    k = pj.load_ptx(SCALE, bounds=True)["scale"]
    x = np.ones(40, "f4")
    k[2, 32](x, 2.0, 40)
    with pytest.raises(DeviceError, match="out of bounds") as e:
        k[2, 32](x, 2.0, 41)
    assert e.value.place == "<ptx>:11:5"


def test_what_must_be_resident_has_a_limit():
    with pytest.raises(ResourceError, match="resident"):
        scale().launch(np.ones(4, "f4"), 1.0, 4, grid=1 << 22, block=1024, cooperative=True)


def test_launches_from_several_threads():
    k = scale()
    arrays = [np.full(5000, n, "f4") for n in range(8)]
    threads = [threading.Thread(target=lambda a=a: [k[20, 256](a, 2.0, 5000) for _ in range(5)]) for a in arrays]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert all((a == 32.0 * n).all() for n, a in enumerate(arrays))


def test_a_cached_kernel_needs_no_llvm(tmp_path):
    (tmp_path / "k.ptx").write_text(SCALE)
    code = f"""
import sys, numpy as np, ptxjit as pj
x = np.ones(4, "f4")
pj.load_ptx({str(tmp_path / 'k.ptx')!r})["scale"][1, 32](x, 2.0, 4)
print((x == 2).all(), "llvmlite" in sys.modules)
"""
    env = {"PTXJIT_CACHE_DIR": str(tmp_path / "cache"), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(CORPUS.parents[1])}
    runs = [subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout.split() for _ in range(2)]
    assert runs == [["True", "True"], ["True", "False"]]


def test_stats_say_how_it_runs():
    assert scale().stats()["mode"] == "widened"
    text = SCALE.replace("ld.global.f32 %f1, [%rd2];", "W: ld.volatile.global.f32 %f1, [%rd2]; setp.eq.f32 p, %f1, 0f00000000; @p bra W;")
    assert "waits for other threads" in pj.load_ptx(text)["scale"].stats()["mode"]


@pytest.mark.parametrize("device", ["cpu", "interp"])
def test_arrays_of_other_kinds_are_changed_in_place(device):
    """Anything over the host's memory: an Array, a tensor of another library by DLPack; a device's array says how to move."""
    k = pj.load_ptx(SCALE, device=device)["scale"]
    x = pj.asarray(np.arange(50, dtype="f4"), device="cpu")
    k[2, 32](x, 3.0, 50)
    assert (x.numpy() == 3 * np.arange(50)).all()

    class Tensor:
        def __init__(self, a):
            self.a = a

        def __dlpack__(self, **kw):
            return self.a.__dlpack__(**kw)

        def __dlpack_device__(self):
            return self.a.__dlpack_device__()

    a = np.arange(50, dtype="f4")
    k[2, 32](Tensor(a), 3.0, 50)
    assert (a == 3 * np.arange(50)).all()
    away = [d.name for d in pj.devices() if d.kind == "opencl" and d.available]
    if away:
        with pytest.raises(DeviceError, match=f"is on {away[0]}, the module was loaded for {device}"):
            k[2, 32](pj.asarray(a, device=away[0]), 3.0, 50)
