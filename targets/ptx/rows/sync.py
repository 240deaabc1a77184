"""9.7.13 Parallel Synchronization and Communication Instructions."""
from __future__ import annotations

from .table import section

section("9.7.13.1", "bar", """
    bar{.cta}.sync          a{, b};           where a u32, b 64
    bar{.cta}.arrive        a, b;             where a u32, b 64
    bar{.cta}.red.popc.u32  d, a{, b}, {!}c;  where b 64
    bar{.cta}.red.op.pred   p, a{, b}, {!}c;  where a u32, b 64
    .op = { .and, .or };
    needs sm_10 1.0
    needs sm_20 2.0: .arrive .red
    needs sm_30 7.8: .cta
""")
section("9.7.13.1", "barrier", """
    barrier{.cta}.sync{.aligned}          a{, b};           where a u32, b 64
    barrier{.cta}.arrive{.aligned}        a, b;             where a u32, b 64
    barrier{.cta}.red.popc{.aligned}.u32  d, a{, b}, {!}c;  where b 64
    barrier{.cta}.red.op{.aligned}.pred   p, a{, b}, {!}c;  where a u32, b 64
    .op = { .and, .or };
    needs sm_30 6.0
    needs sm_30 7.8: .cta
""")
section("9.7.13.2", "bar.warp.sync", """
    bar.warp.sync      membermask;  where membermask b32
    needs sm_30 6.0
""")
section("9.7.13.3", "barrier.cluster", """
    barrier.cluster.arrive{.sem}{.aligned};
    barrier.cluster.wait{.acquire}{.aligned};
    .sem = {.release, .relaxed}
    needs sm_90 7.8
    needs sm_90 8.0: .acquire .sem
""")
section("9.7.13.4", "membar", """
    membar.level;
    .level     = { .cta, .gl, .sys };
    needs sm_10 1.4
    needs sm_20 2.0: .sys
""")
section("9.7.13.4", "fence", """
    // Thread fence:
    fence{.sem}.scope;
    // Thread fence (restricted):
    fence.acquire.sync_restrict::shared::cluster.cluster;
    fence.release.sync_restrict::shared::cta.cluster;
    .sem       = { .sc, .acq_rel, .acquire, .release };
    .scope     = { .cta, .cluster, .gpu, .sys };
    needs sm_70 6.0
    needs sm_90 7.8: .cluster
    needs sm_90 8.6: .acquire .release
""")
section("9.7.13.4", "fence.proxy", """
    // Operation fence:
    fence.mbarrier_init.release.cluster;
    // Proxy fence (bi-directional):
    fence.proxy.proxykind;
    // Proxy fence (uni-directional):
    fence.proxy.to_proxykind::from_proxykind.release.scope;
    fence.proxy.to_proxykind::from_proxykind.acquire.scope  [addr], size;   where size 128
    fence.proxy.async::generic.acquire.sync_restrict::shared::cluster.cluster;
    fence.proxy.async::generic.release.sync_restrict::shared::cta.cluster;
    // Old style membar:
    membar.proxy.oldkind;
    .scope     = { .cta, .cluster, .gpu, .sys };
    .oldkind   = { .alias, .async };
    .proxykind = { .alias, .async, .async.global, .async.shared{::cta, ::cluster} };
    .to_proxykind::from_proxykind = {.tensormap::generic};
    not .async & .shared
    needs sm_70 7.5
    needs sm_90 8.0: .async .mbarrier_init
    needs sm_90 7.8: .cluster
    needs sm_90 8.3: .tensormap::generic
    needs sm_90 8.6: .async::generic
""")
_ATOM = """
    .space =              { .global, .shared{::cta, ::cluster} };
    .scope =              { .cta, .cluster, .gpu, .sys };
    .level::cache_hint =  { .L2::cache_hint };
    .bits  = { .and, .or, .xor };
    .btype = { .b32, .b64 };
    .count = { .inc, .dec };
    .order = { .min, .max };
    .itype = { .u32, .u64, .s32, .s64 };
    .atype = { .u32, .s32, .u64, .f32, .f64 };
    not .shared .shared::cta .shared::cluster & .L2::cache_hint
    needs sm_11 1.1
    needs sm_12 1.2: .shared
    needs sm_12 1.2: .u64 .b64 & .add .cas .exch
    needs sm_20 2.0: .u64 .b64 .f32 & .shared, .f32
    needs sm_32 3.1: .b64 .u64 .s64 & .and .or .xor .min .max
    needs sm_60 5.0: .f64, .scope
    needs sm_70 6.0: .sem
    needs sm_80 7.4: .L2::cache_hint
    needs sm_90 7.8: .cluster .shared::cluster
    needs sm_30 7.8: .shared::cta
"""
# The manual's .op.type: which operations go with which types stands in its prose.
section("9.7.13.5", "atom", """
    atom{.sem}{.scope}{.space}.bits{.level::cache_hint}.btype  d, [a], b{, cache-policy};
    atom{.sem}{.scope}{.space}.add{.level::cache_hint}.atype   d, [a], b{, cache-policy};
    atom{.sem}{.scope}{.space}.exch{.level::cache_hint}.btype  d, [a], b{, cache-policy};
    atom{.sem}{.scope}{.space}.count{.level::cache_hint}.u32   d, [a], b{, cache-policy};
    atom{.sem}{.scope}{.space}.order{.level::cache_hint}.itype d, [a], b{, cache-policy};
    atom{.sem}{.scope}{.space}.cas.btype                       d, [a], b, c;
    atom{.sem}{.scope}{.space}.cas.b16 d, [a], b, c;
    .sem =                { .relaxed, .acquire, .release, .acq_rel };
    needs sm_70 6.3: .b16
""" + _ATOM)  # fmt: skip
section("9.7.13.5", "atom of vectors, halves, 128 bits", """
    atom{.sem}{.scope}{.space}.cas.b128 d, [a], b, c;
    atom{.sem}{.scope}{.space}.exch{.level::cache_hint}.b128 d, [a], b{, cache-policy};
    atom{.sem}{.scope}{.space}.add.noftz{.level::cache_hint}.f16     d, [a], b{, cache-policy};
    atom{.sem}{.scope}{.space}.add.noftz{.level::cache_hint}.f16x2   d, [a], b{, cache-policy};
    atom{.sem}{.scope}{.space}.add.noftz{.level::cache_hint}.bf16    d, [a], b{, cache-policy};
    atom{.sem}{.scope}{.space}.add.noftz{.level::cache_hint}.bf16x2  d, [a], b{, cache-policy};
    atom{.sem}{.scope}{.global}.add{.level::cache_hint}.vec_32_bit.f32                  d, [a], b{, cache-policy};   where d .vec.f32, b .vec.f32
    atom{.sem}{.scope}{.global}.op.noftz{.level::cache_hint}.vec_16_bit.half_word_type  d, [a], b{, cache-policy};
        where d .vec.half_word_type, b .vec.half_word_type
    atom{.sem}{.scope}{.global}.op.noftz{.level::cache_hint}.vec_32_bit.packed_type     d, [a], b{, cache-policy};
        where d .vec.packed_type, b .vec.packed_type
    .sem =               { .relaxed, .acquire, .release, .acq_rel };
    .op =                { .add, .min, .max };
    .half_word_type =    { .f16, .bf16 };
    .packed_type =       { .f16x2, .bf16x2 };
    .vec_16_bit =        { .v2, .v4, .v8 }
    .vec_32_bit =        { .v2, .v4 };
    needs sm_60 6.2: .f16x2
    needs sm_70 6.3: .f16
    needs sm_90 7.8: .bf16 .bf16x2
    needs sm_90 8.1: .v2 .v4 .v8
    needs sm_90 8.3: .b128
    needs sm_90 8.4: .b128 & .sys
""" + _ATOM)  # fmt: skip
section("9.7.13.6", "red", """
    red{.sem}{.scope}{.space}.bits{.level::cache_hint}.btype   [a], b{, cache-policy};
    red{.sem}{.scope}{.space}.add{.level::cache_hint}.atype    [a], b{, cache-policy};
    red{.sem}{.scope}{.space}.count{.level::cache_hint}.u32    [a], b{, cache-policy};
    red{.sem}{.scope}{.space}.order{.level::cache_hint}.itype  [a], b{, cache-policy};
    red{.sem}{.scope}{.space}.add.noftz{.level::cache_hint}.f16    [a], b{, cache-policy};
    red{.sem}{.scope}{.space}.add.noftz{.level::cache_hint}.f16x2  [a], b{, cache-policy};
    red{.sem}{.scope}{.space}.add.noftz{.level::cache_hint}.bf16   [a], b{, cache-policy};
    red{.sem}{.scope}{.space}.add.noftz{.level::cache_hint}.bf16x2 [a], b{, cache-policy};
    red{.sem}{.scope}{.global}.add{.level::cache_hint}.vec_32_bit.f32 [a], b{, cache-policy};                      where b .vec.f32
    red{.sem}{.scope}{.global}.op.noftz{.level::cache_hint}.vec_16_bit.half_word_type [a], b{, cache-policy};      where b .vec.half_word_type
    red{.sem}{.scope}{.global}.op.noftz{.level::cache_hint}.vec_32_bit.packed_type [a], b{, cache-policy};         where b .vec.packed_type
    .sem =               { .relaxed, .release };
    .op =                { .add, .min, .max };
    .half_word_type =    { .f16, .bf16 };
    .packed_type =       { .f16x2, .bf16x2 };
    .vec_16_bit =        { .v2, .v4, .v8 }
    .vec_32_bit =        { .v2, .v4 };
    needs sm_60 6.2: .f16x2
    needs sm_70 6.3: .f16
    needs sm_90 7.8: .bf16 .bf16x2
    needs sm_90 8.1: .v2 .v4 .v8
""" + _ATOM)  # fmt: skip
section("9.7.13.7", "red.async", """
    red.async.relaxed.cluster{.ss}.mbarrier::complete_tx::bytes.count.u32     [a], b, [mbar];  where a shared::cluster, mbar shared::cluster
    red.async.relaxed.cluster{.ss}.mbarrier::complete_tx::bytes.order.otype   [a], b, [mbar];  where a shared::cluster, mbar shared::cluster
    red.async.relaxed.cluster{.ss}.mbarrier::complete_tx::bytes.bits.b32      [a], b, [mbar];  where a shared::cluster, mbar shared::cluster
    red.async.relaxed.cluster{.ss}.mbarrier::complete_tx::bytes.add.atype     [a], b, [mbar];  where a shared::cluster, mbar shared::cluster
    .ss    = { .shared::cluster };
    .count = { .inc, .dec };
    .order = { .min, .max };
    .otype = { .u32, .s32 };
    .bits  = { .and, .or, .xor };
    .atype = { .u32, .s32, .u64 };
    needs sm_90 8.1
""")
section("9.7.13.7", "red.async.release", """
    red.async{.mmio}.release.scope{.ss}.add.type [a], b;
    .scope = { .gpu, .sys };
    .ss    = { .global };
    .type  = { .u32, .s32, .u64, .s64 };
    not .mmio & .gpu
    needs sm_100 8.7
""")
section("9.7.13.8", "vote", """
    vote.mode.pred  d, {!}a;
    vote.ballot.b32 d, {!}a;  where a pred    // 'ballot' form, returns bitmask
    .mode = { .all, .any, .uni };
    needs sm_12 1.2
    needs sm_20 1.2: .ballot
""")
section("9.7.13.9", "vote.sync", """
    vote.sync.mode.pred  d, {!}a, membermask;  where membermask b32
    vote.sync.ballot.b32 d, {!}a, membermask;  where a pred    // 'ballot' form, returns bitmask
    .mode = { .all, .any, .uni };
    needs sm_30 6.0
""")
section("9.7.13.10", "match.sync", """
    match.any.sync.type  d, a, membermask;      where d b32, membermask b32
    match.all.sync.type  d[|p], a, membermask;  where d b32, membermask b32
    .type = { .b32, .b64 };
    needs sm_70 6.0
""")
section("9.7.13.11", "activemask", """
    activemask.b32 d;
    needs sm_30 6.2
""")
section("9.7.13.12", "redux.sync", """
    redux.sync.op.type dst, src, membermask;
    redux.sync.bop.b32 dst, src, membermask;
    .op   = {.add, .min, .max}
    .type = {.u32, .s32}
    .bop  = {.and, .or, .xor}
    needs sm_80 7.0
""")
section("9.7.13.12", "redux.sync.f32", """
    redux.sync.op{.abs}{.NaN}.f32 dst, src, membermask;  where membermask b32
    .op   = { .min, .max }
    needs sm_100a 8.6
""")
section("9.7.13.13", "griddepcontrol", """
    griddepcontrol.action;
    .action   = { .launch_dependents, .wait }
    needs sm_90 7.8
""")
section("9.7.13.14", "elect.sync", """
    elect.sync d|p, membermask;  where d b32, membermask b32
    needs sm_90 8.0
""")
section("9.7.13.15.9", "mbarrier.init", """
    mbarrier.init{.shared{::cta}}.b64 [addr], count;  where addr bar, count b32
    needs sm_80 7.0
    needs sm_80 7.8: .shared::cta
""")
section("9.7.13.15.10", "mbarrier.inval", """
    mbarrier.inval{.shared{::cta}}.b64 [addr];  where addr bar
    needs sm_80 7.0
    needs sm_80 7.8: .shared::cta
""")
section("9.7.13.15.11", "mbarrier.expect_tx", """
    mbarrier.expect_tx{.sem.scope}{.space}.b64 [addr], txCount;  where addr bar, txCount b32
    .sem   = { .relaxed }
    .scope = { .cta, .cluster }
    .space = { .shared{::cta, ::cluster} }
    needs sm_90 8.0
""")
section("9.7.13.15.12", "mbarrier.complete_tx", """
    mbarrier.complete_tx{.sem.scope}{.space}.b64 [addr], txCount;  where addr bar, txCount b32
    .sem   = { .relaxed }
    .scope = { .cta, .cluster }
    .space = { .shared{::cta, ::cluster} }
    needs sm_90 8.0
""")
_ARRIVE = """
    .sem   = { .release, .relaxed }
    .scope = { .cta, .cluster }
    needs sm_80 7.0
    needs sm_80 7.8: .shared::cta
    needs sm_80 8.0: .release .relaxed
    needs sm_90 8.0: .expect_tx .shared::cluster .cluster
    needs sm_90 8.6: .relaxed
"""
section("9.7.13.15.13", "mbarrier.arrive", """
    mbarrier.arrive{.shared{::cta}}.b64                             state, [addr];        where addr bar
    mbarrier.arrive.noComplete{.release.cta}{.shared{::cta}}.b64    state, [addr], count; where addr bar, count b32
    not .noComplete & .relaxed
""" + _ARRIVE)  # fmt: skip
section("9.7.13.15.13", "mbarrier.arrive.expect_tx", """
    mbarrier.arrive{.sem.scope}{.shared{::cta}}.b64               state, [addr]{, count};  where addr bar, count b32
    mbarrier.arrive{.sem.scope}.shared::cluster.b64               _, [addr]{, count};      where addr bar, count b32
    mbarrier.arrive.expect_tx{.sem.scope}{.shared{::cta}}.b64     state, [addr], txCount;  where addr bar, txCount b32
    mbarrier.arrive.expect_tx{.sem.scope}.shared::cluster.b64     _, [addr], txCount;      where addr bar, txCount b32
    needs sm_90 7.8
""" + _ARRIVE)  # fmt: skip
section("9.7.13.15.14", "mbarrier.arrive_drop", """
    mbarrier.arrive_drop{.shared{::cta}}.b64                           state, [addr];        where addr bar
    mbarrier.arrive_drop.noComplete{.release.cta}{.shared{::cta}}.b64  state, [addr], count; where addr bar, count b32
    mbarrier.arrive_drop{.sem.scope}{.shared{::cta}}.b64               state, [addr]{, count};  where addr bar, count b32;  needs sm_90 7.8
    mbarrier.arrive_drop{.sem.scope}.shared::cluster.b64               _, [addr]{, count};      where addr bar, count b32;  needs sm_90 8.0
    mbarrier.arrive_drop.expect_tx{.sem.scope}{.shared{::cta}}.b64     state, [addr], tx_count;  where addr bar, tx_count b32
    mbarrier.arrive_drop.expect_tx{.sem.scope}.shared::cluster.b64     _, [addr], tx_count;      where addr bar, tx_count b32
""" + _ARRIVE)  # fmt: skip
section("9.7.13.15.15", "cp.async.mbarrier.arrive", """
    cp.async.mbarrier.arrive{.noinc}{.shared{::cta}}.b64 [addr];  where addr bar
    needs sm_80 7.0
    needs sm_80 7.8: .shared::cta
""")
section("9.7.13.15.16", "mbarrier.test_wait", """
    mbarrier.test_wait{.sem.scope}{.shared{::cta}}.b64        waitComplete, [addr], state;        where waitComplete pred, addr bar
    mbarrier.test_wait.parity{.sem.scope}{.shared{::cta}}.b64 waitComplete, [addr], phaseParity;  where waitComplete pred, addr bar, phaseParity b32
    .sem   = { .acquire, .relaxed }
    .scope = { .cta, .cluster }
    needs sm_80 7.0
    needs sm_80 7.1: .parity
    needs sm_80 7.8: .shared::cta
    needs sm_80 8.0: .sem
    needs sm_90 8.0: .cluster
    needs sm_90 8.6: .relaxed
""")
section("9.7.13.15.16", "mbarrier.try_wait", """
    mbarrier.try_wait{.sem.scope}{.shared{::cta}}.b64         waitComplete, [addr], state{, suspendTimeHint};
        where waitComplete pred, addr bar, suspendTimeHint b32
    mbarrier.try_wait.parity{.sem.scope}{.shared{::cta}}.b64  waitComplete, [addr], phaseParity{, suspendTimeHint};
        where waitComplete pred, addr bar, phaseParity b32, suspendTimeHint b32
    .sem   = { .acquire, .relaxed }
    .scope = { .cta, .cluster }
    needs sm_90 7.8
    needs sm_90 8.0: .sem
    needs sm_90 8.6: .relaxed
""")  # fmt: skip
section("9.7.13.15.17", "mbarrier.pending_count", """
    mbarrier.pending_count.b64 count, state;  where count b32
    needs sm_80 7.0
""")
section("9.7.13.16", "tensormap.cp_fenceproxy", """
    tensormap.cp_fenceproxy.global.shared::cta.to_proxy::from_proxy.release.scope.sync.aligned  [dst], [src], size;  where dst global, src shared, size 128
    .to_proxy::from_proxy  = { .tensormap::generic }
    .scope            = { .cta, .cluster, .gpu , .sys }
    needs sm_90 8.3
    later tensor maps
""")
section("9.7.13.17", "clusterlaunchcontrol.try_cancel", """
    clusterlaunchcontrol.try_cancel.async{.space}.completion_mechanism{.multicast::cluster::all}.b128 [addr], [mbar];  where addr shared, mbar shared
    .completion_mechanism = { .mbarrier::complete_tx::bytes };
    .space = { .shared::cta };
    needs sm_100 8.6
    needs sm_100a 8.6: .multicast::cluster::all
""")
section("9.7.13.18", "clusterlaunchcontrol.query_cancel", """
    clusterlaunchcontrol.query_cancel.is_canceled.pred.b128 pred, try_cancel_response;   where pred pred
    clusterlaunchcontrol.query_cancel.get_first_ctaid.v4.b32.b128 d, try_cancel_response;   where d 4xb32
    clusterlaunchcontrol.query_cancel.dimension.b32.b128 reg, try_cancel_response;   where reg b32
    .dimension = { .get_first_ctaid::x, .get_first_ctaid::y, .get_first_ctaid::z };
    needs sm_100 8.6
""")
