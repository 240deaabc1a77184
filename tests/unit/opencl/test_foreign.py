"""The corpus on OpenCL devices: right, or refused with the instruction before anything ran.  `PTXJIT_CORPUS=all` runs every kernel and variant."""
from __future__ import annotations

import os

import numpy as np
import pytest

import ptxjit as pj
import tests.corpus.cases  # noqa: F401
from ptxjit import targets
from ptxjit.errors import DeviceError, PtxjitError, UnsupportedError, UserError
from ptxjit.ir.analysis import Uniform, spins
from tests.corpus.corpus import CASES, check, files
from tests.corpus.test_corpus_runs import aligned
from tests.unit.opencl.spirv_reader import read

ALL = os.environ.get("PTXJIT_CORPUS") == "all"
SAMPLE = ("saxpy", "int64_ops", "divisions", "histogram", "block_scan", "shared_atomics", "last_block", "barrier_votes", "bitonic", "divergent_loops", "redux_float",
          "triton_softmax", "cp_async_pipeline", "cas_loops", "atomic_halves", "local_array", "dynamic_stack", "hand_parameters", "struct_parameter", "narrow_formats", "half_ops", "vectors", "library", "look_back",
          "block_reduce", "early_exit", "lock_per_warp", "cluster_registers", "recursion")  # fmt: skip
REFUSALS = ("UnsupportedError", "ResourceError")


def chosen(entry):
    have = files(entry)
    return have if ALL else [next((p for p in have if ".O3." in p.name), have[0])]


RUNS = [pytest.param(n, p, id=f"{n}-{p.name}") for n, e in sorted(CASES.items()) if ALL or n in SAMPLE for p in chosen(e)]
counts: dict[str, int] = {}


@pytest.mark.parametrize("name,path", RUNS)
def test_right_or_refused(name, path, opencl):
    entry = CASES[name]
    for device in opencl:
        case = entry.make(3)
        args = [aligned(a) if isinstance(a, np.ndarray) else a for a in case.args]
        before = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
        try:
            pj.load_ptx(path, device=device)[name].launch(*args, grid=entry.grid, block=entry.block, shared=entry.shared, cooperative=case.cooperative,
                                                          cluster=case.cluster)  # fmt: skip
        except PtxjitError as e:
            assert type(e).__name__ in REFUSALS, e
            assert all((a == b).all() for a, b in zip(args, before) if isinstance(a, np.ndarray) and a.dtype.kind in "iub"), "it ran before it was refused"
            counts["refused"] = counts.get("refused", 0) + 1
            continue
        check(case, args)
        counts["right"] = counts.get("right", 0) + 1


def test_most_of_the_sample_runs(opencl):
    assert not counts or counts["right"] > counts["refused"]


@pytest.mark.parametrize("name", sorted(CASES) if ALL else [n for n in SAMPLE if n in CASES])
def test_words_of_foreign_kernels_are_sound(name):
    path = chosen(CASES[name])[0]
    try:
        words = pj.translate(path, target="spirv", entry=name).binary
    except UnsupportedError:
        return
    module = read(words)
    assert set(module.entries) == {f"{name}_"} or len(module.entries) == 1
    assert module.contraction_off


def lifted(name):
    path = chosen(CASES[name])[0]
    ptx = targets.target("ptx")
    return ptx.lift(ptx.read(path.read_bytes().decode(), path.name), name).kernel


def test_loops_that_wait_and_loops_that_move_on():
    waits = {n for n in CASES if spins(lifted(n)) is not None}
    assert {"look_back", "grid_barrier", "lock_per_warp", "lock_divergent", "mbarrier_parity"} <= waits
    assert not waits & {"saxpy", "histogram", "last_block", "shared_atomics", "cas_loops", "divergent_loops"}


def test_what_is_uniform():
    def worst(name, ops):
        k = lifted(name)
        u = Uniform(k)
        return max(u.block[n] for n, b in enumerate(k.blocks) for i in b.instrs if i.op.name in ops)

    assert worst("block_scan", ("named_barrier",)) == 0 and worst("histogram", ("named_barrier",)) == 0
    assert worst("block_reduce", ("shfl_sync",)) == 1 and worst("shuffles", ("shfl_sync",)) == 2
    assert worst("early_exit", ("named_barrier",)) > 0


SPIN = """.version 8.0
.target sm_80
.address_size 64
.visible .entry spin(.param .u64 p) {
  .reg .pred %q;
  .reg .b32 %r<4>;
  .reg .b64 %rd<3>;
  ld.param.u64 %rd1, [p];
AGAIN:
  ld.volatile.global.u32 %r1, [%rd1];
  setp.eq.u32 %q, %r1, 0;
  @%q bra AGAIN;
  ret;
}
.visible .entry stop(.param .u64 p) {
  trap;
}
.visible .entry add(.param .u64 p, .param .u32 n) {
  .reg .b32 %r<4>;
  .reg .b64 %rd<3>;
  ld.param.u64 %rd1, [p];
  ld.param.u32 %r1, [n];
  mov.u32 %r2, %tid.x;
  mul.wide.u32 %rd2, %r2, 4;
  add.u64 %rd1, %rd1, %rd2;
  ld.global.u32 %r3, [%rd1];
  add.u32 %r3, %r3, %r1;
  st.global.u32 [%rd1], %r3;
  ret;
}
"""


def test_refusals_name_the_line_and_the_device(opencl):
    for device in opencl:
        module = pj.load_ptx(SPIN, device=device)
        with pytest.raises(UnsupportedError, match=f"ld on {device}: a loop waits") as e:
            module["spin"].compile()
        assert "10" in str(e.value.place)
        x = np.zeros(4, "u4")
        with pytest.raises(DeviceError, match="stop: trap on"):
            module["stop"][1, 1](x)
        with pytest.raises(UnsupportedError, match="cooperative"):
            module["add"].launch(x, np.uint32(1), grid=1, block=4, cooperative=True)
        with pytest.raises(UnsupportedError, match="bounds"):
            pj.load_ptx(SPIN, device=device, bounds=True)["add"].compile()
        with pytest.raises(UserError, match="streams"):
            module["add"].launch(x, np.uint32(1), grid=1, block=4, stream=object())


def test_arrays_are_used_in_place_and_code_is_kept(opencl, cache_folder):
    for device in opencl:
        x = np.arange(8, dtype="u4")
        for k in range(2):
            kernel = pj.load_ptx(SPIN, device=device)["add"]
            kernel[1, 4](x[2:], np.uint32(10))
            assert kernel.stats()["mode"].startswith(("SPIR-V", "OpenCL C"))
        np.testing.assert_array_equal(x, [0, 1, 22, 23, 24, 25, 6, 7])


@pytest.fixture
def apart(opencl, monkeypatch):
    """The devices as if they had memory of their own: buffers are theirs, and arrays are copied there and back."""
    monkeypatch.setenv("PTXJIT_CACHE", "off")
    for device in opencl:
        target = targets.target(f"spirv:{device.partition(':')[2]}")
        monkeypatch.setattr(target.driver(), "same_addresses", False)
        monkeypatch.setattr(target.driver(), "unified", False)
    return opencl


@pytest.mark.parametrize("name", [n for n in SAMPLE if n in CASES])
def test_memory_of_their_own(name, apart):
    path, entry = chosen(CASES[name])[0], CASES[name]
    for device in apart:
        case = entry.make(3)
        args = [aligned(a) if isinstance(a, np.ndarray) else a for a in case.args]
        try:
            kernel = pj.load_ptx(path, device=device)[name].compile()
        except UnsupportedError:
            counts["apart refused"] = counts.get("apart refused", 0) + 1
            continue
        try:
            kernel.launch(*args, grid=entry.grid, block=entry.block, shared=entry.shared, cooperative=case.cooperative, cluster=case.cluster)
        except PtxjitError as e:
            assert type(e).__name__ in REFUSALS, e
            continue
        check(case, args)
        counts["apart right"] = counts.get("apart right", 0) + 1


def test_overlapping_arrays_null_and_numbers(apart):
    source = SPIN + """.visible .entry far(.param .u64 p, .param .u64 q, .param .u64 n) {
  .reg .pred %z;
  .reg .b64 %rd<5>;
  ld.param.u64 %rd1, [p];
  ld.param.u64 %rd2, [q];
  ld.param.u64 %rd3, [n];
  setp.ne.u64 %z, %rd2, 0;
  @%z st.global.u64 [%rd2], %rd3;
  ld.global.u64 %rd4, [%rd1];
  add.u64 %rd4, %rd4, %rd3;
  st.global.u64 [%rd1+8], %rd4;
  ret;
}
"""
    for device in apart:
        module = pj.load_ptx(source, device=device)
        x = np.arange(6, dtype="u8")
        module["far"][1, 1](x[1:], x[2:], np.uint64(1 << 40))  # x[2] is written, then x[1] + n
        np.testing.assert_array_equal(x, [0, 1, 1 + (1 << 40), 3, 4, 5])
        module["far"][1, 1](x, np.uint64(0), np.uint64(7))
        np.testing.assert_array_equal(x, [0, 7, 1 + (1 << 40), 3, 4, 5])


def test_arrays_that_are_there(apart):
    for device in apart:
        x = pj.asarray(np.arange(8, dtype="u4"), device=device)
        assert not x.on_host
        module = pj.load_ptx(SPIN, device=device)
        module["add"][1, 8](x, np.uint32(5))
        np.testing.assert_array_equal(x.numpy(), np.arange(8) + 5)
        with pytest.raises(UserError, match="not a pointer"):
            module["add"][1, 8](x, x)


def test_generic_addresses_of_shared_memory_need_the_hosts(apart):
    source = """.version 8.0
.target sm_80
.address_size 64
.visible .entry k(.param .u64 p) {
  .reg .b32 %r<4>;
  .reg .b64 %rd<4>;
  .shared .align 4 .b32 box[32];
  ld.param.u64 %rd1, [p];
  mov.u64 %rd2, box;
  cvta.shared.u64 %rd3, %rd2;
  mov.u32 %r1, 42;
  st.u32 [%rd3], %r1;
  ld.shared.u32 %r2, [box];
  st.global.u32 [%rd1], %r2;
  ret;
}
"""
    for device in apart:
        x = np.zeros(1, "u4")
        kernel = pj.load_ptx(source, device=device)["k"]
        if any(f.startswith("il ") for f in pj.device(device).facts.features):
            kernel[1, 1](x)
            assert x[0] == 42
        else:
            with pytest.raises(UnsupportedError, match="no generic addresses of shared memory"):
                kernel.compile()
