"""The primitives of a card: transfers of any size, fills, streams, events, memory of others, closing."""
from __future__ import annotations

import gc
import threading

import ml_dtypes
import numpy as np
import pytest

import ptxjit as pj
from ptxjit.errors import DeviceError, ResourceError
from ptxjit.targets.driver import Memory
from ptxjit.targets.ptx import driver_api, runtime
from ptxjit.targets.ptx.runtime import LARGE, SMALL
from tests.unit.cuda.standin import CUevent, CUgraph, CUgraphExec, CUmodule, CUresult, CUstream, forget_programs


@pytest.fixture
def opened(card):
    d = card()
    return d, runtime.driver_of("0")


@pytest.mark.parametrize("size", [1, 255, SMALL - 1, SMALL, SMALL + 1, LARGE, LARGE + 7, 5 * LARGE + 3, 9 * LARGE])
def test_transfers_of_any_size(opened, size):
    d, driver = opened
    a = np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8)
    want = a.copy()
    m = driver.from_host(a)
    a[:] = 0  # the array may be changed when the call returns
    n = driver.memory(size)
    driver.copy(n.raw, m.raw, size)
    assert (driver.to_host(n, (size,), np.uint8) == want).all()
    pieces = [args for name, args in d.calls if name == "cuMemcpyHtoDAsync"]
    assert sum(p[2] for p in pieces) == size and len({p[1] for p in pieces}) <= 4


def test_many_transfers_in_a_row(opened):
    """More copies on their way than there are buffers; none is overwritten."""
    _, driver = opened
    ms = [driver.from_host(np.full(1000, k, np.int32)) for k in range(50)]
    assert all((driver.to_host(m, (1000,), np.int32) == k).all() for k, m in enumerate(ms))


def test_transfers_from_many_threads(opened):
    _, driver = opened
    wrong = []

    def work(k):
        for n in (10, 70000, 3 * LARGE):
            a = np.full(n, k, np.uint8)
            if not (driver.to_host(driver.from_host(a), (n,), np.uint8) == k).all():
                wrong.append((k, n))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


@pytest.mark.parametrize("value,dtype", [(0, "f8"), (1, "f8"), (-1, "i8"), (2**40 + 3, "i8"), (7, "i4"), (1.5, "f4"), (3, "i2"), (1.0, "f2"), (9, "i1"), (True, "?"),
                                         (2.5, ml_dtypes.bfloat16)])  # fmt: skip
@pytest.mark.parametrize("n", [1, 3, 1000])
def test_fills(opened, value, dtype, n):
    _, driver = opened
    a = np.full(n, value, dtype)
    m = driver.memory(a.nbytes)
    driver.fill(m.raw, np.array([value]).astype(dtype).view(np.uint8), a.nbytes)
    assert driver.to_host(m, a.shape, a.dtype).tobytes() == a.tobytes()


def test_a_fill_of_sixteen_bytes(opened):
    _, driver = opened
    pattern = np.arange(16, dtype=np.uint8)
    m = driver.memory(160)
    driver.fill(m.raw, pattern, 160)
    assert (driver.to_host(m, (10, 16), np.uint8) == pattern).all()


def test_streams_run_beside_one_another_and_events_order_them(opened):
    d, driver = opened
    first, second = driver.stream(), driver.stream()
    with first:
        m = driver.from_host(np.arange(10))
        done = first.record()
    assert not done.done  # the stand-in does nothing before somebody waits
    second.wait(done)
    with second:
        n = driver.memory(80)
        driver.copy(n.raw, m.raw, 80)
        assert (driver.to_host(n, (10,), np.int64) == np.arange(10)).all()
    assert done.done
    later = second.record()
    assert later.seconds_since(done) > 0
    later.synchronize()
    first.synchronize()


def test_memory_of_a_stream_stays_with_it(opened):
    _, driver = opened
    s = driver.stream()
    with s:
        a = driver.memory(4096).raw
        gc.collect()
        assert driver.memory(4096).raw == a
    assert driver.memory(4096).raw != a


def test_other_libraries_streams(opened):
    d, driver = opened
    with driver.guarded():
        handle = d.cuStreamCreate(1)[1]
    s = driver.foreign_stream(int(handle))
    with s:
        assert driver.current_handle() == int(handle)
        assert (driver.to_host(driver.from_host(np.arange(5)), (5,), np.int64) == np.arange(5)).all()
    start = len(d.calls)
    driver.follow(int(handle))
    driver.hand_over(int(handle))
    assert [c for c, _ in d.calls[start:] if c in ("cuEventRecord", "cuStreamWaitEvent")] == ["cuEventRecord", "cuStreamWaitEvent"] * 2
    start = len(d.calls)
    driver.follow(None)
    driver.hand_over(-1)
    assert not [c for c, _ in d.calls[start:] if c == "cuStreamWaitEvent"]
    del s
    assert d.get(CUstream, handle) is not None  # not ours to destroy


def test_what_was_current_before_is_current_after(opened):
    d, driver = opened
    d.local.context = 0
    driver.to_host(driver.from_host(np.arange(5)), (5,), np.int64)
    driver.synchronize()
    assert d.local.context == 0


def test_arrays_on_a_card(opened, no_ptxas):
    d, driver = opened
    x = pj.asarray(np.arange(12.0).reshape(3, 4), device="cuda:0")
    y = (x + 1) * x.T.T
    assert y.device.name == "cuda:0" and (y.numpy() == (np.arange(12.0).reshape(3, 4) + 1) * np.arange(12.0).reshape(3, 4)).all()
    about = y.__cuda_array_interface__
    assert about["shape"] == (3, 4) and about["typestr"] == "<f8" and not about["data"][1] and about["data"][0] in d.allocated
    assert y.__dlpack_device__() == (2, 0)


def test_memory_that_was_lent_does_not_go_to_the_pool(opened):
    """Another library's stream may still work on it: the device waits before it takes it back."""
    d, driver = opened
    x = pj.asarray(np.arange(1000.0), device="cuda:0")
    at = x.__cuda_array_interface__["data"][0]
    y = pj.asarray(np.arange(1000.0), device="cuda:0")
    capsule = y.__dlpack__(stream=1)
    start = len(d.calls)
    other = y.__cuda_array_interface__["data"][0]
    del x, y
    assert [a[0] for c, a in d.calls[start:] if c == "cuMemFree"] == [at] and other in d.allocated
    del capsule
    gc.collect()
    assert [a[0] for c, a in d.calls[start:] if c == "cuMemFree"] == [at, other]


def test_memory_of_others_is_not_given_back(opened):
    d, driver = opened
    at = int(d.cuMemAlloc(64)[1]) if d.cuCtxSetCurrent(driver.context) else 0
    m = driver.adopt(at, 64, keep=object())
    assert isinstance(m, Memory)
    del m
    gc.collect()
    assert at in d.allocated


def test_nothing_is_left_behind(card, no_ptxas):
    d = card()
    f = pj.jit(lambda x: (x.sum(), x * x.max()), device="cuda:0")
    for _ in range(4):
        f(np.zeros(70000, "f4"))
    driver = runtime.driver_of("0")
    s = driver.stream()
    e = s.record()
    assert d.alive(CUstream) == 2 and d.alive(CUgraphExec) == 1 and d.alive(CUgraph) == 0 and d.alive(CUmodule) == 1
    events = d.alive(CUevent)
    del s, e, f
    forget_programs()
    assert d.alive(CUstream) == 1 and d.alive(CUgraphExec) == 0 and d.alive(CUmodule) == 0 and d.alive(CUevent) == events - 1
    driver.trim()
    assert d.allocated == {}
    runtime.forget()
    assert d.retained == 0 and not d.pinned


def test_after_closing(opened, no_ptxas):
    _, driver = opened
    m = driver.from_host(np.arange(4))
    runtime.forget()
    with pytest.raises(DeviceError, match="closed"):
        driver.to_host(m, (4,), np.int64)
    del m  # and giving back what is gone does nothing


def test_at_exit_nothing_is_given_back(opened, monkeypatch):
    d, driver = opened
    s, m = driver.stream(), driver.from_host(np.arange(4))
    calls = len(d.calls)
    monkeypatch.setattr(driver_api, "_ending", True)
    monkeypatch.setattr("ptxjit.targets.driver._exiting", True)
    del s, m
    gc.collect()
    assert len(d.calls) == calls


@pytest.mark.parametrize("code,kind,words", [
    ("CUDA_ERROR_OUT_OF_MEMORY", ResourceError, "free arrays"), ("CUDA_ERROR_ILLEGAL_ADDRESS", DeviceError, "ptxjit check"),
    ("CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", ResourceError, "fewer threads"), ("CUDA_ERROR_NOT_INITIALIZED", DeviceError, "spawn"),
    ("CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", DeviceError, "restart")])  # fmt: skip
def test_codes_and_their_errors(opened, code, kind, words):
    import pickle

    d, driver = opened
    e = driver.api.error(int(CUresult[code]), "cuda:0: something")
    assert type(e) is kind and code in e.message and "something" in e.message and words in e.hint
    again = pickle.loads(pickle.dumps(e))
    assert again.code == code and str(again) == str(e)


def test_a_code_that_the_bindings_do_not_know(opened):
    d, driver = opened
    assert "CUDA error 31337" in driver.api.error(31337, "cuda:0").message


def test_fault_while_waiting_loses_the_context(opened):
    d, driver = opened
    s = driver.stream()
    d.fail["cuStreamSynchronize"] = CUresult.CUDA_ERROR_LAUNCH_FAILED
    with pytest.raises(DeviceError, match="launch failed"):
        s.synchronize()
    with pytest.raises(DeviceError, match="was lost"):
        driver.memory(16), driver.from_host(np.arange(3))
