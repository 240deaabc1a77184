"""Clusters cancelled before they start (PTX ISA 9.7.13.17–18): every block's work is done once, by itself or by who cancelled it."""
from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import ptxjit as pj  # noqa: E402
from ptxjit.ir.errors import PtxjitError, ReadError  # noqa: E402

MODES = pytest.mark.parametrize("mode", ["auto", "dispatch", "interp"])

PERSISTENT = """.version 9.1
.target sm_100a
.address_size 64
.visible .entry k(.param .u64 po, .param .u64 pw)
{
	.reg .pred p, q;  .reg .b32 i, x, y, z, w, n, r<4>;  .reg .b64 o, v, t;  .reg .b128 handle;
	.shared .align 16 .b8 response[16];  .shared .align 8 .b64 bar;
	ld.param.u64 o, [po];  ld.param.u64 v, [pw];  mov.u32 i, %tid.x;
	mov.u32 x, %ctaid.x;  mov.u32 y, %ctaid.y;  mov.u32 z, %ctaid.z;  mov.u32 n, 0;
	setp.eq.u32 p, i, 0;
	@p mbarrier.init.shared.b64 [bar], 1;
	bar.sync 0;
AGAIN:
	@p mbarrier.arrive.expect_tx.shared.b64 _, [bar], 16;
	@p clusterlaunchcontrol.try_cancel.async.shared::cta.mbarrier::complete_tx::bytes.b128 [response], [bar];
	mov.u32 r0, %nctaid.y;  mad.lo.u32 r0, z, r0, y;  mov.u32 r1, %nctaid.x;  mad.lo.u32 r0, r0, r1, x;
	mad.lo.u32 r1, r0, 32, i;  mul.wide.u32 t, r1, 4;  add.u64 t, t, o;
	red.global.add.u32 [t], 1;
	mul.wide.u32 t, r0, 4;  add.u64 t, t, v;
	mov.u32 r2, %ctaid.x;
	@p st.global.u32 [t], r2;
WAIT:
	mbarrier.try_wait.parity.shared.b64 q, [bar], n;
	@!q bra WAIT;
	xor.b32 n, n, 1;
	ld.shared.b128 handle, [response];
	clusterlaunchcontrol.query_cancel.is_canceled.pred.b128 q, handle;
	@!q bra DONE;
	@q clusterlaunchcontrol.query_cancel.get_first_ctaid.v4.b32.b128 {x, y, z, _}, handle;
	clusterlaunchcontrol.query_cancel.get_first_ctaid::y.b32.b128 y, handle;
	bar.sync 0;
	bra AGAIN;
DONE:
	ret;
}
"""

CLUSTERS = """.version 9.1
.target sm_100a
.address_size 64
.visible .entry k(.param .u64 po, .param .u64 pw)
{
	.reg .pred p, q, first, leader;  .reg .b32 i, x, y, n, r<6>;  .reg .b64 o, v, t, b;  .reg .b128 handle;
	.shared .align 16 .b8 room[16];  .shared .align 16 .b8 response[16];  .shared .align 8 .b64 bar;
	ld.param.u64 o, [po];  ld.param.u64 v, [pw];  mov.u32 i, %tid.x;  mov.u32 n, 0;
	mov.u32 x, %clusterid.x;  mov.u32 y, %clusterid.y;  mov.u32 r0, %cluster_nctaid.x;  mul.lo.u32 x, x, r0;  mov.u32 r0, %cluster_nctaid.y;  mul.lo.u32 y, y, r0;
	setp.eq.u32 first, i, 0;  mov.u32 r0, %cluster_ctarank;  setp.eq.and.u32 leader, r0, 0, first;
	@first mbarrier.init.shared.b64 [bar], 1;
	barrier.cluster.arrive;  barrier.cluster.wait;
AGAIN:
	@first mbarrier.arrive.expect_tx.relaxed.cluster.shared::cta.b64 _, [bar], 16;
	REQUEST
	mov.u32 r0, %cluster_ctaid.x;  add.u32 r0, r0, x;  mov.u32 r1, %cluster_ctaid.y;  add.u32 r1, r1, y;
	mov.u32 r2, %nctaid.x;  mad.lo.u32 r0, r1, r2, r0;
	mul.wide.u32 t, r0, 4;  add.u64 b, t, v;  add.u64 t, t, o;
	red.global.add.u32 [t], 1;
	mov.u32 r2, %clusterid.x;  mov.u32 r3, %clusterid.y;  mad.lo.u32 r2, r3, 1000, r2;
	@first st.global.u32 [b], r2;
WAIT:
	mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 q, [bar], n;
	@!q bra WAIT;
	xor.b32 n, n, 1;
	ld.shared.b128 handle, [response];
	clusterlaunchcontrol.query_cancel.is_canceled.pred.b128 q, handle;
	@!q bra DONE;
	clusterlaunchcontrol.query_cancel.get_first_ctaid::x.b32.b128 x, handle;
	clusterlaunchcontrol.query_cancel.get_first_ctaid::y.b32.b128 y, handle;
	barrier.cluster.arrive;  barrier.cluster.wait;
	bra AGAIN;
DONE:
	barrier.cluster.arrive;  barrier.cluster.wait;
	ret;
}
"""
SHARED = "@leader clusterlaunchcontrol.try_cancel.async.shared::cta.mbarrier::complete_tx::bytes.multicast::cluster::all.b128 [room+16], [bar];"
GENERIC = """cvta.shared.u64 t, response;  cvta.shared.u64 b, bar;
	@leader clusterlaunchcontrol.try_cancel.async.mbarrier::complete_tx::bytes.multicast::cluster::all.b128 [t], [b];"""


def loaded(text: str, mode: str):  # type: ignore[no-untyped-def]
    module = pj.load_ptx(text, device="interp" if mode == "interp" else "cpu")
    if mode != "interp":
        module.mode = mode
    return module["k"]


@MODES
@pytest.mark.parametrize("grid", [(1, 1, 1), (7, 1, 1), (3, 2, 4), (300, 1, 2)])
def test_every_block_once(grid: tuple[int, int, int], mode: str) -> None:
    if mode == "interp" and grid[0] > 100:
        grid = (40, 1, 2)
    n = grid[0] * grid[1] * grid[2]
    out, who = np.zeros((n, 32), np.uint32), np.full(n, 99999, np.uint32)
    loaded(PERSISTENT, mode)[grid, 32](out, who)
    assert (out == 1).all()
    assert who.max() < grid[0] and (n == 1 or len(set(who.tolist())) < n), "blocks were cancelled"


@MODES
@pytest.mark.parametrize("request_,cluster", [(SHARED, (2, 3)), (GENERIC, (4, 4))], ids=["shared", "generic"])
def test_clusters(request_: str, cluster: tuple[int, int], mode: str) -> None:
    x, y = cluster
    n = 6 * x * y
    out, who = np.zeros(n, np.uint32), np.full(n, 99999, np.uint32)
    loaded(CLUSTERS.replace("REQUEST", request_), mode).launch(out, who, grid=(3 * x, 2 * y, 1), block=32, cluster=(x, y, 1))
    assert (out == 32).all()
    by_cluster = who.reshape(2, y, 3, x).transpose(0, 2, 1, 3).reshape(6, x * y)
    assert (by_cluster == by_cluster[:, :1]).all(), "a cluster's blocks go to the blocks of one cluster"
    assert len(set(by_cluster[:, 0].tolist())) < 6


@MODES
def test_clusters_of_every_size(mode: str) -> None:
    kernel = loaded(CLUSTERS.replace("REQUEST", SHARED), mode)
    for n in range(1, 17):
        out, who = np.zeros(2 * n, np.uint32), np.full(2 * n, 99999, np.uint32)
        kernel.launch(out, who, grid=2 * n, block=32, cluster=n)
        assert (out == 32).all() and who.tolist() == [0] * 2 * n, n


def test_a_cooperative_launch_has_nothing_to_cancel() -> None:
    out, who = np.zeros((5, 32), np.uint32), np.zeros(5, np.uint32)
    loaded(PERSISTENT, "auto").launch(out, who, grid=5, block=32, cooperative=True)
    assert (out == 1).all() and who.tolist() == [0, 1, 2, 3, 4]


def test_check_finds_nothing_in_it() -> None:
    out, who = np.zeros((6, 32), np.uint32), np.zeros(6, np.uint32)
    report = pj.check(PERSISTENT, "k", args=[out, who], grid=6, block=32)
    assert report, report
    assert (out == 1).all()


def test_requests_assemble(ptxas) -> None:  # type: ignore[no-untyped-def]
    from ptxjit.targets.ptx.tools import assemble

    for text in (PERSISTENT, CLUSTERS.replace("REQUEST", SHARED), CLUSTERS.replace("REQUEST", GENERIC)):
        assemble(text, "sm_100a")


@pytest.mark.parametrize("statement", [
    "clusterlaunchcontrol.try_cancel.shared::cta.mbarrier::complete_tx::bytes.b128 [response], [bar]", "clusterlaunchcontrol.cancel.b128 [response], [bar]",
    "clusterlaunchcontrol.query_cancel.is_canceled.b32.b128 q, handle", "clusterlaunchcontrol.query_cancel.get_first_ctaid.b32.b128 x, handle",
])  # fmt: skip
def test_what_is_not_a_request(statement: str) -> None:
    text = PERSISTENT.replace("mov.u32 n, 0;", f"mov.u32 n, 0;\n\t{statement};")
    with pytest.raises(ReadError, match="clusterlaunchcontrol") as e:
        pj.load_ptx(text)["k"].compile()
    assert str(e.value.place).endswith(":10:2") and isinstance(e.value, PtxjitError)


# every thread asks once, by itself; what it is given is there at once
ALL_ASK = """.version 9.1
.target sm_100a
.address_size 64
.visible .entry k(.param .u64 po)
{
	.reg .pred q;  .reg .b32 i, x, r<4>;  .reg .b64 o, t;  .reg .b128 handle;  .shared .align 16 .b8 response[1024];  .shared .align 8 .b64 bar;
	ld.param.u64 o, [po];  mov.u32 i, %tid.x;  mov.u32 r0, response;  shl.b32 r1, i, 4;  add.u32 r0, r0, r1;  mbarrier.init.shared.b64 [bar], 1;
	clusterlaunchcontrol.try_cancel.async.shared::cta.mbarrier::complete_tx::bytes.b128 [r0], [bar];
	ld.shared.b128 handle, [r0];  clusterlaunchcontrol.query_cancel.is_canceled.pred.b128 q, handle;  mov.u32 x, 77;
	@q clusterlaunchcontrol.query_cancel.get_first_ctaid::x.b32.b128 x, handle;
	mov.u32 r2, %ctaid.x;  mad.lo.u32 r2, r2, 64, i;  mul.wide.u32 t, r2, 4;  add.u64 t, t, o;  st.global.u32 [t], x;
	ret;
}
"""


@pytest.mark.parametrize("mode", ["auto", "auto:16", "auto:8", "dispatch"])
def test_lanes_that_ask_together_are_given_blocks_in_their_order(mode: str) -> None:
    """Of 5 blocks the first runs; its threads 0 … 3 get blocks 4 … 1, and the others none."""
    out = np.full((5, 64), 99, np.uint32)
    loaded(ALL_ASK, mode)[5, 64](out)
    assert out[0].tolist() == [4, 3, 2, 1] + [77] * 60 and (out[1:] == 99).all()
