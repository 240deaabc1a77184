"""Cards through HIP, against a runtime that records calls: detection, memory, launches, streams, events, errors."""
from __future__ import annotations

import ctypes
import gc
import re

import numpy as np
import pytest

import ptxjit as pj
from ptxjit import hardware, targets
from ptxjit.errors import DeviceError, ResourceError, ToolError, UnsupportedError
from ptxjit.ir.lower import lower
from ptxjit.ptx import Module
from ptxjit.targets.amdgpu import runtime
from ptxjit.targets.amdgpu.codeobject import read
from ptxjit.targets.amdgpu.runtime import FUNCTIONS, detect, found
from ptxjit.targets.amdgpu.target import AmdTarget
from ptxjit.targets.driver import joined
from ptxjit.testing.agreement import jitted, traced
from tests.unit.amdgpu.standin import StandIn


@pytest.fixture
def card(monkeypatch, tmp_path):
    """`card()` puts a stand-in in the place of the library, with /dev/kfd there."""
    kfd = tmp_path / "kfd"
    kfd.touch()
    monkeypatch.setattr(runtime, "KFD", str(kfd))
    monkeypatch.setattr(runtime, "_found", None)
    monkeypatch.setattr(runtime, "missing", None)

    def put(*args, **kw):
        stand = StandIn(*args, **kw)
        monkeypatch.setattr(runtime, "load_library", lambda: stand)
        return stand

    return put


# ---- detection ------------------------------------------------------------------------------------------------------


def test_one_card(card):
    stand = card()
    [one] = detect()
    assert (one.number, one.hardware, one.driver, one.why_not) == (0, "AMD Radeon RX 7900 XTX (gfx1100)", "HIP 6.3.42133", None)
    assert one.facts.target == "amdgpu:0" and one.facts.kind == "amdgpu" and one.facts.lanes == 32 and one.facts.cores == 96
    assert runtime.missing is None and stand.names()[0] == "hipInit" and detect()[0] is one


@pytest.mark.parametrize(("at", "arch"), [(396, "gfx90a:sramecc+:xnack-"), (1160, "gfx942:sramecc+:xnack-"), (2000, "gfx90a")])
def test_the_architecture_is_found_in_any_layout_of_the_properties(card, at, arch):
    stand = card((("AMD Instinct gfx7 lookalike", arch),), at)
    stand.attributes[87] = 64
    [one] = detect()
    assert one.arch == arch.partition(":")[0] and one.why_not is None and one.facts.lanes == 64 and arch in one.hardware


def test_cards_that_cannot_be_used_say_why(card):
    stand = card((("old", "gfx803"), ("ill", None), ("good", "gfx1100")))
    old, ill, good = detect()
    assert "gfx803" in old.why_not and "its driver fails" in ill.why_not and good.why_not is None
    for n, word in (("0", "gfx803"), ("1", "its driver fails"), ("7", "there are 3")):
        with pytest.raises(DeviceError) as e:
            found(n)
        assert word in f"{e.value} {e.value.hint}"
    stand.attributes[87] = 64
    assert found("2").number == 2


def test_an_unexpected_wave_is_a_reason(card):
    card().attributes[87] = 64
    assert "64 lanes" in detect()[0].why_not


def test_without_a_card(monkeypatch, tmp_path):
    monkeypatch.setattr(runtime, "_found", None)
    monkeypatch.setattr(runtime, "missing", None)
    monkeypatch.setattr(runtime, "KFD", str(tmp_path / "none"))
    for name in ("ROCM_PATH", "HIP_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(runtime, "load_library", lambda: pytest.fail("nothing is loaded where there is no card"))
    assert detect() == [] and "modprobe amdgpu" in runtime.missing
    with pytest.raises(DeviceError, match="rocm:0") as e:
        found("0")
    assert "modprobe" in e.value.hint


def test_without_the_library(card, monkeypatch):
    card()
    monkeypatch.setattr(runtime, "load_library", lambda: None)
    assert detect() == [] and "libamdhip64.so is missing: install ROCm" in runtime.missing


def test_a_device_file_that_is_not_ours(card, monkeypatch):
    card()
    monkeypatch.setattr(runtime.os, "access", lambda *_: False)
    assert detect() == [] and "usermod" in runtime.missing


@pytest.mark.parametrize(("status", "word"), [(100, "rocminfo"), (35, "update the kernel driver"), (999, "hipInit")])
def test_a_runtime_that_does_not_start(card, status, word):
    card().fails["hipInit"] = status
    assert detect() == [] and word in f"{runtime.missing} {runtime.HINTS[status]}"


def test_a_library_that_lacks_functions(card):
    stand = card()
    del StandIn.do_hipMemcpyDtoDAsync
    try:
        assert detect() == [] and "hipMemcpyDtoDAsync" in runtime.missing and stand
    finally:
        StandIn.do_hipMemcpyDtoDAsync = _dtod


_dtod = StandIn.do_hipMemcpyDtoDAsync


# ---- programs -------------------------------------------------------------------------------------------------------


def program(fn, *args):
    target = AmdTarget("amdgpu:0")
    graph, _ = traced(jitted(fn), args)
    low = lower(graph, target.facts)
    return target, low, target.build(low.program, low.kernels)


def addresses(params, count):
    return [ctypes.c_void_p.from_address(params[n]).value for n in range(count)]


def floats(address, n):
    return np.ctypeslib.as_array((ctypes.c_float * n).from_address(address))


def test_a_program_runs(card):
    stand = card()
    x = np.arange(1000, dtype="f4")
    target, low, made = program(lambda x: x + 1, x)
    launched = []

    def kernel(name, grid, block, params):
        source, result = addresses(params, 2)
        launched.append((name, grid, block))
        floats(result, 1000)[:] = floats(source, 1000) + 1

    stand.kernel = kernel
    [got] = made(x)
    assert (got == x + 1).all()
    [step] = low.program.launches()
    k = low.kernels[step.fn.name]
    assert launched == [(k.name, step.grid, (k.lanes * k.warps, 1, 1))]
    [image] = stand.modules.values()
    loaded = read(ctypes.string_at(image, len(made.binary)))
    assert loaded.target.endswith("gfx1100") and list(loaded.kernels) == list(low.kernels)
    assert loaded.kernels[k.name].group == k.lanes * k.warps
    order = [n for n in stand.names() if n in ("hipMemcpyHtoDAsync", "hipModuleLaunchKernel", "hipMemcpyDtoHAsync", "hipModuleLoadData")]
    assert order == ["hipModuleLoadData", "hipMemcpyHtoDAsync", "hipModuleLaunchKernel", "hipMemcpyDtoHAsync"]
    again = type(made).from_bytes(target.driver(), made.to_bytes())
    assert (again(x)[0] == x + 1).all()


def test_results_stay_on_the_device(card):
    stand = card()
    x = np.zeros(8, "f4")
    target, _, made = program(lambda x: x + 1, x)
    d = target.driver()
    m = d.from_host(x)
    del stand.calls[:]
    out = made.on_device(m)
    assert "hipMemcpyDtoHAsync" not in stand.names() and "hipStreamSynchronize" not in stand.names() and out[0].size == 32


def test_error_words(card):
    stand = card()
    x = np.arange(4, dtype="f4")
    _, _, made = program(lambda x, i: np.take(x, i), x, np.array([1, 9]))
    seen = []
    stand.kernel = lambda name, grid, block, params: seen.append(name)
    made(x, np.array([1, 2]))
    assert seen


def test_running_out_of_memory(card):
    stand = card()
    d = found("0").open()
    stand.fails["hipMalloc"] = 2
    with pytest.raises(ResourceError, match="out of memory"):
        d.memory(1 << 20)


def test_a_fault_of_a_kernel(card):
    stand = card()
    x = np.zeros(8, "f4")
    _, _, made = program(lambda x: x + 1, x)
    stand.fails["hipStreamSynchronize"] = 700
    with pytest.raises(DeviceError, match="illegal memory access") as e:
        made(x)
    assert "check indices" in e.value.hint


def test_a_code_object_that_is_refused(card):
    stand = card()
    stand.fails["hipModuleLoadData"] = 209
    with pytest.raises(ToolError, match="gfx1100") as e:
        program(lambda x: x + 1, np.zeros(8, "f4"))
    assert "another architecture" in e.value.hint


def test_without_a_number_it_is_no_device():
    with pytest.raises(DeviceError, match="no device"):
        pj.jit(lambda x: x + 1).lower(np.zeros(3), target="amdgpu:gfx1100").compile()


# ---- kernels of other origin ----------------------------------------------------------------------------------------

PTX = """
.version 7.0
.target sm_80
.address_size 64
.global .align 4 .u32 seen[4];
.visible .entry add(.param .u64 p, .param .f32 by, .param .u32 n)
{
    .reg .pred %p1;
    .reg .b32 %r<6>;
    .reg .f32 %f<4>;
    .reg .b64 %rd<6>;
    .extern .shared .align 4 .b8 room[];
    ld.param.u64 %rd1, [p];
    ld.param.f32 %f1, [by];
    ld.param.u32 %r2, [n];
    mov.u32 %r1, %tid.x;
    setp.ge.u32 %p1, %r1, %r2;
    @%p1 bra DONE;
    mul.wide.u32 %rd2, %r1, 4;
    add.s64 %rd3, %rd1, %rd2;
    ld.global.f32 %f2, [%rd3];
    add.f32 %f3, %f2, %f1;
    st.global.f32 [%rd3], %f3;
    mov.u64 %rd4, seen;
    st.global.u32 [%rd4], %r2;
DONE:
    ret;
}
"""


def test_a_foreign_kernel_is_launched(card):
    stand = card()
    target = AmdTarget("amdgpu:0")
    module = Module(targets.target("ptx").read(PTX, "add.ptx"), "rocm:0", False, None, target)
    x = np.arange(12, dtype="f4")
    before, launched = x.copy(), []

    def kernel(name, grid, block, params):
        pointer, seen = (ctypes.c_uint64.from_address(params[n]).value for n in (0, 3))
        by, n = ctypes.c_float.from_address(params[1]).value, ctypes.c_uint32.from_address(params[2]).value
        launched.append((name, grid, block, stand.shared, by, n))
        stand.inside(pointer, n * 4)
        floats(pointer, 7)[:] += by
        ctypes.memmove(seen, (7).to_bytes(4, "little"), 4)

    stand.kernel = kernel
    module["add"].launch(x[2:], 1.5, np.uint32(7), grid=(2, 3, 1), block=(4, 8, 1), shared=96)
    assert launched == [("add", (2, 3, 1), (4, 8, 1), 96, 1.5, 7)]
    before[2:9] += 1.5
    assert (x == before).all() and module.symbols["seen"][0] == 7
    assert module["add"].stats()["mode"] == "code object for gfx1100"
    module["add"].launch(x, 0.0, np.uint32(3), grid=1, block=32, cooperative=True)
    assert stand.names()[-12:].count("hipModuleLaunchCooperativeKernel") == 1
    with pytest.raises(UnsupportedError, match="cluster"):
        module["add"].launch(x, 0.0, np.uint32(3), grid=2, block=32, cluster=2)
    with pytest.raises(ResourceError, match="threads"):
        module["add"].launch(x, 0.0, np.uint32(3), grid=1, block=2048)
    with pytest.raises(ResourceError, match="shared memory"):
        module["add"].launch(x, 0.0, np.uint32(3), grid=1, block=32, shared=70000)


def test_arrays_that_overlap_are_one(card):
    assert joined([(100, 50), (120, 10), (140, 30), (300, 4), (90, 0)]) == [(100, 70), (300, 4)]


def test_modules_are_unloaded(card):
    stand = card()
    _, _, made = program(lambda x: x + 1, np.zeros(8, "f4"))
    assert "hipModuleUnload" not in stand.names()
    del made
    gc.collect()
    assert stand.names().count("hipModuleUnload") == 1


# ---- memory, streams, events ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "dtype", "function"), [
    (7, "u1", "hipMemsetD8Async"), (0, "f8", "hipMemsetD8Async"), (300, "i2", "hipMemsetD16Async"), (-2.0, "f4", "hipMemsetD32Async"),
    (1.1, "f8", "hipMemcpyDtoDAsync"), (2**40 + 1, "i8", "hipMemcpyDtoDAsync")])  # fmt: skip
def test_filling(card, value, dtype, function):
    stand = card()
    d = found("0").open()
    a = np.zeros(1000, dtype)
    m = d.memory(a.nbytes)
    pattern = np.array([value]).astype(dtype).view(np.uint8)
    del stand.calls[:]
    d.fill(m.raw, pattern, a.nbytes)
    assert function in stand.names()
    assert (d.to_host(m, a.shape, a.dtype) == np.array([value]).astype(dtype)).all()


def test_copies_and_the_pool(card):
    stand = card()
    d = found("0").open()
    x = np.random.default_rng(0).random(100)
    a, b = d.from_host(x), d.memory(800)
    d.copy(b.raw, a.raw, 800)
    assert (d.to_host(b, (100,), "f8") == x).all()
    raw, count = a.raw, stand.names().count("hipMalloc")
    del a
    gc.collect()
    c = d.memory(800)
    assert c.raw == raw and stand.names().count("hipMalloc") == count
    d.trim()
    assert c.raw in stand.memory


def test_streams_and_events(card):
    stand = card()
    d = found("0").open()
    s, t = d.stream(), d.stream()
    with s:
        first = s.record()
        d.from_host(np.zeros(4))
    t.wait(first)
    last = t.record()
    stand.pending.add(last.raw.raw)
    assert first.done and not last.done
    assert last.seconds_since(first) == pytest.approx(0.0015) and last.done
    waits = [c for c in stand.calls if c[0] == "hipStreamWaitEvent"]
    assert waits == [("hipStreamWaitEvent", t.raw, first.raw.raw, 0)]
    raw = first.raw.raw
    del first, waits
    gc.collect()
    assert ("hipEventDestroy", raw) in stand.calls
    stand.fails["hipEventQuery"] = 700
    with pytest.raises(DeviceError):
        last.done


def test_every_call_that_is_made_is_declared():
    """The table of types names all of the functions in the source, and no others are called."""
    source = open(runtime.__file__).read()
    called = set(re.findall(r'"(hip[A-Z]\w+)"', source)) - {"hipGetErrorName", "hipGetErrorString", "hipGetDevicePropertiesR0600", "hipGetDeviceProperties"}
    assert called == set(FUNCTIONS)


def test_two_cards(card):
    stand = card((("a", "gfx1100"), ("b", "gfx1100")))
    one, two = found("0").open(), found("1").open()
    del stand.calls[:]
    one.memory(100)
    two.memory(100)
    one.memory(5000)
    current, on = None, []
    for c in stand.calls:
        current = c[1] if c[0] == "hipSetDevice" else current
        on += [current] * (c[0] == "hipMalloc")
    assert on == [0, 1, 0]


def test_the_real_library(tmp_path):
    """Where ROCm is, its library has every function."""
    library = runtime.load_library()
    if library is None:
        pytest.skip(f"libamdhip64.so is missing: {runtime.INSTALL}")
    runtime.Hip(library)


@pytest.fixture
def front(card, monkeypatch):
    """A card that the front sees."""
    monkeypatch.setattr(hardware, "_found", {})
    monkeypatch.setattr(hardware, "_best", None)
    monkeypatch.setattr(targets, "_targets", {n: t for n, t in targets._targets.items() if not n.startswith("amdgpu:0")})
    monkeypatch.setenv("PTXJIT_CACHE", "off")
    stand = card()

    def kernel(name, grid, block, params):
        source, result = addresses(params, 2)
        floats(result, 100)[:] = floats(source, 100) + 1

    stand.kernel = kernel
    return stand


def test_the_same_function_runs_on_it(front):
    x = np.arange(100, dtype="f4")
    f = pj.jit(lambda x: x + 1, device="rocm:0")
    assert (f(x) == x + 1).all() and type(f(x)) is np.ndarray
    d = pj.device("rocm")
    assert d.name == "rocm:0" and d.kind == "rocm" and d.available and d.facts.target == "amdgpu:0" and "7900" in d.hardware
    a = pj.asarray(x, device="rocm:0")
    b = f(a)
    assert b.device.name == "rocm:0" and (np.asarray(b) == x + 1).all()
    assert b.__dlpack_device__() == (10, 0)
    assert "global_load" in f.lower(x).as_text()


def test_ptx_of_others_runs_on_it(front):
    seen = []
    front.kernel = lambda name, grid, block, params: seen.append((name, grid, block))
    kernel = pj.load_ptx(PTX, device="rocm:0")["add"]
    kernel[(2, 1), 64](np.zeros(9, "f4"), 1.0, np.uint32(9))
    assert seen == [("add", (2, 1, 1), (64, 1, 1))]
    with pytest.raises(UnsupportedError, match="bounds"):
        pj.load_ptx(PTX, device="rocm:0", bounds=True)["add"].compile()
