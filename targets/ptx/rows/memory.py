"""9.7.9.8–18 and 9.7.9.25–28: loads, stores, hints, copies."""
from __future__ import annotations

from .table import section

_EVICT = """
    .level1::eviction_priority = { .L1::evict_normal, .L1::evict_unchanged,
                                   .L1::evict_first, .L1::evict_last, .L1::no_allocate };
    .level2::eviction_priority = { .L2::evict_normal, .L2::evict_first, .L2::evict_last };
    .level::cache_hint =        { .L2::cache_hint };
"""
_TYPES = """
    .vec =                      { .v2, .v4, .v8 };
    .type =                     { .b8, .b16, .b32, .b64, .b128,
                                  .u8, .u16, .u32, .u64,
                                  .s8, .s16, .s32, .s64,
                                  .f32, .f64 };
    not .v2 .v4 .v8 & .b128
    .wide = { .b64, .u64, .s64, .f64 };
    .narrow = { .b8, .u8, .s8, .b16, .u16, .s16 };
    .near = { .const, .local, .param, .param::entry, .param::func, .shared, .shared::cta, .shared::cluster };
    not .v8 & .narrow .wide
    not .near & .L2::64B .L2::128B .L2::256B .L2::cache_hint .v8 .L1::evict_normal .L1::evict_unchanged .L1::evict_first .L1::evict_last .L1::no_allocate
    not .near & .v4 & .wide
    only .L2::evict_normal .L2::evict_first .L2::evict_last: .v8, .v4 & .wide
"""
_SINCE = """
    needs sm_20 2.0
    needs sm_70 6.0: .weak .relaxed .acquire .release
    needs sm_70 7.4: .level1::eviction_priority
    needs sm_75 7.4: .L2::64B .L2::128B
    needs sm_80 7.4: .L2::256B .L2::cache_hint
    needs sm_90 7.8: .cluster .shared::cluster
    needs sm_30 7.8: .shared::cta
    needs sm_70 8.2: .mmio
    needs sm_20 8.3: .param::entry .param::func
    needs sm_70 8.3: .b128
    needs sm_70 8.4: .b128 & .sys
    needs sm_100 8.8: .level2::eviction_priority, .v8, .v4 & .b64 .u64 .s64 .f64
    needs sm_20 9.1: .volatile & .local
"""
section("9.7.9.8", "ld", """
    ld{.weak}{.ss}{.cop}{.level::cache_hint}{.level::prefetch_size}{.vec}.type  d, [a]{.unified}{, cache-policy};  where d .vec.type
    ld{.weak}{.ss}{.level1::eviction_priority}{.level2::eviction_priority}{.level::cache_hint}{.level::prefetch_size}{.vec}.type
        d, [a]{.unified}{, cache-policy};
        where d .vec.type
    ld.volatile{.vss}{.level::prefetch_size}{.vec}.type  d, [a];  where d .vec.type
    ld.relaxed.scope{.rss}{.level1::eviction_priority}{.level2::eviction_priority}{.level::cache_hint}{.level::prefetch_size}{.vec}.type
        d, [a]{, cache-policy};
        where d .vec.type
    ld.acquire.scope{.rss}{.level1::eviction_priority}{.level2::eviction_priority}{.level::cache_hint}{.level::prefetch_size}{.vec}.type
        d, [a]{, cache-policy};
        where d .vec.type
    ld.mmio.relaxed.sys{.global}.type  d, [a];
    .ss =                       { .const, .global, .local, .param{::entry, ::func}, .shared{::cta, ::cluster} };
    .cop =                      { .ca, .cg, .cs, .lu, .cv };
    .level::prefetch_size =     { .L2::64B, .L2::128B, .L2::256B }
    .vss =                      { .global, .local, .shared{::cta, ::cluster} };   // volatile accesses
    .rss =                      { .global, .shared{::cta, ::cluster} };           // strong accesses
    .scope =                    { .cta, .cluster, .gpu, .sys };
    not .unified & .near
    needs sm_90 8.0: .unified
""" + _EVICT + _TYPES + _SINCE)  # fmt: skip
section("9.7.9.9", "ld.global.nc", """
    ld.global{.cop}.nc{.level::cache_hint}{.level::prefetch_size}{.vec}.type             d, [a]{, cache-policy};  where d .vec.type
    ld.global.nc{.level1::eviction_priority}{.level2::eviction_priority}{.level::cache_hint}{.level::prefetch_size}{.vec}.type  d, [a]{, cache-policy};
        where d .vec.type
    .cop  =                     { .ca, .cg, .cs };     // cache operation
    .level::prefetch_size =     { .L2::64B, .L2::128B, .L2::256B }
    needs sm_32 3.1
""" + _EVICT + _TYPES + _SINCE)  # fmt: skip
section("9.7.9.10", "ldu", """
    ldu{.ss}.type      d, [a];       // load from address
    ldu{.ss}.vec.type  d, [a];       where d .vec.type    // vec load from address
    .ss   = { .global };             // state space
    not .v4 & .wide
""" + _TYPES.replace(", .v8 }", " }") + _SINCE)  # fmt: skip
section("9.7.9.11", "st", """
    st{.weak}{.ss}{.cop}{.level::cache_hint}{.vec}.type   [a], b{, cache-policy};  where b .vec.type
    st{.weak}{.ss}{.level1::eviction_priority}{.level2::eviction_priority}{.level::cache_hint}{.vec}.type    [a], b{, cache-policy};  where b .vec.type
    st.volatile{.vss}{.vec}.type                           [a], b;  where b .vec.type
    st.relaxed.scope{.rss}{.level1::eviction_priority}{.level2::eviction_priority}{.level::cache_hint}{.vec}.type   [a], b{, cache-policy};
        where b .vec.type
    st.release.scope{.rss}{.level1::eviction_priority}{.level2::eviction_priority}{.level::cache_hint}{.vec}.type   [a], b{, cache-policy};
        where b .vec.type
    st.mmio.relaxed.sys{.global}.type         [a], b;
    .ss =                       { .global, .local, .param{::func}, .shared{::cta, ::cluster} };
    .vss =                      { .global, .local, .shared{::cta, ::cluster} };
    .rss =                      { .global, .shared{::cta, ::cluster} };
    .cop =                      { .wb, .cg, .cs, .wt };
    .scope =                    { .cta, .cluster, .gpu, .sys };
""" + _EVICT + _TYPES + _SINCE)  # fmt: skip
section("9.7.9.12", "st.async", """
    st.async{.weak}{.ss}.completion_mechanism{.vec}.type [a], b, [mbar];   where b .vec.type, a shared::cluster, mbar shared::cluster
    st.async{.scope}{.ss}.completion_mechanism{.vec}.type [a], b, [mbar];  where b .vec.type, a shared::cluster, mbar shared::cluster
    .scope =                { .cluster };
    .ss   =                 { .shared::cluster };
    .type =                 { .b32, .b64,
                              .u32, .u64,
                              .s32, .s64,
                              .f32, .f64 };
    .vec  =                 { .v2, .v4 };
    not .v4 & .b64 .u64 .s64 .f64
    .completion_mechanism = { .mbarrier::complete_tx::bytes };
    needs sm_90 8.1
    needs sm_100 8.7: .scope
""")
section("9.7.9.12", "st.async.release", """
    st.async{.mmio}.sem.scope{.ss}.type [a], b;
    st.async{.mmio}.sem.scope{.ss}.small [a], b;   where b b8
    .sem =                  { .release };
    .scope =                { .gpu, .sys };
    .ss =                   { .global };
    .type =                 { .b16, .b32, .b64,
                              .u16, .u32, .u64,
                              .s16, .s32, .s64,
                              .f32, .f64 };
    .small =                { .b8, .u8, .s8 };
    not .mmio & .gpu
    needs sm_100 8.7
""")
section("9.7.9.13", "st.bulk", """
    st.bulk{.weak}{.shared::cta}  [a], size, initval;  where a shared32, size b64, initval 0   // initval must be zero
    needs sm_100 8.6
""")
_MULTIMEM = """
    .ss =       { .global }
    .ldsem =    { .relaxed, .acquire }
    .stsem =    { .relaxed, .release }
    .redsem =   { .relaxed, .release }
    .scope =    { .cta, .cluster, .gpu, .sys }
    .op  =      { .min, .max, .add, .and, .or, .xor }
    .fop  =     { .min, .max, .add }
    .redop  =   { .add }
    .acc_prec = { .acc::f32, .acc::f16 }
    .vec =      { .v2, .v4, .v8 }
    .type =     { .b32, .b64,  .u32, .u64, .s32, .s64 }
    .ftype =    { .f16, .f16x2, .bf16, .bf16x2, .f32, .f64, .e5m2, .e5m2x2, .e5m2x4, .e4m3, .e4m3x2, .e4m3x4 }
    .redtype =  { .f16, .f16x2, .bf16, .bf16x2, .f32, .f64 }
    .bits =     { .and, .or, .xor }
    .small =    { .e5m2, .e5m2x2, .e5m2x4, .e4m3, .e4m3x2, .e4m3x4 }
    .half =     { .f16, .bf16, .f16x2, .bf16x2 }
    .single =   { .f16, .bf16, .e5m2, .e4m3, .e5m2x2, .e4m3x2 }
    not .bits & .u32 .u64 .s32 .s64
    not .b32 .b64 & .min .max .add
    not .s64 & .add
    not .min .max & .f32 .f64
    not .vec & .f64
    not .v8 & .f32 .f16x2 .bf16x2 .e5m2x2 .e4m3x2 .e5m2x4 .e4m3x4
    not .v4 & .e5m2x4 .e4m3x4, .v2 & .e5m2 .e4m3
    not .acc::f32 & .f32 .f64 .small, .acc::f16 & .half .f32 .f64
    only .acc::f32 .acc::f16: .add
    needs sm_90 8.1
    needs sm_90 8.2: .acc::f32
    needs sm_100a 8.6: .small .acc::f16
    later multicast memory
"""
section("9.7.9.14", "multimem.ld_reduce", """
    multimem.ld_reduce{.ldsem.scope}{.ss}.op.type      d, [a];
    multimem.ld_reduce.weak{.ss}.op.type                 d, [a];
    multimem.ld_reduce{.ldsem.scope}{.ss}.fop{.acc_prec}{.vec}.ftype    d, [a];  where d .vec.ftype
    multimem.ld_reduce.weak{.ss}.fop{.acc_prec}{.vec}.ftype               d, [a];  where d .vec.ftype
    not .single & .ld_reduce
""" + _MULTIMEM)  # fmt: skip
section("9.7.9.14", "multimem.st", """
    multimem.st{.stsem.scope}{.ss}.type                [a], b;
    multimem.st.weak{.ss}.type                           [a], b;
    multimem.st{.stsem.scope}{.ss}{.vec}.ftype                         [a], b;  where b .vec.ftype
    multimem.st.weak{.ss}{.vec}.ftype                                    [a], b;  where b .vec.ftype
    not .single & .st
""" + _MULTIMEM)  # fmt: skip
section("9.7.9.14", "multimem.red", """
    multimem.red{.redsem.scope}{.ss}.op.type           [a], b;
    multimem.red{.redsem.scope}{.ss}.redop{.vec}.redtype              [a], b;  where b .vec.redtype
    not .single & .red
""" + _MULTIMEM)  # fmt: skip
section("9.7.9.15", "prefetch", """
    prefetch{.space}.level                    [a];   // prefetch to data cache
    prefetch.global.level::eviction_priority  [a];   // prefetch to data cache
    prefetch{.tensormap_space}.tensormap      [a];   // prefetch the tensormap
    .space =                    { .global, .local };
    .level =                    { .L1, .L2 };
    .level::eviction_priority = { .L2::evict_last, .L2::evict_normal };
    .tensormap_space =          { .const, .param };
    needs sm_20 2.0
    needs sm_80 7.4: .level::eviction_priority
    needs sm_90 8.0: .tensormap
""")
section("9.7.9.15", "prefetchu", """
    prefetchu.L1  [a];             // prefetch to uniform cache
    needs sm_20 2.0
""")
section("9.7.9.16", "applypriority", """
    applypriority{.global}.level::eviction_priority  [a], size;  where size 128
    .level::eviction_priority = { .L2::evict_normal };
    needs sm_80 7.4
""")
section("9.7.9.17", "discard", """
    discard{.global}.level  [a], size;  where size 128
    .level = { .L2 };
    needs sm_80 7.4
""")
section("9.7.9.18", "createpolicy", """
    // Range-based policy
    createpolicy.range{.global}.level::primary_priority{.level::secondary_priority}.b64   cache-policy, [a], primary-size, total-size;
        where primary-size b32, total-size b32
    // Fraction-based policy
    createpolicy.fractional.level::primary_priority{.level::secondary_priority}.b64       cache-policy{, fraction};  where fraction 1.0
    // Converting the access property from CUDA APIs
    createpolicy.cvt.L2.b64            cache-policy, access-property;
    .level::primary_priority =   { .L2::evict_last, .L2::evict_normal,
                                   .L2::evict_first, .L2::evict_unchanged };
    .level::secondary_priority = { .L2::evict_first, .L2::evict_unchanged };
    needs sm_80 7.4
""")  # fmt: skip
section("9.7.9.25.3.1", "cp.async", """
    cp.async.ca.shared{::cta}.global{.level::cache_hint}{.level::prefetch_size}   [dst], [src], cp-size{, src-size}{, cache-policy};
        where dst shared, src global, cp-size 4, src-size b32
    cp.async.cg.shared{::cta}.global{.level::cache_hint}{.level::prefetch_size}   [dst], [src], 16{, src-size}{, cache-policy};
        where dst shared, src global, src-size b32
    .level::cache_hint =     { .L2::cache_hint }
    .level::prefetch_size =  { .L2::64B, .L2::128B, .L2::256B }
    needs sm_80 7.0
    needs sm_80 7.4: .L2::cache_hint .level::prefetch_size
    needs sm_80 7.8: .shared::cta
""")  # fmt: skip
section("9.7.9.25.3.2", "cp.async.commit_group", """
    cp.async.commit_group;
    needs sm_80 7.0
""")
section("9.7.9.25.3.3", "cp.async.wait_group", """
    cp.async.wait_group N;  where N 2
    needs sm_80 7.0
""")
section("9.7.9.25.3.3", "cp.async.wait_all", """
    cp.async.wait_all;
    needs sm_80 7.0
""")
section("9.7.9.25.4.1", "cp.async.bulk", """
    // global -> shared::cta
    cp.async.bulk.shared::cta.global.mbarrier::complete_tx::bytes{.level::cache_hint}   [dstMem], [srcMem], size, [mbar]{, cache-policy};
        where dstMem shared, srcMem global, mbar shared, size b32
    // global -> shared::cluster
    cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes{.multicast}{.level::cache_hint}
        [dstMem], [srcMem], size, [mbar]{, ctaMask}{, cache-policy};
        where dstMem shared, srcMem global, mbar shared, size b32, ctaMask b16
    // shared::cta -> shared::cluster
    cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [dstMem], [srcMem], size, [mbar];
        where dstMem shared::cluster, srcMem shared, mbar shared::cluster, size b32
    // shared::cta -> global
    cp.async.bulk.global.shared::cta.bulk_group{.level::cache_hint}   [dstMem], [srcMem], size{, cache-policy};
        where dstMem global, srcMem shared, size b32
    .level::cache_hint =    { .L2::cache_hint }
    .multicast =            { .multicast::cluster  }
    needs sm_90 8.0
    needs sm_90 8.6: .global & .shared::cta & .mbarrier::complete_tx::bytes
""")  # fmt: skip
section("9.7.9.25.4.1", "cp.async.bulk.cp_mask", """
    cp.async.bulk.global.shared::cta.bulk_group{.level::cache_hint}.cp_mask   [dstMem], [srcMem], size{, cache-policy}, byteMask;
        where dstMem global, srcMem shared, size b32, byteMask b16
    .level::cache_hint =    { .L2::cache_hint }
    needs sm_100 8.6
""")  # fmt: skip
_REDUCE = """
    .redOp =                { .and, .or, .xor,
                              .add, .inc, .dec,
                              .min, .max }
    .level::cache_hint    = { .L2::cache_hint }
    not .and .or .xor & .u32 .s32 .u64 .s64 .f16 .bf16 .f32 .f64
    not .inc .dec & .b32 .s32 .b64 .u64 .s64 .f16 .bf16 .f32 .f64
    not .add .min .max & .b32 .b64
    not .min .max & .f32 .f64
    not .add & .s64
    only .add & .f16 .bf16: .noftz
    not .shared::cluster & .min .max & .u64
"""
section("9.7.9.25.4.2", "cp.reduce.async.bulk", """
    cp.reduce.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes.redOp.type    [dstMem], [srcMem], size, [mbar];
        where dstMem shared::cluster, srcMem shared, mbar shared::cluster, size b32
    cp.reduce.async.bulk.global.shared::cta.bulk_group{.level::cache_hint}.redOp.gtype    [dstMem], [srcMem], size{, cache-policy};
        where dstMem global, srcMem shared, size b32
    cp.reduce.async.bulk.global.shared::cta.bulk_group{.level::cache_hint}.add.noftz.htype   [dstMem], [srcMem], size{, cache-policy};
        where dstMem global, srcMem shared, size b32
    .type =                 { .b32, .u32, .s32, .u64 }
    .gtype =                { .f16, .bf16, .b32, .u32, .s32, .b64, .u64, .s64, .f32, .f64 }
    .htype =                { .f16, .bf16 }
    needs sm_90 8.0
""" + _REDUCE)  # fmt: skip
section("9.7.9.25.4.3", "cp.async.bulk.prefetch", """
    cp.async.bulk.prefetch.L2.src{.level::cache_hint}   [srcMem], size{, cache-policy};  where srcMem global, size b32
    .src =                { .global }
    .level::cache_hint =  { .L2::cache_hint }
    needs sm_90 8.0
""")
section("9.7.9.26", "multimem.cp.async.bulk", """
    multimem.cp.async.bulk.dst.src.completion_mechanism          [dstMem], [srcMem], size;   where dstMem global, srcMem shared, size b32
    multimem.cp.async.bulk.dst.src.completion_mechanism.cp_mask  [dstMem], [srcMem], size, byteMask;
        where dstMem global, srcMem shared, size b32, byteMask b16
        .dst                  = { .global }
        .src                  = { .shared::cta }
        .completion_mechanism = { .bulk_group }
    needs sm_90 9.1
    needs sm_100 9.1: .cp_mask
    later multicast memory
""")
section("9.7.9.27", "multimem.cp.reduce.async.bulk", """
    multimem.cp.reduce.async.bulk.dst.src.completion_mechanism.redOp.type  [dstMem], [srcMem], size;   where dstMem global, srcMem shared, size b32
    multimem.cp.reduce.async.bulk.dst.src.completion_mechanism.add.noftz.htype  [dstMem], [srcMem], size;   where dstMem global, srcMem shared, size b32
        .dst                  = { .global }
        .src                  = { .shared::cta }
        .completion_mechanism = { .bulk_group }
        .type                 = { .f16, .bf16,
                                  .b32, .u32, .s32,
                                  .b64, .u64, .s64,
                                  .f32, .f64 }
        .htype                = { .f16, .bf16 }
    needs sm_90 9.1
    later multicast memory
""" + _REDUCE)  # fmt: skip
_TENSOR = """
    .dim =                  { .1d, .2d, .3d, .4d, .5d }
    .cta_group =            { .cta_group::1, .cta_group::2 }
    .load_mode =            { .tile, .tile::gather4, .im2col, .im2col::w, .im2col::w::128 }
    .level::cache_hint =    { .L2::cache_hint }
    .multicast =            { .multicast::cluster  }
    needs sm_90 8.0
    later tensor copies
"""
section("9.7.9.27.1.2", "cp.async.bulk.tensor", """
    // global -> shared::cta
    cp.async.bulk.tensor.dim.shared::cta.global{.load_mode}.mbarrier::complete_tx::bytes{.cta_group}{.level::cache_hint}
        [dstMem], [tensorMap, tensorCoords], [mbar]{, im2colInfo}{, cache-policy};
        where dstMem shared, tensorMap map, mbar shared, im2colInfo im2col
    // global -> shared::cluster
    cp.async.bulk.tensor.dim.shared::cluster.global{.load_mode}.mbarrier::complete_tx::bytes{.multicast}{.cta_group}{.level::cache_hint}
        [dstMem], [tensorMap, tensorCoords], [mbar]{, im2colInfo}{, ctaMask}{, cache-policy};
        where dstMem shared, tensorMap map, mbar shared, im2colInfo im2col, ctaMask b16
    // shared::cta -> global
    cp.async.bulk.tensor.dim.global.shared::cta{.store_mode}.bulk_group{.level::cache_hint}    [tensorMap, tensorCoords], [srcMem]{, cache-policy};
        where srcMem shared, tensorMap map
    .store_mode =           { .tile, .tile::scatter4, .im2col_no_offs }
    not .im2col .im2col::w .im2col::w::128 .im2col_no_offs & .1d .2d
    not .tile::gather4 .tile::scatter4 & .1d .3d .4d .5d
    needs sm_90 8.6: .global & .shared::cta & .mbarrier::complete_tx::bytes
    needs sm_100a 8.6: .tile::gather4 .im2col::w .im2col::w::128 .tile::scatter4 .cta_group
""" + _TENSOR)  # fmt: skip
section("9.7.9.27.1.3", "cp.reduce.async.bulk.tensor", """
    cp.reduce.async.bulk.tensor.dim.global.shared::cta.redOp{.store_mode}.bulk_group{.level::cache_hint}
        [tensorMap, tensorCoords], [srcMem]{, cache-policy};
        where srcMem shared, tensorMap map
    .store_mode =            { .tile, .im2col_no_offs }
    .redOp =                { .add, .min, .max, .inc, .dec, .and, .or, .xor}
    not .im2col_no_offs & .1d .2d
""" + _TENSOR)  # fmt: skip
section("9.7.9.27.1.4", "cp.async.bulk.prefetch.tensor", """
    cp.async.bulk.prefetch.tensor.dim.L2.global{.load_mode}{.level::cache_hint} [tensorMap, tensorCoords]{, im2colInfo}{, cache-policy};
        where tensorMap map, im2colInfo im2col
    not .im2col .im2col::w .im2col::w::128 & .1d .2d
    not .tile::gather4 & .1d .3d .4d .5d
    needs sm_100a 8.6: .tile::gather4 .im2col::w .im2col::w::128
""" + _TENSOR)  # fmt: skip
section("9.7.9.27.2.1", "cp.async.bulk.commit_group", """
    cp.async.bulk.commit_group;
    needs sm_90 8.0
""")
section("9.7.9.27.2.2", "cp.async.bulk.wait_group", """
    cp.async.bulk.wait_group{.read} N;  where N 2
    needs sm_90 8.0
""")
section("9.7.9.28", "tensormap.replace", """
    tensormap.replace.mode.field1{.ss}.b1024.b32      [addr], new_val;
    tensormap.replace.mode.global_address{.ss}.b1024.b64  [addr], new_val;
    tensormap.replace.mode.field2{.ss}.b1024.b32      [addr], ord, new_val;   where ord 1
    tensormap.replace.mode.global_stride{.ss}.b1024.b64   [addr], ord, new_val;   where ord 1
    tensormap.replace.mode.field3{.ss}.b1024.b32      [addr], new_val;        where new_val 1
    .mode    = { .tile }
    .field1  = { .rank }
    .field2  = { .box_dim, .global_dim, .element_stride  }
    .field3  = { .elemtype,  .interleave_layout, .swizzle_mode, .swizzle_atomicity, .fill_mode }
    .ss      = { .global, .shared::cta }
    needs sm_90a 8.3
    needs sm_100a 8.6: .swizzle_atomicity
    later tensor maps
""")
