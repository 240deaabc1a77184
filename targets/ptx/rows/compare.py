"""9.7.6 Comparison and Selection and 9.7.7 Half Precision Comparison Instructions."""
from __future__ import annotations

from .say import SIGNED, say
from .table import section

# The manual lists one set of comparisons and one of types; its prose says which go together: bit types have eq and ne alone, unsigned integers also
# lo ls hi hs, and those from equ on are for floating point, as is .ftz.
_COMPARISONS = """
    .bitCmp   = { eq, ne };
    .sCmp     = { eq, ne, lt, le, gt, ge };
    .uCmp     = { eq, ne, lt, le, gt, ge, lo, ls, hi, hs };
    .fCmp     = { eq, ne, lt, le, gt, ge,
                  equ, neu, ltu, leu, gtu, geu, num, nan };
    .BoolOp   = { and, or, xor };
    .btype    = { .b16, .b32, .b64 };
    .utype    = { .u16, .u32, .u64 };
    .stype    = { .s16, .s32, .s64 };
    needs sm_13 1.0: .f64
"""
section("9.7.6.1", "set", """
    set.bitCmp.dtype.btype          d, a, b;        where d .dtype
    set.bitCmp.BoolOp.dtype.btype   d, a, b, {!}c;  where d .dtype
    set.uCmp.dtype.utype            d, a, b;        where d .dtype
    set.uCmp.BoolOp.dtype.utype     d, a, b, {!}c;  where d .dtype
    set.sCmp.dtype.stype            d, a, b;        where d .dtype
    set.sCmp.BoolOp.dtype.stype     d, a, b, {!}c;  where d .dtype
    set.fCmp{.ftz}.dtype.f32        d, a, b;        where d .dtype
    set.fCmp.BoolOp{.ftz}.dtype.f32 d, a, b, {!}c;  where d .dtype
    set.fCmp.dtype.f64              d, a, b;        where d .dtype
    set.fCmp.BoolOp.dtype.f64       d, a, b, {!}c;  where d .dtype
    .dtype    = { .u32, .s32, .f32 };
""" + _COMPARISONS)  # fmt: skip
section("9.7.6.2", "setp", """
    setp.bitCmp.btype          p[|q], a, b;
    setp.bitCmp.BoolOp.btype   p[|q], a, b, {!}c;
    setp.uCmp.utype            p[|q], a, b;
    setp.uCmp.BoolOp.utype     p[|q], a, b, {!}c;
    setp.sCmp.stype            p[|q], a, b;
    setp.sCmp.BoolOp.stype     p[|q], a, b, {!}c;
    setp.fCmp{.ftz}.f32        p[|q], a, b;
    setp.fCmp.BoolOp{.ftz}.f32 p[|q], a, b, {!}c;
    setp.fCmp.f64              p[|q], a, b;
    setp.fCmp.BoolOp.f64       p[|q], a, b, {!}c;
""" + _COMPARISONS)  # fmt: skip
say("icmp", "setp.sCmp.stype", SIGNED)  # unsigned predicates are written with the unsigned types
say("fcmp", "setp.fCmp{.ftz}.f32", "f32")
say("fcmp", "setp.fCmp.f64", "f64")
section("9.7.6.3", "selp", """
    selp.type d, a, b, c;  where c pred
    .type = { .b16, .b32, .b64,
              .u16, .u32, .u64,
              .s16, .s32, .s64,
                    .f32, .f64 };
    needs sm_13 1.0: .f64
""")
say("select", "selp.type", "i8 b16, i16 b16, i32 b32, i64 b64, f16 b16, bf16 b16, f32, f64", args="c a b")
section("9.7.6.4", "slct", """
    slct.dtype.s32        d, a, b, c;  where d .dtype, a .dtype, b .dtype
    slct{.ftz}.dtype.f32  d, a, b, c;  where d .dtype, a .dtype, b .dtype
    .dtype = { .b16, .b32, .b64,
               .u16, .u32, .u64,
               .s16, .s32, .s64,
                     .f32, .f64 };
    needs sm_13 1.0: .f64
""")
section("9.7.7.1", "set", """
    set.bitCmp.f16.btype                  d, a, b;         where d f16
    set.bitCmp.BoolOp.f16.btype           d, a, b, {!}c;   where d f16
    set.sCmp.f16.utype                    d, a, b;         where d f16
    set.sCmp.BoolOp.f16.utype             d, a, b, {!}c;   where d f16
    set.sCmp.f16.stype                    d, a, b;         where d f16
    set.sCmp.BoolOp.f16.stype             d, a, b, {!}c;   where d f16
    set.fCmp{.ftz}.f16.f16                d, a, b;         where d f16
    set.fCmp.BoolOp{.ftz}.f16.f16         d, a, b, {!}c;   where d f16
    set.fCmp{.ftz}.f16.f32                d, a, b;         where d f16
    set.fCmp.BoolOp{.ftz}.f16.f32         d, a, b, {!}c;   where d f16
    set.fCmp.f16.f64                      d, a, b;         where d f16
    set.fCmp.BoolOp.f16.f64               d, a, b, {!}c;   where d f16
    set.bitCmp.bf16.btype                 d, a, b;         where d bf16
    set.bitCmp.BoolOp.bf16.btype          d, a, b, {!}c;   where d bf16
    set.sCmp.bf16.utype                   d, a, b;         where d bf16
    set.sCmp.BoolOp.bf16.utype            d, a, b, {!}c;   where d bf16
    set.sCmp.bf16.stype                   d, a, b;         where d bf16
    set.sCmp.BoolOp.bf16.stype            d, a, b, {!}c;   where d bf16
    set.fCmp.bf16.f16                     d, a, b;         where d bf16
    set.fCmp.BoolOp.bf16.f16              d, a, b, {!}c;   where d bf16
    set.fCmp.bf16.bf16                    d, a, b;         where d bf16    // compilers write it, the manual leaves it out
    set.fCmp.BoolOp.bf16.bf16             d, a, b, {!}c;   where d bf16
    set.fCmp.bf16.f32                     d, a, b;         where d bf16
    set.fCmp.BoolOp.bf16.f32              d, a, b, {!}c;   where d bf16
    set.fCmp.bf16.f64                     d, a, b;         where d bf16
    set.fCmp.BoolOp.bf16.f64              d, a, b, {!}c;   where d bf16
    set.fCmp{.ftz}.dtype.f16              d, a, b;         where d .dtype
    set.fCmp.BoolOp{.ftz}.dtype.f16       d, a, b, {!}c;   where d .dtype
    set.fCmp.dtype.bf16                   d, a, b;         where d .dtype
    set.fCmp.BoolOp.dtype.bf16            d, a, b, {!}c;   where d .dtype
    set.fCmp{.ftz}.hdtype.f16x2           d, a, b;         where d .hdtype
    set.fCmp.BoolOp{.ftz}.hdtype.f16x2    d, a, b, {!}c;   where d .hdtype
    set.fCmp.bdtype.bf16x2                d, a, b;         where d .bdtype
    set.fCmp.BoolOp.bdtype.bf16x2         d, a, b, {!}c;   where d .bdtype
    .dtype  = { .u16, .s16, .u32, .s32 }
    .hdtype = { .f16x2, .u32, .s32 }
    .bdtype = { .bf16x2, .u32, .s32 }
    needs sm_53 4.2
    needs sm_53 6.5: .u16 .s16 .u32 .s32
    needs sm_90 7.8: .bf16 .bf16x2
""" + _COMPARISONS)  # fmt: skip
section("9.7.7.2", "setp", """
    setp.CmpOp{.ftz}.f16           p, a, b;
    setp.CmpOp.BoolOp{.ftz}.f16    p, a, b, {!}c;
    setp.CmpOp{.ftz}.f16x2         p|q, a, b;
    setp.CmpOp.BoolOp{.ftz}.f16x2  p|q, a, b, {!}c;
    setp.CmpOp.bf16                p, a, b;
    setp.CmpOp.BoolOp.bf16         p, a, b, {!}c;
    setp.CmpOp.bf16x2              p|q, a, b;
    setp.CmpOp.BoolOp.bf16x2       p|q, a, b, {!}c;
    .CmpOp  = { eq, ne, lt, le, gt, ge,
                equ, neu, ltu, leu, gtu, geu, num, nan };
    .BoolOp = { and, or, xor };
    needs sm_53 4.2
    needs sm_90 7.8: .bf16 .bf16x2
""")
