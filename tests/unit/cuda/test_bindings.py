"""What the code asks of cuda-bindings is there, in the form in which it is asked; the stand-in has the same forms; and over a libcuda of our own the
real bindings hand on what we mean."""
from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ptxjit
from tests.unit.cuda import standin

HERE = Path(__file__).parent
SOURCES = [Path(ptxjit.__file__).parent / "targets" / "ptx" / f"{n}.py" for n in ("driver_api", "runtime", "modules", "graphs", "foreign")]
INSTALL = ".venv/bin/python -m pip install -e '.[cuda]'"


@pytest.fixture(scope="module")
def bindings():
    return pytest.importorskip("cuda.bindings.driver", reason=f"cuda-bindings is missing: {INSTALL}")


def asked():
    """Functions called → numbers of arguments; names of enumerations' members; other names of the bindings."""
    calls, members, names = {}, set(), set()
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        for n in ast.walk(tree):
            if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id in ("found", "library"):
                n.attr = ""  # the library itself, which `probe` asks
        for n in ast.walk(tree):
            if isinstance(n, ast.Attribute) and n.attr.startswith("cu") and n.attr[2:3].isupper():
                calls.setdefault(n.attr, set())
            if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute) and n.func.attr.startswith("cu") and n.func.attr[2:3].isupper():
                stars = sum(isinstance(a, ast.Starred) for a in n.args)
                calls.setdefault(n.func.attr, set()).add(len(n.args) + 2 * stars)  # the starred ones are threes
            if isinstance(n, ast.Attribute) and n.attr.startswith(("CU_", "CUDA_")):
                members.add((n.value.attr if isinstance(n.value, ast.Attribute) else n.value.id, n.attr))
            if isinstance(n, ast.Attribute) and re.match(r"CU[a-z]", n.attr):
                names.add(n.attr)
    for word in re.findall(r'_[gs]et\("(\w+)"', "".join(p.read_text() for p in SOURCES)):
        members.add(("CUfunction_attribute", "CU_FUNC_ATTRIBUTE_" + word))
    from ptxjit.targets.ptx.runtime import ATTRIBUTES

    members |= {("CUdevice_attribute", "CU_DEVICE_ATTRIBUTE_" + w) for w in ATTRIBUTES.values()}
    return calls, members, names


CALLS, MEMBERS, NAMES = asked()


def test_the_list_is_what_is_used():
    assert len(CALLS) > 40 and "cuLaunchKernelEx" in CALLS and CALLS["cuLaunchKernel"] == {11} and ("CUfunction_attribute", "CU_FUNC_ATTRIBUTE_NUM_REGS") in MEMBERS
    assert {"CUlaunchConfig", "CUlaunchAttribute", "CUstream", "CUresult"} <= NAMES


def test_the_stand_in_has_all_of_it():
    d = standin.StandIn()
    for name, counts in CALLS.items():
        assert all(n == getattr(d, name).arity for n in counts), (name, counts, getattr(d, name).arity)
    for owner, name in MEMBERS:
        assert hasattr(getattr(standin, {"o": "CUjit_option", "d": "CU"}.get(owner, owner), d), name) or hasattr(d, name), (owner, name)
    assert all(hasattr(d, n) for n in NAMES)


def test_the_bindings_have_all_of_it(bindings):
    for name, counts in CALLS.items():
        head = getattr(bindings, name).__doc__.strip().splitlines()[0]
        depth, arity = 0, 0
        inside = head[head.index("(") + 1 : head.rindex(")")]
        for c in inside:
            depth += c in "[(" or -(c in "])")
            arity += c == "," and depth == 0
        arity += bool(inside.strip())
        assert counts <= {arity}, f"{name}: {counts}, but {head}"
        assert standin.StandIn.__dict__[name].arity == arity, head
    for owner, name in MEMBERS:
        owner = {"o": "CUjit_option", "d": ""}.get(owner, owner)
        assert hasattr(getattr(bindings, owner) if owner else bindings, name), (owner, name)
    assert all(hasattr(bindings, n) for n in NAMES)


def test_numbers_and_structures_are_the_real_ones(bindings):
    for e in standin.ENUMS:
        real = getattr(bindings, e.__name__)
        for m in e:
            assert int(getattr(real, m.name)) == int(m), m
    assert int(bindings.CU_MEMHOSTALLOC_PORTABLE) == standin.StandIn.CU_MEMHOSTALLOC_PORTABLE
    config, attribute = bindings.CUlaunchConfig(), bindings.CUlaunchAttribute()
    assert all(hasattr(config, f) for f in standin.CUlaunchConfig.FIELDS)
    assert all(hasattr(attribute.value, f) for f in ("cooperative", "clusterDim")) and all(hasattr(attribute.value.clusterDim, f) for f in "xyz")
    from ptxjit.targets.ptx.driver_api import KINDS, LOSE

    assert all(hasattr(bindings.CUresult, n) for n in {*KINDS, *LOSE})


SCRIPT = r'''
import sys
import numpy as np
import ptxjit as pj
from ptxjit.errors import PtxjitError
from ptxjit.targets.ptx import driver_api, runtime, tools
tools.available = lambda tool: False
d = pj.device("cuda:0")
print(d.hardware, d.driver, d.available, d.facts.target, d.facts.cores)
driver = runtime.driver_of("0")
ptx = """.version 7.8
.target sm_90
.address_size 64
.visible .entry k(.param .u64 x, .param .u64 y) { ret; }
"""
print("--- program", file=sys.stderr)
f = pj.jit(lambda x: (x.sum(), x * x.max()), device="cuda:0")
for _ in range(4):
    f(np.arange(70000, dtype="f4"))
print("--- foreign", file=sys.stderr)
k = pj.load_ptx(ptx, device="cuda:0")["k"]
k.launch(np.uint64(0x1234), np.uint64(0x5678), grid=(2, 3, 4), block=(5, 6, 7), shared=100 << 10)
k.launch(np.uint64(0x1234), np.uint64(0x5678), grid=4, block=32, cluster=2, cooperative=True)
print(k.stats())
print("--- driver", file=sys.stderr)
for n in (1, 2, 4, 8):
    driver.fill(0x8000, np.arange(1, n + 1, dtype=np.uint8), 16)
s, t = driver.stream(), driver.foreign_stream(1)
s.wait(t.record())
print(s.record().seconds_since(t.record()), s.record().done)
for bad in (lambda: pj.load_ptx(ptx + "// wrong\n", device="cuda:0")["k"].compile(), lambda: driver.memory(2 << 40)):
    try:
        bad()
    except PtxjitError as e:
        print(type(e).__name__, e.message)
'''


def test_over_a_library_of_our_own(bindings, tmp_path):
    """The real bindings, and below them a libcuda in C that writes down its arguments."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or sys.platform != "linux":
        pytest.skip("a C compiler for Linux is missing: apt-get install gcc")
    subprocess.run([compiler, "-shared", "-fPIC", "-w", "-o", tmp_path / "libcuda.so.1", HERE / "libcuda.c"], check=True)
    env = os.environ | {"LD_LIBRARY_PATH": str(tmp_path), "PTXJIT_CACHE": "off"}
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Exception ignored" not in done.stderr and "Traceback" not in done.stderr  # leaving is safe
    out = done.stdout.splitlines()
    assert out[0] == "a card of paper CUDA 13.0 True ptx:sm_90a 2"
    assert "'registers': 4" in out[1] and "'blocks': 3" in out[1] and out[2] == "0.0025 True"
    assert out[3] == "ToolError cuda:0 (a card of paper) refuses the module: words of the driver (CUDA_ERROR_INVALID_PTX): line 2; error : wrong\n    .target sm_90".split("\n")[0]
    assert any(line.startswith("ResourceError cuda:0") and "OUT_OF_MEMORY" in line and f"{2 << 40} bytes were asked for; 1 MiB of 8192 are free" in line for line in out)
    start, program, foreign, driver = re.split(r"--- \w+\n", done.stderr)
    assert "cuDevicePrimaryCtxRetain 0" in start + program
    launches = [line for line in program.splitlines() if line.startswith("cuLaunchKernel")]
    assert re.match(r"cuLaunchKernel 0x11 grid \d+ 1 1 block \d+ 1 1 shared 0 stream 0xb first 70[0-9a-f]+ second 70[0-9a-f]+ extra \(nil\)$", launches[0])
    lines = program.splitlines()
    assert lines.count("cuGraphLaunch 0x17 0xb") >= 2 and lines.count("cuStreamBeginCapture 0xb 1") == lines.count("cuStreamEndCapture 0xb") >= 1
    assert any(re.match(r"cuMemcpyHtoDAsync 70[0-9a-f]+ 280000 stream 0xb first 0$", line) for line in lines)
    assert "cuModuleLoadDataEx 101 bytes option 4 = 16384 option 6 = 16384 option 12 = 1" in foreign
    assert "cuFuncSetAttribute 0x11 8 102400" in foreign
    assert "cuLaunchKernel 0x11 grid 2 3 4 block 5 6 7 shared 102400 stream 0xb first 1234 second 5678 extra (nil)" in foreign
    assert "cuLaunchKernelEx 0x11 grid 4 1 1 block 32 1 1 shared 0 stream 0xb cooperative 1 cluster 2 1 1 first 1234" in foreign
    fills = [line for line in driver.splitlines() if line.startswith("cuMemset")]
    assert fills == ["cuMemsetD8Async 8000 1 16", "cuMemsetD16Async 8000 513 8", "cuMemsetD32Async 8000 67305985 4",
                     "cuMemsetD2D32Async 8000 8 67305985 1 2", "cuMemsetD2D32Async 8004 8 134678021 1 2"]  # fmt: skip
    assert re.search(r"cuStreamWaitEvent 0xb 0x\w+ 0", driver) and re.search(r"cuEventRecord 0x\w+ 0x1$", driver, re.M)
