"""Blocks of a plain launch that wait for each other: more than there are threads, for later ones too, up to the limit of resident blocks."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import ptxjit as pj
from ptxjit.errors import DeviceError, ResourceError
from ptxjit.targets.cpu import launch
from ptxjit.targets.llvm.dispatch import Dispatch

ROOT = Path(__file__).resolve().parents[3]
HEAD = ".version 7.8\n.target sm_90\n.address_size 64\n"
START = """(.param .u64 flags, .param .u64 out) {
    .reg .pred p, q; .reg .b32 %r<16>; .reg .b64 %rd<16>;
    ld.param.u64 %rd0, [flags]; ld.param.u64 %rd1, [out];
    mov.u32 %r0, %ctaid.x; mov.u32 %r1, %nctaid.x; mov.u32 %r2, %tid.x; setp.ne.u32 p, %r2, 0;
"""
# thread 0 of a block polls; the others wait for it at a barrier
LATER = HEAD + ".visible .entry k" + START + """
    mul.wide.u32 %rd2, %r0, 4; add.s64 %rd3, %rd0, %rd2;                       // this block's flag
    add.u32 %r3, %r0, 1; mul.wide.u32 %rd4, %r3, 4; add.s64 %rd5, %rd0, %rd4;  // the next one's
    setp.eq.or.u32 q, %r3, %r1, p; @q bra READY;
WAIT: ld.acquire.gpu.global.u32 %r4, [%rd5]; setp.eq.u32 q, %r4, 0; @q bra WAIT;
READY: bar.sync 0;
    @p bra DONE;
    mov.u32 %r6, 1;
    setp.eq.u32 q, %r3, %r1; @q bra LAST;
    ld.global.u32 %r5, [%rd5]; add.u32 %r6, %r5, 1;
LAST: add.s64 %rd6, %rd1, %rd2; st.global.u32 [%rd6], %r6; st.release.gpu.global.u32 [%rd3], %r6;
DONE: ret;
}
"""
BARRIER = HEAD + ".visible .entry k" + START + """
    mov.u32 %r7, 0; mov.u32 %r8, 0; mul.wide.u32 %rd2, %r0, 4; add.s64 %rd3, %rd1, %rd2;
ROUND: add.u32 %r8, %r8, %r1; bar.sync 0; @p bra HERE;
    atom.add.release.gpu.global.u32 %r4, [%rd0], 1;
WAIT: ld.acquire.gpu.global.u32 %r4, [%rd0]; setp.lt.u32 q, %r4, %r8; @q bra WAIT;
    ld.global.u32 %r5, [%rd3]; add.u32 %r5, %r5, 1; st.global.u32 [%rd3], %r5;
HERE: bar.sync 0; add.u32 %r7, %r7, 1; setp.lt.u32 q, %r7, 3; @q bra ROUND;
    ret;
}
"""
# block 0 sends a token up; the last one sends it down again: each waits for the block before it, and then for the one behind it
RING = HEAD + ".visible .entry k" + START + """
    mul.wide.u32 %rd2, %r0, 8; add.s64 %rd3, %rd0, %rd2; setp.eq.or.u32 q, %r0, 0, p; @q bra UP;
WAIT: ld.volatile.global.u32 %r4, [%rd3+-8]; setp.eq.u32 q, %r4, 0; @q bra WAIT;
UP: bar.sync 0; @p bra MEET; membar.gl; st.volatile.global.u32 [%rd3], 1;
MEET: bar.sync 0;
    add.u32 %r3, %r0, 1; setp.eq.or.u32 q, %r3, %r1, p; @q bra DOWN;
BACK: ld.volatile.global.u32 %r4, [%rd3+12]; setp.eq.u32 q, %r4, 0; @q bra BACK;
DOWN: bar.sync 0; @p bra DONE; membar.gl; st.volatile.global.u32 [%rd3+4], 1;
    mul.wide.u32 %rd4, %r0, 4; add.s64 %rd5, %rd1, %rd4; st.global.u32 [%rd5], %r3;
DONE: ret;
}
"""
# all threads ask, by a barrier that counts, whether the last block has set its flag
ASKED = HEAD + ".visible .entry k" + START + """
    add.u32 %r3, %r0, 1; setp.ne.or.u32 q, %r3, %r1, p; @q bra WAIT; st.release.gpu.global.u32 [%rd0], 1;
WAIT: mov.u32 %r4, 0; @p bra ASK; ld.acquire.gpu.global.u32 %r4, [%rd0];
ASK: setp.ne.u32 q, %r4, 0; barrier.sync.red.or.pred q, 0, q; @!q bra WAIT;
    @p bra DONE; mul.wide.u32 %rd2, %r0, 4; add.s64 %rd3, %rd1, %rd2; st.global.u32 [%rd3], %r3;
DONE: ret;
}
""".replace("barrier.sync.red.or.pred q, 0, q", "barrier.red.or.pred q, 0, q")
# a block adds what the one before it has found
LOOK_BACK = HEAD + ".visible .entry k" + START + """
    @p bra DONE; mul.wide.u32 %rd2, %r0, 4; add.s64 %rd3, %rd0, %rd2; add.s64 %rd4, %rd1, %rd2; mov.u32 %r5, 1; setp.eq.u32 q, %r0, 0; @q bra READY;
WAIT: ld.acquire.gpu.global.u32 %r4, [%rd3+-4]; setp.eq.u32 q, %r4, 0; @q bra WAIT; add.u32 %r5, %r4, 1;
READY: st.global.u32 [%rd4], %r5; st.release.gpu.global.u32 [%rd3], %r5;
DONE: ret;
}
"""
NOBODY = HEAD + ".visible .entry k" + START + """
WAIT: ld.volatile.global.u32 %r4, [%rd0]; setp.eq.u32 q, %r4, 0; @q bra WAIT; ret;
}
"""
HOW = [("cpu", "auto"), ("cpu", "dispatch"), ("interp", "auto")]


def kernel(text, device="cpu", mode="auto"):
    module = pj.load_ptx(text, device=device)
    module.mode = mode
    return module["k"]


def run(text, blocks, threads, flags, device="cpu", mode="auto", **how):
    flags, out = np.zeros(flags, np.uint32), np.zeros(blocks, np.uint32)
    kernel(text, device, mode).launch(flags, out, grid=blocks, block=threads, **how)
    return out


@pytest.mark.parametrize("device,mode", HOW)
@pytest.mark.parametrize("blocks,threads", [(2, 1), (9, 32), (40, 64), (200, 64)])
def test_a_block_waits_for_a_later_one(device, mode, blocks, threads):
    """Each for the next, so all are resident when the last one starts."""
    assert run(LATER, blocks, threads, blocks, device, mode).tolist() == list(range(blocks, 0, -1))


@pytest.mark.parametrize("device,mode", HOW)
def test_a_grid_barrier_in_a_plain_launch(device, mode):
    assert run(BARRIER, 150, 64, 1, device, mode).tolist() == [3] * 150


@pytest.mark.parametrize("mode", ["auto", "dispatch"])
def test_a_grid_barrier_of_many_blocks(mode):
    assert run(BARRIER, 2000, 32, 1, "cpu", mode).tolist() == [3] * 2000


@pytest.mark.parametrize("device,mode", HOW)
def test_a_ring_in_both_directions(device, mode):
    assert run(RING, 50, 64, 100, device, mode).tolist() == list(range(1, 51))


@pytest.mark.parametrize("device,mode", HOW)
def test_a_block_that_asks_at_a_barrier_lets_others_run(device, mode):
    """It moves from barrier to barrier for ever, and is no less waiting for that."""
    assert run(ASKED, 30, 64, 1, device, mode).tolist() == list(range(1, 31))


@pytest.mark.parametrize("mode", ["auto", "dispatch"])
@pytest.mark.parametrize("limit", [1, 2, 5])
def test_look_back_needs_no_more_blocks_than_are_resident(monkeypatch, mode, limit):
    monkeypatch.setattr(launch, "RESIDENT", limit)
    assert run(LOOK_BACK, 500, 32, 500, "cpu", mode).tolist() == list(range(1, 501))


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_any_number_of_threads(threads):
    before = launch.POOL.threads
    launch.POOL.set_threads(threads)
    try:
        assert run(LATER, 600, 64, 600).tolist() == list(range(600, 0, -1))
        assert run(LOOK_BACK, 600, 64, 600).tolist() == list(range(1, 601))
        assert run(BARRIER, 600, 64, 1).tolist() == [3] * 600
    finally:
        launch.POOL.set_threads(before)


@pytest.mark.parametrize("mode", ["auto", "dispatch"])
def test_clusters_wait_for_each_other(mode):
    assert run(LATER, 24, 32, 24, "cpu", mode, cluster=4).tolist() == list(range(24, 0, -1))


@pytest.mark.parametrize("mode", ["auto", "dispatch"])
def test_a_cooperative_launch_runs_on_all_threads(mode):
    assert run(BARRIER, 300, 64, 1, "cpu", mode, cooperative=True).tolist() == [3] * 300


def test_a_cooperative_launch_is_not_bound_by_the_limit_of_plain_ones(monkeypatch):
    monkeypatch.setattr(launch, "RESIDENT", 2)
    assert run(LATER, 50, 32, 50, cooperative=True).tolist() == list(range(50, 0, -1))


def test_what_is_resident_has_a_limit_in_bytes(monkeypatch):
    monkeypatch.setattr(launch, "LIMIT", 1 << 20)
    with pytest.raises(ResourceError, match="400 blocks must be resident together"):
        run(BARRIER, 400, 64, 1, cooperative=True)


def test_a_system_that_reserves_little_memory_has_fewer_blocks_resident(monkeypatch):
    def borrow(self, size):
        asked.append(size)
        if size > 100_000:
            raise MemoryError
        return launch.aligned(size)

    asked: list[int] = []
    monkeypatch.setattr(launch.Code, "borrow", borrow)
    assert run(LOOK_BACK, 500, 32, 500).tolist() == list(range(1, 501))
    assert len(asked) > 2 and asked[-1] <= 100_000
    with pytest.raises(ResourceError, match="500 blocks must be resident together and need"):
        run(LOOK_BACK, 500, 32, 500, cooperative=True)


def test_check_runs_it():
    flags, out = np.zeros(1, np.uint32), np.zeros(12, np.uint32)
    assert pj.check(BARRIER, "k", args=[flags, out], grid=12, block=64)


@pytest.mark.parametrize("mode", ["auto", "dispatch"])
def test_only_what_waits_takes_turns(mode):
    """Kernels that never wait have the code that they had."""
    for text, waits in ((LATER.replace("@q bra WAIT;\nREADY", "\nREADY"), False), (LATER, True)):
        k = kernel(text, mode=mode)
        k.compile()
        made = Dispatch(k.entry.kernel, mode=mode)
        assert k._code.waits is waits and ("@k.turn(" in made.text) is waits and ("@k.group(" in made.text) is not waits


@pytest.mark.parametrize("mode", ["auto", "dispatch"])
def test_a_deadlock_of_one_block_ends_the_launch_though_others_spin(mode):
    """Block 3 cannot go on by itself; those that wait for it are listed behind it."""
    text = LATER.replace("READY: bar.sync 0;", "READY: setp.ne.u32 q, %r0, 3; @q bra FINE; bar.sync 1, 128; FINE: bar.sync 0;")
    with pytest.raises(DeviceError, match="deadlock, no thread can go on") as e:
        run(text, 10, 64, 10, "cpu", mode)
    lines = str(e.value).splitlines()
    assert "block (3, 0, 0), warp 0" in lines[1] and "waits at a barrier" in lines[1]
    assert any("block (2, 0, 0), warp 0" in line and "spins (" in line for line in lines)


CTRL_C = """
import signal, numpy as np, ptxjit as pj
signal.signal(signal.SIGINT, signal.default_int_handler)  # a run in the background may ignore it
module = pj.load_ptx({text!r})
module.mode = {mode!r}
k = module["k"]
k.compile()
try:
    print("go", flush=True)
    k.launch(np.zeros(1, "u4"), np.zeros(64, "u4"), grid={grid}, block=64)
except KeyboardInterrupt as e:
    print("ended", *getattr(e, "__notes__", ()))
"""


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
@pytest.mark.parametrize("mode,grid,limit", [("auto", 64, 0), ("dispatch", 64, 0), ("auto", 6000, 0), ("auto", 64, 3)])
def test_ctrl_c_ends_what_waits_for_nobody(mode, grid, limit):
    text = CTRL_C.format(text=NOBODY, mode=mode, grid=grid)
    if limit:
        text = f"from ptxjit.targets.cpu import launch\nlaunch.RESIDENT = {limit}\n" + text
    p = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        assert p.stdout is not None and p.stdout.readline() == "go\n"
        time.sleep(2)
        p.send_signal(signal.SIGINT)
        out = p.communicate(timeout=60)[0]
    finally:
        p.kill()
    assert out.startswith("ended") and p.returncode == 0
    if sys.version_info >= (3, 11):
        assert "k was ended\n  block (" in out and ": spins (" in out and "at <ptx>:9:" in out


@pytest.mark.parametrize("cooperative", [False, True])
def test_accesses_are_tested_in_blocks_that_wait(cooperative):
    flags, out = np.zeros(30, np.uint32), np.zeros(30, np.uint32)
    k = pj.load_ptx(LATER, bounds=True)["k"]
    k.launch(flags, out, grid=30, block=64, cooperative=cooperative)
    assert out.tolist() == list(range(30, 0, -1))
    flags[:] = 0
    with pytest.raises(DeviceError, match=r"access out of bounds at address .* in block \(29, 0, 0\), thread 0"):
        k.launch(flags, out[:29], grid=30, block=64, cooperative=cooperative)
