"""Cards through HIP, against a runtime that records calls: detection, memory, launches, streams, events, errors."""
from __future__ import annotations

import ctypes
import gc
import re

import numpy as np
import pytest

import ptxjit as pj
from ptxjit.errors import DeviceError, ResourceError, ToolError
from ptxjit.ir.lower import lower
from ptxjit.targets import driver as base
from ptxjit.targets.amdgpu import runtime
from ptxjit.targets.amdgpu.codeobject import read
from ptxjit.targets.amdgpu.runtime import FUNCTIONS, detect, found
from ptxjit.targets.amdgpu.target import AmdTarget
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
    assert detect() == [] and "libamdhip64.so is missing: install" in runtime.missing


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
    assert [c[1] for c in stand.calls if c[0] == "hipSetDevice"][::1] and base
    last = None
    for c in stand.calls:
        last = c[1] if c[0] == "hipSetDevice" else last
        if c[0] == "hipMalloc":
            assert last is not None
    order = [c[1] for c in stand.calls if c[0] == "hipSetDevice"]
    assert order[0] == 0 and order[-1] == 0 and 1 in order


def test_the_real_library(tmp_path):
    """Where ROCm is, its library has every function."""
    library = runtime.load_library()
    if library is None:
        pytest.skip(f"libamdhip64.so is missing: {runtime.INSTALL}")
    runtime.Hip(library)
