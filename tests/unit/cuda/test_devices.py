"""Finding cards, and what is said where there is none."""
from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import numpy as np
import pytest

import ptxjit as pj
from ptxjit import hardware
from ptxjit.errors import DeviceError, UserError
from ptxjit.targets import target
from ptxjit.targets.ptx import driver_api, runtime
from tests.unit.cuda.standin import CUresult, reset


@pytest.fixture
def bare(monkeypatch):
    """No bindings taken yet; `library(f)` makes `f` what opens the driver's library."""
    reset()
    yield lambda f: monkeypatch.setattr(driver_api, "library", f)
    reset()


class Library:
    """The driver's library as `probe` sees it."""

    def __init__(self, init=0, count=1):
        self.init, self.count = init, count

    def cuInit(self, flags):
        return self.init

    def cuDeviceGetCount(self, n):
        ctypes.cast(n, ctypes.POINTER(ctypes.c_int))[0] = self.count
        return 0

    def cuGetErrorName(self, code, text):
        ctypes.cast(text, ctypes.POINTER(ctypes.c_char_p))[0] = CUresult(code).name.encode() if code in CUresult._value2member_map_ else None
        return 0 if code in CUresult._value2member_map_ else 1


def no_library():
    raise OSError("no such file")


def test_no_driver(bare):
    bare(no_library)
    assert runtime.detect() == [] and "no NVIDIA driver is installed" in runtime.missing
    with pytest.raises(DeviceError, match="no device 'cuda:0'") as e:
        pj.device("cuda:0")
    assert "no NVIDIA driver" in e.value.hint
    with pytest.raises(DeviceError, match="cuda:0"):
        pj.jit(lambda x: x, device="cuda:0")(np.zeros(3))
    with pytest.raises(DeviceError) as e:
        target("cuda:0")
    assert "no NVIDIA driver" in str(e.value)
    assert not [d for d in pj.devices() if d.kind == "cuda"] and "no NVIDIA driver" in hardware.missing("cuda")


@pytest.mark.parametrize("library,words", [
    (Library(init=100), "sees no device"), (Library(count=0), "sees no device"), (Library(init=803), "SYSTEM_DRIVER_MISMATCH.*restart"),
    (Library(init=31337), "CUDA error 31337"), (object(), "is not NVIDIA's driver")])  # fmt: skip
def test_a_driver_that_is_of_no_use(bare, library, words):
    import re

    bare(lambda: library)
    assert runtime.detect() == [] and re.search(words, runtime.missing), runtime.missing


def test_no_bindings(bare, monkeypatch):
    bare(lambda: Library())
    monkeypatch.setattr(driver_api, "find_spec", lambda name: None)
    assert runtime.detect() == [] and "cuda-bindings is missing: pip install 'ptxjit[cuda]'" == runtime.missing


def test_bindings_that_are_broken(bare, monkeypatch):
    bare(lambda: Library())
    monkeypatch.setattr(driver_api, "find_spec", lambda name: name)
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    assert runtime.detect() == [] and "cuda-bindings cannot be loaded" in runtime.missing and "pip install" in runtime.missing


def test_looking_where_nothing_is_imports_nothing_and_is_quick():
    """What is asserted is that nothing large is loaded; the time is printed by `pytest -s`."""
    code = ("import sys, time; from ptxjit.targets.ptx import runtime, driver_api\n"
            "driver_api.LIBRARY = 'libcuda-that-is-not-there.so'; before = set(sys.modules); t = time.perf_counter(); print(runtime.detect(), runtime.missing)\n"
            "print(sorted(m for m in set(sys.modules) - before if not m.startswith(('encodings', 'ctypes')))); print(time.perf_counter() - t)")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, modules, seconds = done.stdout.strip().splitlines()
    assert first.startswith("[] no NVIDIA driver") and modules == "[]"
    print(f"{float(seconds) * 1e3:.1f} ms")


def test_a_card_says_what_it_is(card):
    card()
    d = pj.device("cuda:0")
    assert (d.kind, d.hardware, d.driver, d.available, d.target) == ("cuda", "A card of paper", "CUDA 13.0", True, "cuda:0")
    assert d.facts.target == "ptx:sm_90a" and d.facts.cores == 132 and d.facts.l2_bytes == 60 << 20 and d.facts.shared_bytes == 48 << 10
    details = runtime.detect()[0].details
    assert details["shared bytes per block, opted in"] == 227 << 10 and details["clusters"] == 1
    assert round(runtime.detect()[0].bandwidth / 1e9) == 4917
    assert pj.device("cuda").name == "cuda:0" and "cuda:0" in [d.name for d in pj.devices()]


@pytest.mark.parametrize("capability,arch", [((7, 5), "sm_75"), ((8, 0), "sm_80"), ((8, 6), "sm_86"), ((8, 7), "sm_87"), ((8, 8), "sm_87"), ((8, 9), "sm_89"), ((9, 0), "sm_90a"),
                                             ((10, 0), "sm_100a"), ((10, 3), "sm_103"), ((11, 0), "sm_103"), ((12, 0), "sm_120a"), ((12, 1), "sm_120"), ((99, 0), "sm_120")])  # fmt: skip
def test_the_nearest_architecture(capability, arch):
    assert runtime.nearest(*capability) == arch


@pytest.mark.parametrize("how,words", [
    ({"COMPUTE_CAPABILITY_MAJOR": 6, "COMPUTE_CAPABILITY_MINOR": 1}, "compute capability is 6.1"), ({"version": 11040}, "its driver has CUDA 11.4; CUDA 12.0 is needed"),
    ({"COMPUTE_MODE": 2}, "compute mode is 'prohibited'")])  # fmt: skip
def test_cards_that_cannot_be_used(card, how, words):
    card(**how)
    d = pj.device("cuda:0")
    assert not d.available and words in d.why_not and d.facts is not None
    with pytest.raises(DeviceError, match="cannot be used"):
        pj.jit(lambda x: x + 1, device="cuda:0")(np.zeros(3))


def test_one_broken_card_beside_a_good_one(card):
    d = card(count=2)
    d.fail["cuDeviceGetName"] = [CUresult.CUDA_ERROR_UNKNOWN, 0]
    first, second = runtime.detect()
    assert "its driver fails" in first.why_not and second.why_not is None and second.number == 1
    d.fail.clear()
    assert (pj.jit(lambda x: x + 1, device="cuda:1")(np.zeros(3)) == 1).all()


def test_a_driver_that_does_not_start(card):
    card().fail["cuInit"] = CUresult.CUDA_ERROR_NO_DEVICE
    assert runtime.detect() == [] and "CUDA_VISIBLE_DEVICES" in runtime.missing


def test_names_that_are_none(card):
    card()
    for name in ("cuda:7", "cuda:x"):
        with pytest.raises(DeviceError):
            pj.device(name)
    with pytest.raises(UserError):
        target("cuda:x")
    with pytest.raises(DeviceError, match="there are 1"):
        try:
            target("cuda:3")
        except DeviceError as e:
            raise DeviceError(str(e)) from None


def test_asking_for_the_cpu_looks_for_nothing_else():
    code = "import sys, numpy as np, ptxjit as pj; pj.jit(lambda x: x + 1)(np.zeros(3)); print([m for m in sys.modules if m.startswith('cuda') or m.endswith('ptx.runtime')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_after_a_fork(card):
    """The child may not touch the parent's context: a typed error, and nothing is given back there."""
    if not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    d = card()
    f = pj.jit(lambda x: x + 1, device="cuda:0")
    x = np.arange(4.0)
    f(x)
    kept = runtime.driver_of("0").from_host(x)
    calls = len(d.calls)
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            f(x)
            said = "no error"
        except DeviceError as e:
            said = f"{e.message} | {e.hint}"
        except BaseException as e:  # noqa: BLE001
            said = repr(e)
        del kept
        os.write(w, f"{said} | {len(d.calls) - calls}".encode())
        os._exit(0)
    os.waitpid(pid, 0)
    said = os.read(r, 1000).decode()
    assert "forked" in said and "spawn" in said and said.endswith("| 0"), said
    assert (f(x) == x + 1).all()


def test_stages_and_statistics(card, ptxas):
    card()
    low = pj.jit(lambda x: np.exp(x).sum(-1)).lower("f32[64,1000]", target="cuda:0")
    assert low.as_text("ptx").count(".target sm_90a") == 1 and "EXIT" in low.as_text("sass")
    [s] = low.stats()
    assert s["registers"] > 0 and s["blocks"] > 0 and 0 < s["occupancy"] <= 1 and "spill loads" in s


def test_statistics_without_ptxas(card, no_ptxas):
    card()
    [s] = pj.jit(lambda x: np.exp(x).sum(-1)).lower("f32[64,1000]", target="cuda:0").stats()
    assert s["registers"] == 40 and s["blocks"] > 0


def test_opening_costs_one_context(card):
    d = card()
    for k in range(3):
        pj.jit(lambda x, k=k: x + k, device="cuda:0")(np.zeros(3))
    assert [c for c, _ in d.calls].count("cuDevicePrimaryCtxRetain") == 1
