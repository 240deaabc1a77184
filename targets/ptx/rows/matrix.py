"""9.7.14 Warp Level Matrix Multiply-Accumulate Instructions."""
from __future__ import annotations

from .table import section

_WMMA_SINCE = """
    .ss     = { .global, .shared{::cta} };
    .layout = { .row, .col };
    needs sm_70 6.0
    needs sm_70 6.1: .m8n32k16 .m32n8k16
    needs sm_70 6.3: .aligned
    needs sm_72 6.3: .s8 .u8 .s32
    needs sm_75 6.3: .s4 .u4 .b1
    needs sm_80 7.0: .m8n8k4 .m16n16k8 .bf16
    needs sm_70 7.8: .shared::cta
"""
section("9.7.14.4.3", "wmma.load", """
    wmma.load.ab.sync.aligned.layout.shape{.ss}.abtype     r, [p]{, stride};   where r WxK.abtype, stride b32
    wmma.load.c.sync.aligned.layout.shape{.ss}.ctype       r, [p]{, stride};   where r MxN.ctype, stride b32
    wmma.load.ab.sync.aligned.layout.m16n16k8{.ss}.tf32    r, [p]{, stride};   where r 4xb32, stride b32
    wmma.load.c.sync.aligned.layout.m16n16k8{.ss}.f32      r, [p]{, stride};   where r 8xf32, stride b32
    wmma.load.ab.sync.aligned.layout.m8n8k4{.ss}.f64       r, [p]{, stride};   where r 1xf64, stride b32
    wmma.load.c.sync.aligned.layout.m8n8k4{.ss}.f64        r, [p]{, stride};   where r 2xf64, stride b32
    wmma.load.a.sync.aligned.row.m8n8k32{.ss}.sub          r, [p]{, stride};   where r 1xb32, stride b32
    wmma.load.b.sync.aligned.col.m8n8k32{.ss}.sub          r, [p]{, stride};   where r 1xb32, stride b32
    wmma.load.a.sync.aligned.row.m8n8k128{.ss}.b1          r, [p]{, stride};   where r 1xb32, stride b32
    wmma.load.b.sync.aligned.col.m8n8k128{.ss}.b1          r, [p]{, stride};   where r 1xb32, stride b32
    wmma.load.c.sync.aligned.layout.bshape{.ss}.s32        r, [p]{, stride};   where r 2xb32, stride b32
    .ab     = { .a, .b };
    .shape  = { .m16n16k16, .m8n32k16, .m32n8k16 };
    .bshape = { .m8n8k32, .m8n8k128 };
    .abtype = { .f16, .s8, .u8, .bf16 };
    .ctype  = { .f16, .f32, .s32 };
    .sub    = { .s4, .u4 };
""" + _WMMA_SINCE)  # fmt: skip
section("9.7.14.4.4", "wmma.store", """
    wmma.store.d.sync.aligned.layout.shape{.ss}.type       [p], r{, stride};   where r MxN.type, stride b32
    wmma.store.d.sync.aligned.layout.bshape{.ss}.s32       [p], r{, stride};   where r 2xb32, stride b32
    wmma.store.d.sync.aligned.layout.m16n16k8{.ss}.f32     [p], r{, stride};   where r 8xf32, stride b32
    wmma.store.d.sync.aligned.layout.m8n8k4{.ss}.f64       [p], r{, stride};   where r 2xf64, stride b32
    .shape  = { .m16n16k16, .m8n32k16, .m32n8k16 };
    .bshape = { .m8n8k32, .m8n8k128 };
    .type   = { .f16, .f32, .s32 };
""" + _WMMA_SINCE)  # fmt: skip
section("9.7.14.4.5", "wmma.mma", """
    wmma.mma.sync.aligned.layout.layout.shape.dtype.ctype d, a, b, c;     where d MxN.dtype, a 8xb32, b 8xb32, c MxN.ctype
    wmma.mma.sync.aligned.layout.layout.shape.s32.bytes.bytes.s32{.satfinite} d, a, b, c;   where d 8xb32, a MxK.bytes, b KxN.bytes, c 8xb32
    wmma.mma.sync.aligned.layout.layout.shape.f32.bf16.bf16.f32 d, a, b, c;    where d 8xf32, a MxK.bf16, b KxN.bf16, c 8xf32
    wmma.mma.sync.aligned.layout.layout.m16n16k8.f32.tf32.tf32.f32 d, a, b, c;   where d 8xf32, a 4xb32, b 4xb32, c 8xf32
    wmma.mma.sync.aligned.layout.layout.m8n8k4{.rnd}.f64.f64.f64.f64 d, a, b, c;   where d 2xf64, a 1xf64, b 1xf64, c 2xf64
    wmma.mma.sync.aligned.row.col.m8n8k32.s32.subs.subs.s32{.satfinite} d, a, b, c;   where d 2xb32, a 1xb32, b 1xb32, c 2xb32
    wmma.mma.op.popc.sync.aligned.row.col.m8n8k128.s32.b1.b1.s32 d, a, b, c;   where d 2xb32, a 1xb32, b 1xb32, c 2xb32
    .shape  =  { .m16n16k16, .m8n32k16, .m32n8k16 };
    .ctype  = .dtype = { .f16, .f32 };
    .bytes  = { .s8, .u8 };
    .subs   = { .s4, .u4 };
    .rnd    = { .rn, .rz, .rm, .rp };
    .op     = { .xor, .and }
    not .s8 & .u8, .s4 & .u4
    needs sm_80 7.1: .and
""" + _WMMA_SINCE)  # fmt: skip
_MMA_SINCE = """
    .ctype = .dtype = { .f16, .f32 };
    .f8type     = { .e4m3, .e5m2 };
    .f8f6f4type = { .e4m3, .e5m2, .e3m2, .e2m3, .e2m1 };
    needs sm_70 6.4
"""
section("9.7.14.5.14", "mma (f16, bf16, tf32)", """
    mma.sync.aligned.m8n8k4.layout.layout.f16.f16.f16.f16        d, a, b, c;   where d MxN.f16, a MxK.f16, b KxN.f16, c MxN.f16
    mma.sync.aligned.m8n8k4.layout.layout.f32.f16.f16.ctype      d, a, b, c;   where d MxN.f32, a MxK.f16, b KxN.f16, c MxN.ctype
    mma.sync.aligned.m16n8k8.row.col.f16.f16.f16.f16         d, a, b, c;   where d MxN.f16, a MxK.f16, b KxN.f16, c MxN.f16;   needs sm_75 6.5
    mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32         d, a, b, c;   where d MxN.f32, a MxK.f16, b KxN.f16, c MxN.f32;   needs sm_75 6.5
    mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16        d, a, b, c;   where d MxN.f16, a MxK.f16, b KxN.f16, c MxN.f16;   needs sm_80 7.0
    mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32        d, a, b, c;   where d MxN.f32, a MxK.f16, b KxN.f16, c MxN.f32;   needs sm_80 7.0
    mma.sync.aligned.m16n8k4.row.col.f32.tf32.tf32.f32           d, a, b, c;   where d MxN.f32, a MxK.tf32, b KxN.tf32, c MxN.f32;   needs sm_80 7.0
    mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32           d, a, b, c;   where d MxN.f32, a MxK.bf16, b KxN.bf16, c MxN.f32;   needs sm_80 7.0
    mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32           d, a, b, c;   where d MxN.f32, a MxK.tf32, b KxN.tf32, c MxN.f32;   needs sm_80 7.0
    mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32          d, a, b, c;   where d MxN.f32, a MxK.bf16, b KxN.bf16, c MxN.f32;   needs sm_80 7.0
    .layout = { .row, .col };
""" + _MMA_SINCE)  # fmt: skip
section("9.7.14.5.14", "mma (f64)", """
    mma.sync.aligned.m8n8k4.row.col{.rnd}.f64.f64.f64.f64   d, a, b, c;   where d 2xf64, a 1xf64, b 1xf64, c 2xf64;   needs sm_80 7.0
    mma.sync.aligned.shape.row.col{.rnd}.f64.f64.f64.f64    d, a, b, c;   where d MxN.f64, a MxK.f64, b KxN.f64, c MxN.f64;   needs sm_90 7.8
    .shape   = { .m16n8k4, .m16n8k8, .m16n8k16 };
    .rnd     = { .rn, .rz, .rm, .rp };   // only in the manual's examples
""")  # fmt: skip
section("9.7.14.5.14", "mma (integers, bits)", """
    mma.sync.aligned.shape8.row.col{.satfinite}.s32.bytes.bytes.s32   d, a, b, c;   where d MxN.s32, a MxK.u8, b KxN.u8, c MxN.s32
    mma.sync.aligned.shape4.row.col{.satfinite}.s32.subs.subs.s32     d, a, b, c;   where d MxN.s32, a MxK.u4, b KxN.u4, c MxN.s32
    mma.sync.aligned.shape1.row.col.s32.b1.b1.s32.bitOp.popc          d, a, b, c;   where d MxN.s32, a MxK.b1, b KxN.b1, c MxN.s32
    .shape8  = { .m8n8k16, .m16n8k16, .m16n8k32 }
    .shape4  = { .m8n8k32, .m16n8k32, .m16n8k64 }
    .shape1  = { .m8n8k128, .m16n8k128, .m16n8k256 }
    .bytes   = { .u8, .s8 };
    .subs    = { .u4, .s4 };
    .bitOp   = { .xor, .and }
    needs sm_75 6.5
    needs sm_80 7.0: .m16n8k16 .m16n8k32 .m16n8k64 .m16n8k128 .m16n8k256
    needs sm_75 7.0: .b1
    needs sm_80 7.1: .and
""")  # fmt: skip
section("9.7.14.5.14", "mma (fp8)", """
    mma.sync.aligned.shape.row.col.f16.f8type.f8type.f16   d, a, b, c;   where d MxN.f16, a MxK.f8type, b KxN.f8type, c MxN.f16
    mma.sync.aligned.shape.row.col.f32.f8type.f8type.f32   d, a, b, c;   where d MxN.f32, a MxK.f8type, b KxN.f8type, c MxN.f32
    .shape = { .m16n8k16, .m16n8k32 };
    needs sm_89 8.4
    needs sm_89 8.7: .m16n8k16, .f16
""" + _MMA_SINCE)  # fmt: skip
section("9.7.14.5.14", "mma (fp6, fp4)", """
    mma.sync.aligned.m16n8k16.row.col.kind.f16.f8type.f8type.f16   d, a, b, c;   where d MxN.f16, a 2xb32, b 1xb32, c MxN.f16
    mma.sync.aligned.m16n8k16.row.col.kind.f32.f8type.f8type.f32   d, a, b, c;   where d MxN.f32, a 2xb32, b 1xb32, c MxN.f32
    mma.sync.aligned.m16n8k32.row.col.kind.f16.f8f6f4type.f8f6f4type.f16   d, a, b, c;   where d MxN.f16, a 4xb32, b 2xb32, c MxN.f16
    mma.sync.aligned.m16n8k32.row.col.kind.f32.f8f6f4type.f8f6f4type.f32   d, a, b, c;   where d MxN.f32, a 4xb32, b 2xb32, c MxN.f32
    .kind = { .kind::f8f6f4 };
    needs sm_120a 8.7
""" + _MMA_SINCE)  # fmt: skip
section("9.7.14.5.14", "mma.block_scale", """
    mma.sync.aligned.m16n8k64.row.col.kind::mxf4.block_scale{.scale_vec::2X}.f32.e2m1.e2m1.f32.ue8m0
        d, a, b, c, scale-a-data, {byte-id-a, thread-id-a}, scale-b-data, {byte-id-b, thread-id-b};
        where d 4xf32, a 4xb32, b 2xb32, c 4xf32, scale-a-data b32, scale-b-data b32
    mma.sync.aligned.m16n8k64.row.col.kind::mxf4nvf4.block_scale.scale_vec_size.f32.e2m1.e2m1.f32.stype
        d, a, b, c, scale-a-data, {byte-id-a, thread-id-a}, scale-b-data, {byte-id-b, thread-id-b};
        where d 4xf32, a 4xb32, b 2xb32, c 4xf32, scale-a-data b32, scale-b-data b32
    mma.sync.aligned.m16n8k32.row.col.kind::mxf8f6f4.block_scale{.scale_vec::1X}.f32.f8f6f4type.f8f6f4type.f32.ue8m0
        d, a, b, c, scale-a-data, {byte-id-a, thread-id-a}, scale-b-data, {byte-id-b, thread-id-b};
        where d 4xf32, a 4xb32, b 2xb32, c 4xf32, scale-a-data b32, scale-b-data b32
    .scale_vec_size = { .scale_vec::2X, .scale_vec::4X };
    .stype          = { .ue8m0, .ue4m3 };
    not .scale_vec::2X & .ue4m3
    needs sm_120a 8.7
    needs sm_120a 9.1: .scale_vec::4X & .ue8m0
""" + _MMA_SINCE)  # fmt: skip
section("9.7.14.5.15", "ldmatrix", """
    ldmatrix.sync.aligned.m8n8.num{.trans}{.ss}.b16 r, [p];  where r .num.b32, p shared
    .num     = { .x1, .x2, .x4 };
    .ss      = { .shared{::cta} };
    needs sm_75 6.5
    needs sm_75 7.8: .shared::cta
""")
section("9.7.14.5.15", "ldmatrix (b8, b6, b4)", """
    ldmatrix.sync.aligned.m16n16.num.trans{.ss}.b8               r, [p];  where r .num.b32, p shared
    ldmatrix.sync.aligned.m8n16.num{.ss}.dst_fmt.src_fmt         r, [p];  where r .num.b32, p shared
    ldmatrix.sync.aligned.m16n16.num.trans{.ss}.dst_fmt.src_fmt  r, [p];  where r .num.b32, p shared
    .num     = { .x1, .x2, .x4 };
    not .m16n16 & .x4
    .ss      = { .shared{::cta} };
    .dst_fmt = { .b8x16 };
    .src_fmt = { .b6x16_p32, .b4x16_p64 };
    needs sm_100a 8.6
""")
section("9.7.14.5.16", "stmatrix", """
    stmatrix.sync.aligned.m8n8.num{.trans}{.ss}.b16 [p], r;  where r .num.b32, p shared
    .num    = { .x1, .x2, .x4 };
    .ss     = { .shared{::cta} };
    needs sm_90 7.8
""")
section("9.7.14.5.16", "stmatrix (b8)", """
    stmatrix.sync.aligned.m16n8.num.trans{.ss}.b8 [p], r;  where r .num.b32, p shared
    .num    = { .x1, .x2, .x4 };
    .ss     = { .shared{::cta} };
    needs sm_100a 8.6
""")
section("9.7.14.5.17", "movmatrix", """
    movmatrix.sync.aligned.shape.trans.type d, a;  where d b32, a b32
    .shape  = { .m8n8 };
    .type   = { .b16 };
    needs sm_75 7.8
""")
_SPARSE = """
    .ctype = .dtype = { .f16, .f32 };
    .f8type     = { .e4m3, .e5m2 };
    .f8f6f4type = { .e4m3, .e5m2, .e3m2, .e2m3, .e2m1 };
    needs sm_80 7.1
    needs sm_80 8.5: .sp::ordered_metadata
"""
for _variant in ("sp", "sp::ordered_metadata"):
    section("9.7.14.6.3", f"mma.{_variant}", f"""
    mma.{_variant}.sync.aligned.shape16.row.col.f16.f16.f16.f16    d, a, b, c, e, f;   where d MxN.f16, a MxK/2.f16, b KxN.f16, c MxN.f16, e b32, f 0
    mma.{_variant}.sync.aligned.shape16.row.col.f32.f16.f16.f32    d, a, b, c, e, f;   where d MxN.f32, a MxK/2.f16, b KxN.f16, c MxN.f32, e b32, f 0
    mma.{_variant}.sync.aligned.shape16.row.col.f32.bf16.bf16.f32      d, a, b, c, e, f;   where d MxN.f32, a MxK/2.bf16, b KxN.bf16, c MxN.f32, e b32, f 0
    mma.{_variant}.sync.aligned.shape32.row.col.f32.tf32.tf32.f32      d, a, b, c, e, f;   where d MxN.f32, a MxK/2.tf32, b KxN.tf32, c MxN.f32, e b32, f 0
    .shape16 = {{ .m16n8k16, .m16n8k32 }};
    .shape32 = {{ .m16n8k8, .m16n8k16 }};
""" + _SPARSE)  # fmt: skip
section("9.7.14.6.3", "mma.sp (integers)", """
    mma.spvariant.sync.aligned.shape8.row.col{.satfinite}.s32.bytes.bytes.s32     d, a, b, c, e, f;
        where d MxN.s32, a MxK/2.u8, b KxN.u8, c MxN.s32, e b32, f 0
    mma.spvariant.sync.aligned.shape4.row.col{.satfinite}.s32.subs.subs.s32       d, a, b, c, e, f;
        where d MxN.s32, a MxK/2.u4, b KxN.u4, c MxN.s32, e b32, f 0
    .spvariant = { .sp, .sp::ordered_metadata };
    .shape8  = { .m16n8k32, .m16n8k64 }
    .shape4  = { .m16n8k64, .m16n8k128 }
    .bytes   = { .u8, .s8 };
    .subs    = { .u4, .s4 };
""" + _SPARSE)  # fmt: skip
section("9.7.14.6.3", "mma.sp (fp8)", """
    mma.spvariant.sync.aligned.m16n8k64.row.col.f32.f8type.f8type.f32             d, a, b, c, e, f;
        where d 4xf32, a 4xb32, b 4xb32, c 4xf32, e b32, f 0
    .spvariant = { .sp, .sp::ordered_metadata };
    needs sm_89 8.4
""" + _SPARSE)  # fmt: skip
section("9.7.14.6.3", "mma.sp (fp6, fp4)", """
    mma.sp::ordered_metadata.sync.aligned.m16n8k64.row.col.f16.f8type.f8type.f16 d, a, b, c, e, f;    // only in the manual's notes
        where d MxN.f16, a 4xb32, b 4xb32, c MxN.f16, e b32, f 0
    mma.sp::ordered_metadata.sync.aligned.m16n8k64.row.col.kind::f8f6f4.f16.f8f6f4type.f8f6f4type.f16 d, a, b, c, e, f;
        where d MxN.f16, a 4xb32, b 4xb32, c MxN.f16, e b32, f 0
    mma.sp::ordered_metadata.sync.aligned.m16n8k64.row.col.kind::f8f6f4.f32.f8f6f4type.f8f6f4type.f32 d, a, b, c, e, f;
        where d MxN.f32, a 4xb32, b 4xb32, c MxN.f32, e b32, f 0
    needs sm_120a 8.7
""" + _SPARSE)  # fmt: skip
section("9.7.14.6.3", "mma.sp.block_scale", """
    mma.sp::ordered_metadata.sync.aligned.m16n8k128.row.col.kind::mxf4.block_scale{.scale_vec::2X}.f32.e2m1.e2m1.f32.ue8m0
        d, a, b, c, e, f, scale-a-data, {byte-id-a, thread-id-a}, scale-b-data, {byte-id-b, thread-id-b};
        where d 4xf32, a 4xb32, b 4xb32, c 4xf32, e b32, f 0, scale-a-data b32, scale-b-data b32
    mma.sp::ordered_metadata.sync.aligned.m16n8k128.row.col.kind::mxf4nvf4.block_scale.scale_vec_size.f32.e2m1.e2m1.f32.stype
        d, a, b, c, e, f, scale-a-data, {byte-id-a, thread-id-a}, scale-b-data, {byte-id-b, thread-id-b};
        where d 4xf32, a 4xb32, b 4xb32, c 4xf32, e b32, f 0, scale-a-data b32, scale-b-data b32
    mma.sp::ordered_metadata.sync.aligned.m16n8k64.row.col.kind::mxf8f6f4.block_scale{.scale_vec::1X}.f32.f8f6f4type.f8f6f4type.f32.ue8m0
        d, a, b, c, e, f, scale-a-data, {byte-id-a, thread-id-a}, scale-b-data, {byte-id-b, thread-id-b};
        where d 4xf32, a 4xb32, b 4xb32, c 4xf32, e b32, f 0, scale-a-data b32, scale-b-data b32
    .scale_vec_size = { .scale_vec::2X, .scale_vec::4X };
    .stype          = { .ue8m0, .ue4m3 };
    not .scale_vec::2X & .ue4m3
    needs sm_120a 8.7
    needs sm_120a 9.1: .scale_vec::4X & .ue8m0
""" + _SPARSE)  # fmt: skip
