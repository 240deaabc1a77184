"""Anybody's PTX on a card: its bytes reach the driver as they are, arrays and variables travel, and limits are named."""
from __future__ import annotations

import numpy as np
import pytest

import ptxjit as pj
import tests.corpus.cases  # noqa: F401  fills CASES
from ptxjit.errors import DeviceError, ResourceError, ToolError, UnsupportedError, UserError
from ptxjit.targets.ptx import runtime
from tests.corpus.corpus import CASES, check, files
from tests.unit.cuda.standin import CUresult

HEAD = ".version 7.8\n.target sm_90\n.address_size 64\n"
SCALE = HEAD + """
.visible .entry scale(.param .u64 x, .param .f32 a, .param .u32 n)
{
    .reg .pred %p; .reg .b32 %r<6>; .reg .b64 %rd<4>; .reg .f32 %f<4>;
    ld.param.u64 %rd1, [x]; ld.param.f32 %f1, [a]; ld.param.u32 %r1, [n];
    mov.u32 %r2, %ctaid.x; mov.u32 %r3, %ntid.x; mov.u32 %r4, %tid.x; mad.lo.u32 %r5, %r2, %r3, %r4;
    setp.ge.u32 %p, %r5, %r1;
    @%p bra DONE;
    mad.wide.u32 %rd2, %r5, 4, %rd1;
    ld.global.f32 %f2, [%rd2]; mul.rn.f32 %f3, %f2, %f1; st.global.f32 [%rd2], %f3;
DONE:
    ret;
}
"""  # fmt: skip
ADD = HEAD + """
.visible .entry add(.param .u64 x, .param .u64 y)
{
    .reg .b32 %r<4>; .reg .b64 %rd<5>;
    ld.param.u64 %rd1, [x]; ld.param.u64 %rd2, [y]; mov.u32 %r1, %tid.x;
    mad.wide.u32 %rd3, %r1, 4, %rd1; mad.wide.u32 %rd4, %r1, 4, %rd2;
    ld.global.u32 %r2, [%rd3]; add.u32 %r3, %r2, 1; st.global.u32 [%rd4], %r3;
    ret;
}
"""  # fmt: skip
SHARED = HEAD + """
.extern .shared .align 16 .b8 room[];
.visible .entry mirror(.param .u64 x)
{
    .reg .b32 %r<8>; .reg .b64 %rd<3>;
    ld.param.u64 %rd1, [x]; mov.u32 %r1, %tid.x; mad.wide.u32 %rd2, %r1, 4, %rd1; ld.global.u32 %r2, [%rd2];
    mov.u32 %r3, room; mad.lo.u32 %r4, %r1, 4, %r3; st.shared.u32 [%r4], %r2;
    bar.sync 0;
    mov.u32 %r5, %ntid.x; sub.u32 %r5, %r5, 1; sub.u32 %r5, %r5, %r1; mad.lo.u32 %r6, %r5, 4, %r3; ld.shared.u32 %r7, [%r6]; st.global.u32 [%rd2], %r7;
    ret;
}
"""  # fmt: skip
STATE = HEAD + """
.visible .const .align 4 .u32 step = 3;
.visible .global .align 4 .u32 total[2] = {10, 20};
.visible .entry count()
{
    .reg .b32 %r<3>; .reg .b64 %rd<2>;
    ld.const.u32 %r1, [step]; mov.u64 %rd1, total; atom.global.add.u32 %r2, [%rd1], %r1;
    ret;
}
"""
RECORD = HEAD + """
.visible .entry first(.param .align 8 .b8 s[24], .param .u64 y)
{
    .reg .b32 %r<2>; .reg .b64 %rd<4>;
    ld.param.u64 %rd1, [s+16]; ld.param.u32 %r1, [s+4]; ld.param.u64 %rd2, [y]; st.global.u64 [%rd2], %rd1; st.global.u32 [%rd2+8], %r1;
    ret;
}
"""


def images(d):
    return [a[0] for c, a in d.calls if c == "cuModuleLoadDataEx"]


def test_byte_for_byte(card):
    """Comments, odd spaces and a missing newline at the end included; nothing of ours is in between."""
    d = card()
    text = "// ünïcode\r\n" + SCALE.replace("ret;", "ret ;  /* end */") + "\t"
    for source in (text, text.encode(), text.encode() + b"\0"):
        x = np.arange(100, dtype="f4")
        pj.load_ptx(source, device="cuda:0")["scale"][4, 32](x, 2.0, 90)
        assert (x == np.where(np.arange(100) < 90, 2, 1) * np.arange(100)).all()
    assert images(d) == [text.encode() + b"\0"] * 3


def test_bytes_that_are_no_utf8(card):
    d = card()
    source = b"// \xe9\xff\n" + SCALE.encode()
    d.fail["cuModuleLoadDataEx"] = CUresult.CUDA_ERROR_INVALID_PTX  # the stand-in would read it; what counts is what it was given
    with pytest.raises(ToolError):
        pj.load_ptx(source, device="cuda:0")["scale"].compile()
    assert images(d) == [source + b"\0"]


def test_what_only_the_driver_knows(card):
    """Nothing is lifted: the module goes to the driver though our reader refuses its kernel."""
    d = card()
    text = SCALE.replace("mul.rn.f32 %f3, %f2, %f1;", "frobnicate.f32 %f3, %f2, %f1;")
    mod = pj.load_ptx(text, device="cuda:0")
    d.fail["cuModuleLoadDataEx"] = [0]
    with pytest.raises(ToolError, match="refuses the module.*line 13.*frobnicate"):
        mod["scale"].compile()
    assert images(d) == [text.encode() + b"\0"]


def test_one_module_for_all_kernels(card):
    d = card()
    mod = pj.load_ptx(SCALE + ADD.removeprefix(HEAD), device="cuda:0")
    assert images(d) == []
    x = np.zeros(32, "u4")
    mod["add"][1, 32](x, x)
    mod["scale"].compile()
    assert len(images(d)) == 1 and (x == 1).all() and mod.kernels["add"].params[0].type == "u64"
    s = mod["add"].stats()
    assert s["kernel"] == "add" and s["registers"] == 40 and s["blocks"] > 0 and s["mode"] == "compiled by the driver"


def test_arrays_that_overlap_share_memory(card):
    card()
    mod = pj.load_ptx(ADD, device="cuda:0")
    a = np.arange(64, dtype="u4")
    mod["add"][1, 32](a[:32], a[16:48])  # in order of lanes on the stand-in: a warp at a time reads all before it writes
    want = np.arange(64, dtype="u4")
    want[16:48] = np.arange(32) + 1
    assert (a == want).all()
    backwards, strided = np.arange(32, dtype="u4")[::-1], np.arange(64, dtype="u4")[::2]
    with pytest.raises(UserError):
        mod["add"][1, 32](backwards, strided, 3)
    out = np.zeros(32, "u4")
    mod["add"][1, 32](strided, out)
    assert (out == np.arange(32) + 1).all()  # the kernel sees memory, not strides


def test_read_only_arrays(card):
    card()
    mod = pj.load_ptx(ADD, device="cuda:0")
    x, y = np.arange(32, dtype="u4"), np.zeros(32, "u4")
    x.flags.writeable = False
    mod["add"][1, 32](x, y)
    assert (y == np.arange(32) + 1).all()
    with pytest.raises(UserError, match="argument 1 .* is written by the kernel, but the array is read-only"):
        mod["add"][1, 32](y, x)


def test_variables(card):
    card()
    mod = pj.load_ptx(STATE, device="cuda:0")
    assert set(mod.symbols) == {"step", "total"}
    mod["count"][1, 1]()
    total = mod.symbols["total"]
    assert list(total) == [13, 20]
    mod["count"][2, 4]()
    assert list(total) == [13 + 24, 20]
    total[0], mod.symbols["step"][0] = 100, 5
    mod["count"][1, 2]()
    assert list(mod.symbols["total"]) == [110, 20]
    with pytest.raises(UserError):
        mod.symbols["nothing"]


def test_records_by_value(card):
    card()
    y = np.zeros(2, "u8")
    data = np.array([(1, 7, 2, 2**40 + 9)], dtype=[("a", "u4"), ("b", "u4"), ("c", "u8"), ("d", "u8")])[0]
    mod = pj.load_ptx(RECORD, device="cuda:0")
    mod["first"][1, 1](data, y)
    assert list(y) == [2**40 + 9, 7]
    with pytest.raises(UserError, match="24 bytes"):
        mod["first"][1, 1](b"short", y)


def test_shared_memory_beyond_what_every_kernel_has(card):
    d = card()
    mod = pj.load_ptx(SHARED, device="cuda:0")
    x = np.arange(64, dtype="u4")
    mod["mirror"][1, 64, 256](x)
    assert (x == np.arange(64)[::-1]).all() and "cuFuncSetAttribute" not in [c for c, _ in d.calls]
    mod["mirror"][1, 64, 100 << 10](x)
    mod["mirror"][1, 64, 90 << 10](x)
    assert [a[2] for c, a in d.calls if c == "cuFuncSetAttribute"] == [100 << 10]
    with pytest.raises(ResourceError, match=f"asks for {228 << 10} bytes of shared memory; a block of cuda:0 has {227 << 10}"):
        mod["mirror"][1, 64, 228 << 10](x)


@pytest.mark.parametrize("grid,block,words", [(1, 2048, "1 to 1024 threads"), (1, (1, 1, 128), "1 to 1024"), ((1, 70000), 1, "65535"), (1, 0, "1 to 1024")])
def test_shapes_that_no_card_takes(card, grid, block, words):
    card()
    with pytest.raises(ResourceError, match=words):
        pj.load_ptx(ADD, device="cuda:0")["add"][grid, block](np.zeros(32, "u4"), np.zeros(32, "u4"))


def test_an_empty_grid_does_nothing(card):
    d = card()
    x = np.arange(4, dtype="f4")
    pj.load_ptx(SCALE, device="cuda:0")["scale"][0, 32](x, 2.0, 4)
    assert (x == np.arange(4)).all() and d.ran == []


def test_cooperative_and_cluster_launches(card):
    d = card()
    kernel = pj.load_ptx(ADD, device="cuda:0")["add"]
    x = np.zeros(32, "u4")
    kernel.launch(x, x, grid=2, block=32, cooperative=True)
    kernel.launch(x, x, grid=4, block=32, cluster=2)
    kernel.launch(x, x, grid=16, block=32, cluster=16)
    about = [a[0].attrs for c, a in d.calls if c == "cuLaunchKernelEx"]
    assert about[0][0].value.cooperative == 1 and about[1][0].value.clusterDim.x == 2
    assert [a[2] for c, a in d.calls if c == "cuFuncSetAttribute"] == [1]  # a cluster of 16 is asked for
    with pytest.raises(UserError, match="not a multiple of the cluster"):
        kernel.launch(x, x, grid=3, block=32, cluster=2)
    with pytest.raises(ResourceError, match="INVALID_CLUSTER_SIZE"):
        kernel.launch(x, x, grid=32, block=32, cluster=32)
    with pytest.raises(ResourceError, match="COOPERATIVE_LAUNCH_TOO_LARGE"):
        kernel.launch(x, x, grid=100000, block=32, cooperative=True)


def test_a_card_without_clusters(card):
    card(CLUSTER_LAUNCH=0, COMPUTE_CAPABILITY_MAJOR=8)
    x = np.zeros(32, "u4")
    with pytest.raises(ResourceError, match="has no clusters"):
        pj.load_ptx(ADD.replace("sm_90", "sm_80"), device="cuda:0")["add"].launch(x, x, grid=2, block=32, cluster=2)


def test_ptx_for_another_card(card):
    card(COMPUTE_CAPABILITY_MAJOR=8)
    with pytest.raises(ToolError, match="NO_BINARY_FOR_GPU"):
        pj.load_ptx(ADD, device="cuda:0")["add"].compile()


def test_ptx_newer_than_the_driver(card, ptxas, monkeypatch):
    """ptxas compiles it, where it is there."""
    from ptxjit.targets.ptx import tools

    d = card(version=12000)
    text = ADD.replace(".version 7.8", ".version 8.6")
    x = np.zeros(32, "u4")
    kernel = pj.load_ptx(text, device="cuda:0")["add"]
    kernel[1, 32](x, x)
    assert (x == 1).all() and kernel.stats()["mode"] == "compiled by ptxas" and images(d)[1].startswith(b"\x7fELF")
    monkeypatch.setattr(tools, "available", lambda tool: False)
    with pytest.raises(ToolError, match="UNSUPPORTED_PTX_VERSION") as e:
        pj.load_ptx(text, device="cuda:0")["add"].compile()
    assert "newer driver" in e.value.hint


def test_an_illegal_address(card):
    card(bounds=True)
    mod = pj.load_ptx(ADD, device="cuda:0")
    with pytest.raises(DeviceError, match="illegal address"):
        mod["add"][1, 1](np.uint64(0), np.zeros(4, "u4"))
    with pytest.raises(DeviceError, match="was lost"):
        mod["add"][1, 1](np.zeros(4, "u4"), np.zeros(4, "u4"))


def test_arrays_that_are_on_the_card(card):
    """Anything with `__cuda_array_interface__`: its address is passed, nothing is copied, and its producer's stream is waited for."""
    d = card()
    driver = runtime.driver_of("0")
    x, y = driver.from_host(np.arange(32, dtype="u4")), driver.from_host(np.zeros(32, "u4"))
    theirs = driver.stream()

    class Tensor:
        def __init__(self, m, readonly=False):
            self.__cuda_array_interface__ = {"shape": (32,), "typestr": "<u4", "data": (m.raw, readonly), "version": 3, "stream": int(theirs.raw.raw)}

    mod = pj.load_ptx(ADD, device="cuda:0")
    copies = sum(c.startswith("cuMemcpy") for c, _ in d.calls)
    mod["add"][1, 32](Tensor(x), Tensor(y))
    assert sum(c.startswith("cuMemcpy") for c, _ in d.calls) == copies and [c for c, _ in d.calls].count("cuStreamWaitEvent") == 2
    assert (driver.to_host(y, (32,), np.uint32) == np.arange(32) + 1).all()
    with pytest.raises(UserError, match="read-only"):
        mod["add"][1, 32](Tensor(x), Tensor(y, True))


def test_our_own_arrays_stay_on_the_card(card):
    """Nothing is copied, nothing waits, and their memory stays in the pool."""
    d = card()
    mod = pj.load_ptx(ADD, device="cuda:0")
    x, y = pj.asarray(np.arange(32, dtype="u4"), device="cuda:0"), pj.asarray(np.zeros(32, "u4"), device="cuda:0")
    mod["add"][1, 32](x, y)
    start = len(d.calls)
    mod["add"][1, 32](y, x)
    assert [c for c, _ in d.calls[start:] if not c.startswith("cuCtx")] == ["cuLaunchKernel"] and len(d.ran) == 0
    assert (x.numpy() == np.arange(32) + 2).all() and (y.numpy() == np.arange(32) + 1).all()
    assert x.memory.stream is not None
    with pytest.raises(UserError, match="not a pointer"):
        pj.load_ptx(SCALE, device="cuda:0")["scale"][1, 32](x, y, 3)


def test_launches_in_a_stream(card):
    card()
    driver = runtime.driver_of("0")
    x = np.zeros(32, "u4")
    pj.load_ptx(ADD, device="cuda:0")["add"].launch(x, x, grid=1, block=32, stream=driver.stream())
    assert (x == 1).all()


def test_bounds_are_for_the_cpu(card):
    card()
    with pytest.raises(UnsupportedError, match="bounds"):
        pj.load_ptx(ADD, device="cuda:0", bounds=True)


NAMES = sorted(CASES)
SOME = [n for k, n in enumerate(NAMES) if k % 7 == 0 or CASES[n].shared > 48 << 10 or any(w in n for w in ("cluster", "grid", "printf", "symbol", "const"))]


@pytest.mark.parametrize("name", SOME)
def test_the_corpus(name, card):
    """Kernels of others, launched through the card's driver, against NumPy."""
    e = CASES[name]
    [path, *_] = [p for p in files(e) if ".O3." in p.name] or files(e)
    arch = next((w for w in path.name.split(".") if w.startswith("sm_")), "sm_90")
    version = int("".join(c for c in arch if c.isdigit()))
    card(COMPUTE_CAPABILITY_MAJOR=version // 10 if version >= 75 else 9, COMPUTE_CAPABILITY_MINOR=version % 10 if version >= 75 else 0)
    case = e.make(3)
    args = [a.copy() if isinstance(a, np.ndarray) else a for a in case.args]
    pj.load_ptx(path, device="cuda:0")[name].launch(*args, grid=e.grid, block=e.block, shared=e.shared, cooperative=case.cooperative, cluster=case.cluster)
    check(case, args)
