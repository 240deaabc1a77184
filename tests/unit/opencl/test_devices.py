"""Finding devices, choosing one, what goes wrong, and the disk cache."""
from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import ptxjit as pj
from ptxjit.errors import CheckError, DeviceError, ToolError
from ptxjit.targets.spirv import runtime


def test_a_device_says_what_it_is(opencl):
    for name in opencl:
        d = pj.device(name)
        assert d.kind == "opencl" and d.hardware and d.driver and d.available and d.why_not is None
        assert d.facts.target == "spirv:" + name.partition(":")[2] and any(d.driver in f for f in d.facts.features)


def test_one_that_is_not_there():
    with pytest.raises(DeviceError, match="opencl:99"):
        pj.device("opencl:99")
    with pytest.raises(DeviceError):
        pj.jit(lambda x: x, device="opencl:99")(np.zeros(3))


def test_asking_for_the_cpu_looks_for_nothing_else():
    code = "import sys, numpy as np, ptxjit as pj; pj.jit(lambda x: x + 1)(np.zeros(3)); print('pyopencl' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"


def test_the_default_device(opencl):
    code = "import numpy as np, ptxjit as pj; print(pj.default_device().name, pj.jit(lambda x: x + 1)(np.zeros(3))[0])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | {"PTXJIT_DEVICE": opencl[0]})
    assert done.stdout.split() == [opencl[0], "1.0"]


@pytest.fixture
def anew(monkeypatch):
    monkeypatch.setattr(runtime, "_found", None)
    monkeypatch.setattr(runtime, "missing", None)


def test_without_pyopencl(anew, monkeypatch):
    monkeypatch.setattr(runtime, "find_spec", lambda name: None)
    assert runtime.detect() == [] and "pyopencl is missing: pip install" in runtime.missing


def test_without_a_runtime(anew, monkeypatch):
    monkeypatch.setattr(runtime, "_some_runtime", lambda: False)
    assert runtime.detect() == [] and "pip install" in runtime.missing


def test_a_driver_that_fails(opencl, anew, monkeypatch):
    import pyopencl as cl

    class Bad:
        name, vendor = "bad", "nobody"

        def get_devices(self):
            raise RuntimeError("the driver is ill")

    good = cl.get_platforms()
    monkeypatch.setattr(cl, "get_platforms", lambda: [Bad(), *good])
    every = runtime.detect()
    assert [d.why_not for d in every if d.why_not] == ["it fails: the driver is ill"] and len(every) == len(good) + 1


def test_a_wheel_without_the_one_that_it_needs(anew, monkeypatch, tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libintelocl.so").touch()
    monkeypatch.setattr(runtime.sys, "prefix", str(tmp_path))
    assert runtime.wheels() == []
    assert "pip install intel-cmplr-lib-rt" in runtime.detect()[-1].why_not
    (tmp_path / "lib" / "libimf.so").touch()
    assert runtime.wheels() == [tmp_path / "lib" / "libintelocl.so"]


def test_icd_files_are_ours_alone(tmp_path, monkeypatch):
    monkeypatch.delenv("OCL_ICD_VENDORS", raising=False)
    if sys.platform != "linux":
        pytest.skip("only Linux has .icd files")
    folder = runtime._vendors(tmp_path, [tmp_path / "libfoo.so"])
    assert os.stat(folder).st_mode & 0o777 == 0o700 and (tmp_path / "libfoo.so").as_posix() in open(f"{folder}/ptxjit-libfoo.icd").read()
    os.chmod(folder, 0o777)
    assert runtime._vendors(tmp_path, [tmp_path / "libfoo.so"]) is None
    monkeypatch.setenv("OCL_ICD_VENDORS", "/somewhere")
    assert runtime._vendors(tmp_path, [tmp_path / "libfoo.so"]) is None


def test_a_compiler_that_refuses(opencl, monkeypatch):
    from ptxjit.targets.llvm import worker
    from ptxjit.targets.spirv import opencl_c

    monkeypatch.setenv("PTXJIT_CACHE", "off")
    monkeypatch.setitem(opencl_c.INFIX, "fadd", "+ nonsense +")
    monkeypatch.setattr(worker, "compile_apart", lambda *a: bytes(400))
    for name in opencl:
        with pytest.raises((ToolError, DeviceError), match="refused the program|failed"):
            pj.jit(lambda x: x + 1, device=name)(np.zeros(3))


def test_checks(opencl):
    for name in opencl:
        f = pj.jit(lambda x, i: np.take(x, i), device=name)
        try:
            f(np.arange(3.0), np.array([5]))
        except CheckError:
            continue


def test_from_the_cache(opencl, cache_folder):
    x = np.linspace(0, 1, 50, dtype="f4")
    for name in opencl:
        want = pj.jit(lambda v: np.exp(v) + v.sum(), device=name)(x)
        entries = len(list(cache_folder.glob("*.bin")))
        got = pj.jit(lambda v: np.exp(v) + v.sum(), device=name)(x)
        assert got.tobytes() == want.tobytes() and len(list(cache_folder.glob("*.bin"))) == entries


def test_many_threads(opencl):
    from concurrent.futures import ThreadPoolExecutor

    for name in opencl:
        f = pj.jit(lambda x: x * 2 + x.sum(), device=name)
        xs = [np.full(1000, float(k)) for k in range(40)]
        with ThreadPoolExecutor(4) as pool:
            for x, r in zip(xs, pool.map(f, xs)):
                assert (r == x * 2 + x.sum()).all()
