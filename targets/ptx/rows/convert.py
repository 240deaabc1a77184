"""9.7.9.3–7 and 9.7.9.19–24: moves and conversions."""
from __future__ import annotations

from .say import say
from .table import section

section("9.7.9.3", "mov", """
    mov.type  d, a;          where a var    // a register, a constant, sreg, avar, avar+imm, fname, kernel
    .type = { .pred,
              .b16, .b32, .b64,
              .u16, .u32, .u64,
              .s16, .s32, .s64,
                    .f32, .f64 };
    needs sm_13 1.0: .f64
""")
section("9.7.9.3", "mov (vectors)", """
    mov.vec.type  d, a;     where d .vec.type, a .vec.type    // vector registers or {…}: the manual names mov among what takes vectors, ptxas has it so
    .vec = { .v2, .v4 };
    .type = { .b16, .b32, .b64,
              .u16, .u32, .u64,
              .s16, .s32, .s64,
                    .f32, .f64 };
    not .v4 & .b64 .u64 .s64 .f64
""")
section("9.7.9.4", "mov (pack, unpack)", """
    mov.type  d, a;       where a {}    // pack
    mov.type  d, a;       where d {}    // unpack; a sink may stand for a part
    .type = { .b16, .b32, .b64, .b128 };
    needs sm_70 8.3: .b128
""")
section("9.7.9.5", "shfl", """
    shfl.mode.b32  d[|p], a, b, c;  where b u32, c u32
    .mode = { .up, .down, .bfly, .idx };
    needs sm_30 3.0
""")
section("9.7.9.6", "shfl.sync", """
    shfl.sync.mode.b32  d[|p], a, b, c, membermask;  where b u32, c u32
    .mode = { .up, .down, .bfly, .idx };
    needs sm_30 6.0
""")
section("9.7.9.7", "prmt", """
    prmt.b32{.mode}  d, a, b, c;
    .mode = { .f4e, .b4e, .rc8, .ecl, .ecr, .rc16 };
    needs sm_20 2.0
""")
section("9.7.9.19", "isspacep", """
    isspacep.space  p, a;    where a u64
    .space = { const, .global, .local, .shared{::cta, ::cluster}, .param{::entry} };
    needs sm_20 2.0
    needs sm_20 3.1: .const
    needs sm_70 7.7: .param .param::entry
    needs sm_70 8.3: .param::entry
    needs sm_30 7.8: .shared::cta
    needs sm_90 7.8: .shared::cluster
""")
section("9.7.9.20", "cvta", """
    cvta.space.size  p, a;        where a var, p .size
    cvta.to.space.size  p, a;     where p .size
    .space = { .const, .global, .local, .shared{::cta, ::cluster}, .param{::entry} };
    .size  = { .u32, .u64 };
    needs sm_20 2.0
    needs sm_20 3.1: .const
    needs sm_70 7.7: .param .param::entry
    needs sm_70 8.3: .param::entry
    needs sm_30 7.8: .shared::cta
    needs sm_90 7.8: .shared::cluster
""")
# The manual's first line is cvt{.irnd}{.ftz}{.sat}.dtype.atype, its second the same with .frnd.  Prose says where a rounding must or may stand:
# integer rounding from floating point to integers and between equal formats, floating-point rounding wherever bits may be lost.
section("9.7.9.21", "cvt", """
    cvt.itype.jtype                        d, a;     where d .itype, a .jtype
    cvt.sat.u8.not_u8                      d, a;     where d u8, a .not_u8       // .sat where the destination does not hold every value of the source
    cvt.sat.s8.not_s8                      d, a;     where d s8, a .not_s8
    cvt.sat.u16.not_u16                    d, a;     where d u16, a .not_u16
    cvt.sat.s16.not_s16                    d, a;     where d s16, a .not_s16
    cvt.sat.u32.not_u32                    d, a;     where d u32, a .not_u32
    cvt.sat.s32.not_s32                    d, a;     where d s32, a .not_s32
    cvt.sat.u64.not_u64                    d, a;     where d u64, a .not_u64
    cvt.sat.s64.u64                        d, a;     where d s64, a u64
    cvt.irnd{.ftz}{.sat}.itype.ftype       d, a;     where d .itype, a .ftype
    cvt.irnd.wtype.bf16                    d, a;     where d .wtype, a bf16
    cvt.irnd.small.bf16                    d, a;     where d b8, a bf16          // into and from registers of 8 bits
    cvt{.irnd}{.sat}.f16.f16               d, a;
    cvt{.irnd}{.ftz}{.sat}.f32.f32         d, a;
    cvt{.irnd}{.sat}.f64.f64               d, a;
    cvt{.irnd}.bf16.bf16                   d, a;     needs sm_90 7.8
    cvt.frnd{.ftz}{.sat}.ftype.itype       d, a;     where d .ftype, a .itype
    cvt.frnd.bf16.wtype                    d, a;     where d bf16, a .wtype
    cvt.frnd.bf16.small                    d, a;     where d bf16, a b8
    cvt{.ftz}{.sat}.f32.f16                d, a;     where d f32
    cvt{.sat}.f64.f16                      d, a;     where d f64
    cvt{.ftz}{.sat}.f64.f32                d, a;     where d f64
    cvt.frnd{.ftz}{.sat}.f16.f32           d, a;     where d f16
    cvt.frnd{.sat}.f16.f64                 d, a;     where d f16
    cvt.frnd{.ftz}{.sat}.f32.f64           d, a;     where d f32
    cvt.frnd{.ftz}.bf16.f32                d, a;     where d bf16
    cvt{.frnd}{.ftz}.f32.bf16              d, a;     where d f32        // no rounding takes place, but it may be written
    cvt{.frnd}.f64.bf16                    d, a;     where d f64
    cvt.frnd.bf16.f64                      d, a;     where d bf16
    cvt{.frnd}.bf16.f16                    d, a;     where d bf16       // .rn where none is said
    cvt{.frnd}.f16.bf16                    d, a;     where d f16
    .irnd  = { .rni, .rzi, .rmi, .rpi };
    .frnd  = { .rn,  .rz,  .rm,  .rp  };
    .itype = .jtype = { .u8,   .u16, .u32, .u64,
                        .s8,   .s16, .s32, .s64 };
    .ftype = { .f16, .f32, .f64 };
    .wtype = { .u16, .u32, .u64, .s16, .s32, .s64 };
    .small = { .u8, .s8 };
    .not_u8  = { .s8, .u16, .s16, .u32, .s32, .u64, .s64 };
    .not_s8  = { .u8, .u16, .s16, .u32, .s32, .u64, .s64 };
    .not_u16 = { .s8, .s16, .u32, .s32, .u64, .s64 };
    .not_s16 = { .u16, .u32, .s32, .u64, .s64 };
    .not_u32 = { .s8, .s16, .s32, .u64, .s64 };
    .not_s32 = { .u32, .u64, .s64 };
    .not_u64 = { .s8, .s16, .s32, .s64 };
    .integer = { .u8, .u16, .u32, .u64, .s8, .s16, .s32, .s64 };
    not .ftz & .f64 .f16 & .integer
    needs sm_13 1.0: .f64
    needs sm_53 4.2: .f16
    needs sm_80 7.1: .bf16
    needs sm_90 7.8: .bf16 & .integer .f16 .f64 .irnd, .bf16 & .ftz, .bf16 & .rm .rp
""")
for _op, _r in (("ffloor", "rmi"), ("fceil", "rpi"), ("ftrunc", "rzi"), ("frint", "rni")):
    say(_op, "cvt{.irnd}{.ftz}{.sat}.f32.f32", "f32", irnd=_r)
    say(_op, "cvt{.irnd}{.sat}.f64.f64", "f64", irnd=_r)
section("9.7.9.21", "cvt to f16x2, bf16, bf16x2, tf32", """
    cvt.frnd2{.relu}{.satfinite}.f16.f32       d, a;          where d f16
    cvt.frnd2{.relu}{.satfinite}.f16x2.f32     d, a, b;       where d f16x2
    cvt.frnd2{.relu}{.satfinite}.bf16.f32      d, a;          where d bf16
    cvt.frnd2{.relu}{.satfinite}.bf16x2.f32    d, a, b;       where d bf16x2
    cvt.rna{.satfinite}.tf32.f32               d, a;          where d b32
    cvt.frnd2{.satfinite}{.relu}.tf32.f32      d, a;          where d b32
    .frnd2  = { .rn,  .rz };
    needs sm_80 7.0
    needs sm_80 8.1: .satfinite
    needs sm_90 7.8: .frnd2 & .tf32
    needs sm_100 8.6: .frnd2 & .tf32 & .satfinite
""")
section("9.7.9.21", "cvt.rs", """
    cvt.rs{.relu}{.satfinite}.f16x2.f32        d, a, b, rbits;           where d f16x2, rbits b32
    cvt.rs{.relu}{.satfinite}.bf16x2.f32       d, a, b, rbits;           where d bf16x2, rbits b32
    cvt.rs{.relu}.satfinite.f8x4type.f32       d, {a, b, e, f}, rbits;   where d b32, rbits b32
    cvt.rs{.relu}.satfinite.f4x4type.f32       d, {a, b, e, f}, rbits;   where d b16, rbits b32
    cvt.rs{.relu}.satfinite.f6x4type.f32       d, {a, b, e, f}, rbits;   where d b32, rbits b32
    .f4x4type = { .e2m1x4 };
    .f8x4type = { .e4m3x4, .e5m2x4 };
    .f6x4type = { .e2m3x4, .e3m2x4 };
    needs sm_100a 8.7
""")
section("9.7.9.21", "cvt of 8-bit floats", """
    cvt.rn.satfinite{.relu}.f8x2type.f32       d, a, b;   where d b16
    cvt.rn.satfinite{.relu}.f8x2type.f16x2     d, a;      where d b16
    cvt.rn{.relu}.f16x2.f8x2type               d, a;      where d b32, a b16
    .f8x2type = { .e4m3x2, .e5m2x2 };
    needs sm_89 8.1
""")
section("9.7.9.21", "cvt of 8-bit floats and bf16x2", """
    cvt.rn.satfinite{.relu}.f8x2type.bf16x2    d, a;      where d b16
    .f8x2type = { .e4m3x2, .e5m2x2 };
    needs sm_100f 9.1
""")
section("9.7.9.21", "cvt of 6- and 4-bit floats, ue8m0", """
    cvt.rn.satfinite{.relu}.f4x2type.f32        d, a, b;  where d b8
    cvt.rn{.relu}.f16x2.f4x2type                d, a;     where d b32, a b8
    cvt.rn.satfinite{.relu}.f6x2type.f32        d, a, b;  where d b16
    cvt.rn{.relu}.f16x2.f6x2type                d, a;     where d b32, a b16
    cvt.frnd3{.satfinite}.ue8m0x2.f32           d, a, b;  where d b16
    cvt.frnd3{.satfinite}.ue8m0x2.bf16x2        d, a;     where d b16
    cvt.rn.bf16x2.ue8m0x2                       d, a;     where d b32, a b16
    .frnd3    = { .rz,  .rp };
    .f4x2type = { .e2m1x2 };
    .f6x2type = { .e2m3x2, .e3m2x2 };
    needs sm_100a 8.6
""")
section("9.7.9.21", "cvt of 6- and 4-bit floats and pairs", """
    cvt.rn.satfinite{.relu}.f4x2type.fp16x2type d, a;     where d b8
    cvt.rn.satfinite{.relu}.f6x2type.fp16x2type d, a;     where d b16
    .f4x2type = { .e2m1x2 };
    .f6x2type = { .e2m3x2, .e3m2x2 };
    .fp16x2type = { .f16x2, .bf16x2 };
    needs sm_100f 9.1
""")
section("9.7.9.21", "cvt of s2f6", """
    cvt.rn.satfinite{.relu}{.scaled::n2::ue8m0}.s2f6x2.f32      d, a, b{, scale-factor};   where d b16, scale-factor b16
    cvt.rn.satfinite{.relu}{.scaled::n2::ue8m0}.s2f6x2.bf16x2   d, a{, scale-factor};      where d b16, scale-factor b16
    cvt.rn{.satfinite}{.relu}{.scaled::n2::ue8m0}.bf16x2.s2f6x2 d, a{, scale-factor};      where d b32, a b16, scale-factor b16
    needs sm_100a 9.1
""")
section("9.7.9.22", "cvt.pack", """
    cvt.pack.sat.convertType.abType        d, a, b;      where d b32
    cvt.pack.sat.smallType.abType.cType    d, a, b, c;   where d b32, a .abType, b .abType
        .convertType  = { .u16, .s16 }
        .smallType    = { .u2, .s2, .u4, .s4, .u8, .s8 }
        .abType       = { .s32 }
        .cType        = { .b32 }
    needs sm_72 6.5
    needs sm_75 6.5: .u4 .s4 .u2 .s2
""")
section("9.7.9.23", "mapa", """
    mapa.shared::cluster.type  d, a, b;    where a var, b u32
    mapa.type                  d, a, b;    where a var, b u32
    .type  = { .u32, .u64 }
    needs sm_90 7.8
""")
section("9.7.9.24", "getctarank", """
    getctarank.shared::cluster.type d, a;  where a var, d u32
    getctarank.type d, a;                  where a var, d u32
    .type  = { .u32, .u64 }
    needs sm_90 7.8
""")
