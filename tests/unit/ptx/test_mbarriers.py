"""mbarriers and clusters a warp at a time, lane by lane, and on the interpreter: the same results."""
from __future__ import annotations

import numpy as np
import pytest

import ptxjit as pj
from ptxjit.errors import DeviceError
from ptxjit.targets import target

HEAD = ".version 8.0\n.target sm_90\n.address_size 64\n"
HOW = [("cpu", "auto"), ("cpu", "dispatch"), ("interp", "auto"), ("cpu", "auto:16"), ("cpu", "auto:8"),
       *([("cpu:x86-64-v3", "auto")] if target("cpu:x86-64-v3").runs_kernels else [])]

# warp 2 elects a lane, which fills two stages by bulk copies; warps 0 and 1 wait for a stage, read it, and say that it is empty
PIPELINE = HEAD + """
.visible .entry k(.param .u64 a, .param .u64 out, .param .u32 n) {
    .shared .align 128 .b8 tile[512]; .shared .align 8 .b64 full[2]; .shared .align 8 .b64 empty[2];
    .reg .pred p, e; .reg .b32 %r<32>; .reg .b64 %rd<8>;
    ld.param.u64 %rd0, [a]; ld.param.u64 %rd1, [out]; ld.param.u32 %r0, [n];
    mov.u32 %r1, %tid.x; shr.u32 %r2, %r1, 5; shfl.sync.idx.b32 %r2|p, %r2, 0, 31, -1;
    mov.u32 %r20, tile; mov.u32 %r21, full; mov.u32 %r22, empty;
    setp.ne.u32 p, %r1, 0; @p bra READY;
    mbarrier.init.shared::cta.b64 [full], 1; mbarrier.init.shared::cta.b64 [full+8], 1;
    mbarrier.init.shared::cta.b64 [empty], 64; mbarrier.init.shared::cta.b64 [empty+8], 64; fence.mbarrier_init.release.cluster;
READY: bar.sync 0;
    mov.u32 %r3, 0; mov.u32 %r10, 0; setp.eq.u32 p, %r2, 2; @p bra PRODUCER;
CONSUMER: and.b32 %r4, %r3, 1; shr.u32 %r5, %r3, 1; and.b32 %r5, %r5, 1; shl.b32 %r6, %r4, 3; add.u32 %r7, %r21, %r6; add.u32 %r8, %r22, %r6;
FULL: mbarrier.try_wait.parity.shared::cta.b64 p, [%r7], %r5; @!p bra FULL;
    shl.b32 %r6, %r4, 8; add.u32 %r6, %r6, %r20; mad.lo.u32 %r6, %r1, 4, %r6; ld.shared.u32 %r9, [%r6]; mad.lo.u32 %r10, %r10, 3, %r9;
    mbarrier.arrive.shared::cta.b64 _, [%r8];
    add.u32 %r3, %r3, 1; setp.lt.u32 p, %r3, %r0; @p bra CONSUMER;
    mul.wide.u32 %rd2, %r1, 4; add.s64 %rd2, %rd1, %rd2; st.global.u32 [%rd2], %r10; bra END;
PRODUCER: elect.sync _|e, -1; @!e bra END;
NEXT: and.b32 %r4, %r3, 1; shr.u32 %r5, %r3, 1; and.b32 %r5, %r5, 1; xor.b32 %r5, %r5, 1; shl.b32 %r6, %r4, 3; add.u32 %r7, %r21, %r6; add.u32 %r8, %r22, %r6;
EMPTY: mbarrier.try_wait.parity.shared::cta.b64 p, [%r8], %r5; @!p bra EMPTY;
    mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r7], 256;
    shl.b32 %r6, %r4, 8; add.u32 %r6, %r6, %r20; mul.wide.u32 %rd3, %r3, 256; add.s64 %rd3, %rd0, %rd3;
    cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r6], [%rd3], 256, [%r7];
    add.u32 %r3, %r3, 1; setp.lt.u32 p, %r3, %r0; @p bra NEXT;
END: ret;
}
"""
FRAME = HEAD + """
.visible .entry k(.param .u64 out, .param .u32 count) {
    .shared .align 8 .b64 bars[64]; .reg .pred p, q; .reg .b32 %r<16>; .reg .b64 %rd<16>;
    ld.param.u64 %rd0, [out]; ld.param.u32 %r9, [count]; mov.u32 %r0, %tid.x; mul.wide.u32 %rd1, %r0, 4; add.s64 %rd0, %rd0, %rd1; mov.u32 %r1, bars;
    BODY
    st.global.u32 [%rd0], %r2;
    ret;
}
"""
INIT = "setp.ne.u32 p, %r0, 0; @p bra INITED; mbarrier.init.shared.b64 [%r1], %r9; INITED: bar.sync 0;"
STATES = FRAME.replace("BODY", INIT + """
    mbarrier.arrive.shared.b64 %rd2, [%r1]; bar.sync 0; mbarrier.test_wait.shared.b64 p, [%r1], %rd2; mbarrier.pending_count.b64 %r3, %rd2;
    selp.u32 %r2, 100, 0, p; add.u32 %r2, %r2, %r3;""")
TESTED = FRAME.replace("BODY", INIT + """
    mbarrier.arrive.shared.b64 %rd2, [%r1]; bar.sync 0; mbarrier.test_wait.shared.b64 p, [%r1], %rd2; selp.u32 %r2, 1, 0, p;""")
WAITED = FRAME.replace("BODY", INIT + """
    mov.u32 %r2, 0;
ROUND: mbarrier.arrive.shared.b64 %rd2, [%r1];
WAIT: mbarrier.try_wait.shared.b64 p, [%r1], %rd2; @!p bra WAIT;
    add.u32 %r2, %r2, 1; setp.lt.u32 p, %r2, 5; @p bra ROUND; add.u32 %r2, %r2, %r0;""")
DIVERGED = FRAME.replace("BODY", INIT + """
    and.b32 %r3, %r0, 3; setp.ne.u32 p, %r3, 1; @p bra PAST; mbarrier.arrive.shared.b64 _, [%r1], 2;
PAST: mbarrier.test_wait.parity.shared.b64 q, [%r1], 0; @!q bra PAST; selp.u32 %r2, 7, 0, q;""")
OWN = FRAME.replace("BODY", """
    mad.lo.u32 %r1, %r0, 8, %r1; and.b32 %r3, %r0, 3; add.u32 %r3, %r3, 1; mbarrier.init.shared.b64 [%r1], %r3; bar.sync 0;
    mbarrier.expect_tx.relaxed.cta.shared.b64 [%r1], 16; mbarrier.complete_tx.relaxed.cta.shared.b64 [%r1], 16;
    mbarrier.arrive.shared.b64 %rd2, [%r1]; mbarrier.test_wait.shared.b64 p, [%r1], %rd2; mbarrier.pending_count.b64 %r4, %rd2;
    mbarrier.arrive_drop.shared.b64 %rd3, [%r1]; mbarrier.test_wait.shared.b64 q, [%r1], %rd3; selp.u32 %r5, 20, 0, q;
    selp.u32 %r2, 10, 0, p; add.u32 %r2, %r2, %r4; add.u32 %r2, %r2, %r5; mbarrier.inval.shared.b64 [%r1];""")
NEVER = FRAME.replace("BODY", INIT + "mov.u32 %r2, 0;\nWAIT: mbarrier.try_wait.parity.shared.b64 p, [%r1], 0;\n @!p bra WAIT;")


def kernel(text, device="cpu", mode="auto"):
    module = pj.load_ptx(text, device=device.partition(":")[0])
    module.mode = mode
    if ":" in device:
        module.target = target(device)
    return module["k"]


def run(text, threads, count, device="cpu", mode="auto"):
    out = np.zeros(threads, np.uint32)
    kernel(text, device, mode)[1, threads](out, count)
    return out.tolist()


@pytest.mark.parametrize("device,mode", HOW)
@pytest.mark.parametrize("n", [1, 2, 3, 17])
def test_a_pipeline_of_a_producer_and_consumers(device, mode, n):
    a = np.random.default_rng(n).integers(0, 1 << 30, (n, 64), dtype=np.uint32)
    out, want = np.zeros(64, np.uint32), np.zeros(64, np.uint32)
    for row in a:
        want = want * np.uint32(3) + row
    k = kernel(PIPELINE, device, mode)
    k[1, 96](a, out, n)
    assert np.array_equal(out, want)
    if (device, mode) == ("cpu", "auto"):
        assert k.stats()["mode"] == "widened"


def test_check_finds_nothing_in_a_pipeline():
    assert pj.check(PIPELINE, "k", args=[np.ones((5, 64), np.uint32), np.zeros(64, np.uint32), 5], grid=1, block=96)


@pytest.mark.parametrize("device,mode", HOW)
@pytest.mark.parametrize("count", [17, 20, 32, 40, 64])
def test_states_of_lanes_that_arrive_together(device, mode, count):
    """Lane n gets the state before its own arrival, of the phase then; the first of a phase that is complete is no longer pending."""
    want = []
    for n in range(32):
        phase, pending = divmod(n, count)
        want.append(100 * (phase < 32 // count) + count - pending)
    assert run(STATES, 32, count, device, mode) == want
    assert run(TESTED, 32, count, device, mode) == [int(n // count < 32 // count) for n in range(32)]


@pytest.mark.parametrize("device,mode", HOW)
@pytest.mark.parametrize("threads", [32, 64, 96])
def test_all_threads_arrive_and_wait_for_their_state(device, mode, threads):
    assert run(WAITED, threads, threads, device, mode) == [5 + n for n in range(threads)]
    if (device, mode) == ("cpu", "auto"):
        assert kernel(WAITED).stats()["mode"] == "widened"


@pytest.mark.parametrize("device,mode", HOW)
def test_some_lanes_arrive_with_a_count(device, mode):
    assert run(DIVERGED, 64, 32, device, mode) == [7] * 64


@pytest.mark.parametrize("device,mode", HOW)
def test_each_lane_has_an_object_of_its_own(device, mode):
    """Expected n % 4 + 1: the first arrival completes phase 0 of the first; the second, which drops, that of the second, and phase 1 of the first."""
    want = []
    for n in range(32):
        c = n % 4 + 1
        want.append(10 * (c == 1) + c + 20 * (c <= 2))
    assert run(OWN, 32, 1, device, mode) == want


@pytest.mark.parametrize("device,mode", HOW)
def test_a_phase_that_nobody_completes_is_a_deadlock(device, mode):
    with pytest.raises(DeviceError, match="deadlock, no thread can go on") as e:
        run(NEVER, 64, 3, device, mode)
    assert all(f"block (0, 0, 0), warp {w}, all lanes: spins (" in str(e.value) for w in (0, 1)) and str(e.value).startswith(("<ptx>:9:", "<ptx>:10:"))


def test_waits_on_mbarriers_claim_no_other_blocks():
    k = kernel(PIPELINE)
    k.compile()
    assert k._code.spins and not k._code.waits


# ---- clusters, 128 bits, spaces -------------------------------------------------------------------------------------

# each block's threads write to a place in every block of the cluster, by mapa and by generic addresses, then add atomically; a diverged lane arrives early
CLUSTER = HEAD + """
.visible .entry k(.param .u64 out) {
    .shared .align 16 .b8 box[512]; .shared .align 4 .b32 sum; .reg .pred p, q; .reg .b32 %r<24>; .reg .b64 %rd<16>;
    ld.param.u64 %rd0, [out]; mov.u32 %r0, %tid.x; mov.u32 %r1, %cluster_ctarank; mov.u32 %r2, %cluster_nctarank; mov.u32 %r3, %ctaid.x;
    mov.u32 %r4, box; mov.u32 %r5, sum; setp.ne.u32 p, %r0, 0; @!p st.shared.u32 [sum], %r1;
    setp.lt.u32 p, %r0, 5; @p bra EARLY; barrier.cluster.arrive; bra WAIT;
EARLY: barrier.cluster.arrive;
WAIT: barrier.cluster.wait;
    rem.u32 %r6, %r0, %r2; mad.lo.u32 %r7, %r0, 4, %r4; mapa.shared::cluster.u32 %r8, %r7, %r6; mad.lo.u32 %r9, %r3, 1000, %r0;
    shl.b32 %r10, %r1, 7; add.u32 %r8, %r8, %r10; st.shared::cluster.u32 [%r8], %r9;
    cvt.u64.u32 %rd1, %r5; cvta.shared.u64 %rd1, %rd1; mapa.u64 %rd2, %rd1, %r6; atom.add.u32 %r11, [%rd2], 1;
    mapa.shared::cluster.u32 %r12, %r5, %r6; red.shared::cluster.add.u32 [%r12], 100; getctarank.u64 %r13, %rd2;
    isspacep.shared::cluster p, %rd2; isspacep.shared::cta q, %rd2; selp.u32 %r14, 10, 0, p; selp.u32 %r15, 1, 0, q; add.u32 %r14, %r14, %r15;
    barrier.cluster.arrive.release; barrier.cluster.wait.acquire;
    mad.lo.u32 %r16, %r3, %ntid.x, %r0; mul.wide.u32 %rd3, %r16, 16; add.s64 %rd3, %rd0, %rd3;
    and.b32 %r17, %r0, 124; add.u32 %r17, %r17, %r1; ld.shared.u32 %r18, [%r7]; ld.shared.u32 %r19, [sum];
    st.global.v4.u32 [%rd3], {%r18, %r19, %r13, %r14};
    ret;
}
""".replace("mov.u32 %r4, box;", "mov.u32 %r4, box; mov.u32 %r20, %ntid.x;").replace("%r3, %ntid.x, %r0", "%r3, %r20, %r0")
SPACES = HEAD + """
.visible .entry k(.param .u64 a, .param .u64 out) {
    .local .align 8 .b8 own[16]; .shared .align 8 .b8 cells[256]; .reg .pred p; .reg .b32 %r<16>; .reg .b64 %rd<16>;
    ld.param.u64 %rd0, [a]; ld.param.u64 %rd1, [out]; mov.u32 %r0, %tid.x; mul.wide.u32 %rd2, %r0, 8;
    mov.u64 %rd3, cells; cvta.shared.u64 %rd3, %rd3; mov.u64 %rd4, own; cvta.local.u64 %rd4, %rd4; add.s64 %rd3, %rd3, %rd2; add.s64 %rd5, %rd0, %rd2;
    rem.u32 %r1, %r0, 3; setp.eq.u32 p, %r1, 0; selp.b64 %rd6, %rd3, %rd4, p; setp.eq.u32 p, %r1, 1; selp.b64 %rd6, %rd5, %rd6, p;
    cvt.u64.u32 %rd7, %r0; st.u64 [%rd6], %rd7; mov.u32 %r2, 0;
    isspacep.shared p, %rd6; selp.u32 %r3, 1, 0, p; or.b32 %r2, %r2, %r3; isspacep.global p, %rd6; selp.u32 %r3, 2, 0, p; or.b32 %r2, %r2, %r3;
    isspacep.local p, %rd6; selp.u32 %r3, 4, 0, p; or.b32 %r2, %r2, %r3; isspacep.const p, %rd6; selp.u32 %r3, 8, 0, p; or.b32 %r2, %r2, %r3;
    ld.u64 %rd8, [%rd6]; cvt.u32.u64 %r4, %rd8; mad.lo.u32 %r2, %r4, 16, %r2; mul.wide.u32 %rd9, %r0, 4; add.s64 %rd9, %rd1, %rd9; st.global.u32 [%rd9], %r2;
    ret;
}
"""
WIDE = HEAD + """
.visible .entry k(.param .u64 a, .param .u64 out, .param .u64 cell) {
    .reg .pred p; .reg .b32 %r<8>; .reg .b64 %rd<16>; .reg .b128 x, y, z;
    ld.param.u64 %rd0, [a]; ld.param.u64 %rd1, [out]; ld.param.u64 %rd8, [cell]; mov.u32 %r0, %tid.x; xor.b32 %r1, %r0, 5;
    mul.wide.u32 %rd2, %r0, 16; mul.wide.u32 %rd3, %r1, 16; add.s64 %rd4, %rd0, %rd3; add.s64 %rd5, %rd1, %rd2;
    ld.global.b128 x, [%rd4]; mov.b128 {%rd6, %rd7}, x; add.s64 %rd6, %rd6, 1; mov.b128 y, {%rd7, %rd6};
    and.b32 %r2, %r0, 1; setp.eq.u32 p, %r2, 0; @p st.global.b128 [%rd5], y;
    mov.u64 %rd9, 0; mov.b128 z, {%rd9, %rd9}; mov.b128 x, {%rd2, %rd3}; atom.global.b128.exch y, [%rd8], x; mov.b128 {%rd6, %rd7}, y;
    @!p st.global.b128 [%rd5], y;
    ret;
}
""".replace(".version 8.0", ".version 8.4")


@pytest.mark.parametrize("device,mode", HOW)
@pytest.mark.parametrize("size", [1, 2, 4])
def test_blocks_of_a_cluster_reach_each_other(device, mode, size):
    """Thread t of block b writes its number into block t % size, in row b."""
    threads, blocks = 32, 4
    out = np.zeros((blocks, threads, 4), np.uint32)
    k = kernel(CLUSTER, device, mode)
    k.launch(out, grid=blocks, block=threads, cluster=size)
    t = np.arange(threads)
    for b in range(blocks):
        rank, first = b % size, b - b % size
        own = t % size == rank
        assert np.array_equal(out[b, own, 0], (first * 1000 + t)[own])  # row 0 is the first block's
        assert (out[b, :, 1] == rank + 101 * size * own.sum()).all() and np.array_equal(out[b, :, 2], t % size)
        assert np.array_equal(out[b, :, 3], 10 + own)
    if mode.startswith("auto") and device != "interp":
        assert k.stats()["mode"] == "widened"


@pytest.mark.parametrize("device,mode", HOW)
def test_spaces_of_addresses_that_differ_between_lanes(device, mode):
    a, out = np.zeros(32, np.uint64), np.zeros(32, np.uint32)
    k = kernel(SPACES, device, mode)
    k[1, 32](a, out)
    assert out.tolist() == [16 * n + (1, 2, 4)[n % 3] for n in range(32)]
    if mode.startswith("auto") and device != "interp":
        assert k.stats()["mode"] == "widened"


@pytest.mark.parametrize("device,mode", HOW)
def test_128_bits_in_memory(device, mode):
    rng = np.random.default_rng(1)
    a, out, cell = rng.integers(0, 1 << 63, (32, 2), dtype=np.uint64), np.zeros((32, 2), np.uint64), np.zeros(4, np.uint64)
    cell = cell[-cell.ctypes.data // 8 % 2 :][:2]
    cell[:] = 9, 8
    k = kernel(WIDE, device, mode)
    k[1, 32](a, out, cell)
    for n in range(32):
        low, high = a[n ^ 5]
        before = [9, 8] if n == 0 else [16 * (n - 1), 16 * ((n - 1) ^ 5)]
        assert out[n].tolist() == ([int(high), int(low) + 1] if n % 2 == 0 else before)
    assert cell.tolist() == [16 * 31, 16 * (31 ^ 5)]
    if mode.startswith("auto") and device != "interp":
        assert k.stats()["mode"] == "widened"
