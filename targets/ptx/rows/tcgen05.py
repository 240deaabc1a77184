"""9.7.16 Tensor Core 5th Generation Instructions."""
from __future__ import annotations

from .table import section

_ALL = """
    .cta_group = { .cta_group::1, .cta_group::2 }
    needs sm_100a 8.6
    later tensor memory
"""
section("9.7.16.7.1", "tcgen05.alloc", """
    tcgen05.alloc.cta_group.sync.aligned{.shared::cta}.b32  [dst], nCols;  where dst shared, nCols 32
""" + _ALL)  # fmt: skip
section("9.7.16.7.1", "tcgen05.dealloc", """
    tcgen05.dealloc.cta_group.sync.aligned.b32              taddr, nCols;  where nCols 32
""" + _ALL)  # fmt: skip
section("9.7.16.7.1", "tcgen05.relinquish_alloc_permit", """
    tcgen05.relinquish_alloc_permit.cta_group.sync.aligned;
""" + _ALL)  # fmt: skip
_SHAPES = """
    .shape1 = { .16x64b, .16x128b, .16x256b, .32x32b }
    .shape2 = { .16x32bx2 }
    .num    = { .x1, .x2, .x4, .x8, .x16, .x32, .x64, .x128 }
    not .16x128b & .x128, .16x256b & .x64 .x128
"""
section("9.7.16.8.3", "tcgen05.ld", """
    tcgen05.ld.sync.aligned.shape1.num{.pack::16b}.b32    r, [taddr];                    where r .num.b32, taddr tensor
    tcgen05.ld.sync.aligned.shape2.num{.pack::16b}.b32    r, [taddr], immHalfSplitoff;   where r .num.b32, taddr tensor, immHalfSplitoff 2
""" + _SHAPES + _ALL)  # fmt: skip
section("9.7.16.8.3", "tcgen05.ld.red", """
    tcgen05.ld.red.sync.aligned.shape3.num.redOp{.abs}{.NaN}.f32   r, redval, [taddr];                    where r .num.f32, redval f32
    tcgen05.ld.red.sync.aligned.shape4.num.redOp{.abs}{.NaN}.f32   r, redval, [taddr], immHalfSplitoff;   where r .num.f32, redval f32
    tcgen05.ld.red.sync.aligned.shape3.num.redOp.type              r, redval, [taddr];                    where r .num.b32, redval b32
    tcgen05.ld.red.sync.aligned.shape4.num.redOp.type              r, redval, [taddr], immHalfSplitoff;   where r .num.b32, redval b32
    operands taddr tensor, immHalfSplitoff 2
    .shape3 = { .32x32b   }
    .shape4 = { .16x32bx2 }
    .redOp  = { .min, .max }
    .type   = { .u32, .s32 }
    .num    = { .x2, .x4, .x8, .x16, .x32, .x64, .x128 }
    needs sm_103a 8.8
    later tensor memory
""")  # fmt: skip
section("9.7.16.8.4", "tcgen05.st", """
    tcgen05.st.sync.aligned.shape1.num{.unpack::16b}.b32    [taddr], r;                    where r .num.b32, taddr tensor
    tcgen05.st.sync.aligned.shape2.num{.unpack::16b}.b32    [taddr], immHalfSplitoff, r;   where r .num.b32, taddr tensor, immHalfSplitoff 2
""" + _SHAPES + _ALL)  # fmt: skip
section("9.7.16.8.5", "tcgen05.wait", """
    tcgen05.wait_operation.sync.aligned;
    .wait_operation = { .wait::ld, .wait::st }
""" + _ALL)  # fmt: skip
section("9.7.16.9.2", "tcgen05.cp", """
    tcgen05.cp.cta_group.shape{.dst_fmt.src_fmt}                 [taddr], s-desc;   where taddr tensor, s-desc b64
    tcgen05.cp.cta_group.64x128b.pairs{.dst_fmt.src_fmt}         [taddr], s-desc;   where taddr tensor, s-desc b64
    tcgen05.cp.cta_group.32x128b.warpx4{.dst_fmt.src_fmt}        [taddr], s-desc;   where taddr tensor, s-desc b64
    .src_fmt   = { .b6x16_p32 , .b4x16_p64 }
    .dst_fmt   = { .b8x16 }
    .shape     = { .128x256b, .4x256b, .128x128b }
    .pairs     = { .warpx2::02_13, .warpx2::01_23 }
""" + _ALL)  # fmt: skip
section("9.7.16.9.3", "tcgen05.shift", """
    tcgen05.shift.cta_group.down  [taddr];   where taddr tensor
""" + _ALL)  # fmt: skip
_MMA = """
    operands d-tmem tensor, a-tmem tensor, a-desc b64, b-desc b64, idesc b32, enable-input-d pred, scale-A-tmem tensor, scale-B-tmem tensor
    operands scale-input-d 1, sp-meta-tmem tensor, disable-output-lane lanes
    .kind         = { .kind::f16, .kind::tf32, .kind::f8f6f4 }
    .scaling      = { .kind::f16, .kind::tf32 }
    .scaled       = { .kind::mxf8f6f4, .kind::mxf4, .kind::mxf4nvf4 }
    .scale_vectorsize = { .scale_vec::1X, .scale_vec::2X, .scale_vec::4X, .block16, .block32 }
    .collector_usage  = { .collector::a::fill, .collector::a::use, .collector::a::lastuse, .collector::a::discard }
    not .kind::mxf8f6f4 & .scale_vec::2X .scale_vec::4X .block16, .kind::mxf4 & .scale_vec::1X .scale_vec::4X .block16
    not .kind::mxf4nvf4 & .scale_vec::1X
    only .kind::mxf4nvf4: .scale_vectorsize
    not .ashift & .collector::a::use .collector::a::fill
    needs sm_100a 8.7: .kind::mxf4nvf4
    needs sm_100a 8.8: .block16 .block32
"""


def _mma(name: str, meta: str) -> str:
    """The six kinds of a product, each with A behind a descriptor and in tensor memory."""
    out = []
    for a in ("a-desc", "[a-tmem]"):
        shift = "{.ashift}" if a[0] == "[" else ""
        head = f"[d-tmem], {a}, b-desc{meta}, idesc"
        out += [f"tcgen05.{name}.cta_group.kind{shift}{{.collector_usage}}  {head}, enable-input-d;",
                f"tcgen05.{name}.cta_group.kind{shift}{{.collector_usage}}  {head}, disable-output-lane, enable-input-d;",
                f"tcgen05.{name}.cta_group.scaling{shift}{{.collector_usage}}  {head}, enable-input-d, scale-input-d;",
                f"tcgen05.{name}.cta_group.scaling{shift}{{.collector_usage}}  {head}, disable-output-lane, enable-input-d, scale-input-d;",
                f"tcgen05.{name}.cta_group.scaled.block_scale{{.scale_vectorsize}}{{.collector_usage}}  "
                f"{head}, [scale-A-tmem], [scale-B-tmem], enable-input-d;",
                f"tcgen05.{name}.cta_group.kind::i8{shift}{{.collector_usage}}  {head}, enable-input-d;",
                f"tcgen05.{name}.cta_group.kind::i8{shift}{{.collector_usage}}  {head}, disable-output-lane, enable-input-d;"]  # fmt: skip
    return "\n".join(out)


def _ws(name: str, meta: str) -> str:
    return "\n".join(f"tcgen05.{name}.cta_group::1.wskind{{.ws_usage}}  [d-tmem], {a}, b-desc{meta}, idesc, enable-input-d{{, zero-column-mask-desc}};"
                     for a in ("a-desc", "[a-tmem]"))  # fmt: skip


_WS = """
    operands d-tmem tensor, a-tmem tensor, a-desc b64, b-desc b64, idesc b32, enable-input-d pred, sp-meta-tmem tensor, zero-column-mask-desc b64
    .wskind   = { .kind::f16, .kind::tf32, .kind::f8f6f4, .kind::i8 }
    .ws_usage = { .collector::b0::fill, .collector::b0::use, .collector::b0::lastuse, .collector::b0::discard, .collector::b1::fill, .collector::b1::use,
                  .collector::b1::lastuse, .collector::b1::discard, .collector::b2::fill, .collector::b2::use, .collector::b2::lastuse,
                  .collector::b2::discard, .collector::b3::fill, .collector::b3::use, .collector::b3::lastuse, .collector::b3::discard }
"""
section("9.7.16.10.9.1", "tcgen05.mma", _mma("mma", "") + _MMA + _ALL)
section("9.7.16.10.9.2", "tcgen05.mma.sp", _mma("mma.sp", ", [sp-meta-tmem]") + _MMA + _ALL)
section("9.7.16.10.9.3", "tcgen05.mma.ws", _ws("mma.ws", "") + _WS + _ALL)
section("9.7.16.10.9.4", "tcgen05.mma.ws.sp", _ws("mma.ws.sp", ", [sp-meta-tmem]") + _WS + _ALL)
section("9.7.16.11.1", "tcgen05.fence", """
    tcgen05.fence::before_thread_sync;
    tcgen05.fence::after_thread_sync;
""" + _ALL)  # fmt: skip
section("9.7.16.12.1", "tcgen05.commit", """
    tcgen05.commit.cta_group.mbarrier::arrive::one{.shared::cluster}.b64              [mbar];            where mbar bar
    tcgen05.commit.cta_group.mbarrier::arrive::one{.shared::cluster}.multicast::cluster.b64   [mbar], ctaMask;   where mbar bar, ctaMask b16
""" + _ALL)  # fmt: skip
