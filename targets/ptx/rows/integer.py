"""9.7.1 Integer Arithmetic Instructions."""
from __future__ import annotations

from .say import BITS, SIGNED, UNSIGNED, say
from .table import section

section("9.7.1.1", "add", """
    add.type       d, a, b;
    add{.sat}.s32  d, a, b;     // .sat applies only to .s32
    .type = { .u16, .u32, .u64,
              .s16, .s32, .s64 };
""")
say("iadd", "add.type", SIGNED)
section("9.7.1.1", "add.{u,s}16x2", """
    add.type       d, a, b;
    .type = { .u16x2, .s16x2 };
    needs sm_90 8.0
""")
section("9.7.1.2", "sub", """
    sub.type       d, a, b;
    sub{.sat}.s32  d, a, b;     // .sat applies only to .s32
    .type = { .u16, .u32, .u64,
              .s16, .s32, .s64 };
""")
say("isub", "sub.type", SIGNED)
section("9.7.1.3", "mul", """
    mul.mode.type  d, a, b;
    mul.wide.wtype d, a, b;     where d wide
    .mode  = { .hi, .lo };
    .type  = { .u16, .u32, .u64,
               .s16, .s32, .s64 };
    .wtype = { .u16, .u32, .s16, .s32 };
""")
say("imul", "mul.mode.type", SIGNED, mode="lo")
say("imulhi_s", "mul.mode.type", SIGNED, mode="hi")
say("imulhi_u", "mul.mode.type", UNSIGNED, mode="hi")
section("9.7.1.4", "mad", """
    mad.mode.type  d, a, b, c;
    mad.wide.wtype d, a, b, c;  where d wide, c wide
    mad.hi.sat.s32 d, a, b, c;
    .mode  = { .hi, .lo };
    .type  = { .u16, .u32, .u64,
               .s16, .s32, .s64 };
    .wtype = { .u16, .u32, .s16, .s32 };
""")
section("9.7.1.5", "mul24", """
    mul24.mode.type  d, a, b;
    .mode = { .hi, .lo };
    .type = { .u32, .s32 };
""")
section("9.7.1.6", "mad24", """
    mad24.mode.type  d, a, b, c;
    mad24.hi.sat.s32 d, a, b, c;
    .mode = { .hi, .lo };
    .type = { .u32, .s32 };
""")
section("9.7.1.7", "sad", """
    sad.type  d, a, b, c;
    .type = { .u16, .u32, .u64,
              .s16, .s32, .s64 };
""")
section("9.7.1.8", "div", """
    div.type  d, a, b;
    .type = { .u16, .u32, .u64,
              .s16, .s32, .s64 };
""")
say("idiv_s", "div.type", SIGNED)
say("idiv_u", "div.type", UNSIGNED)
section("9.7.1.9", "rem", """
    rem.type  d, a, b;
    .type = { .u16, .u32, .u64,
              .s16, .s32, .s64 };
""")
say("irem_s", "rem.type", SIGNED)
say("irem_u", "rem.type", UNSIGNED)
section("9.7.1.10", "abs", """
    abs.type  d, a;
    .type = { .s16, .s32, .s64 };
""")
say("iabs", "abs.type", SIGNED)
section("9.7.1.11", "neg", """
    neg.type  d, a;
    .type = { .s16, .s32, .s64 };
""")
say("ineg", "neg.type", SIGNED)
section("9.7.1.12", "min", """
    min.atype         d, a, b;
    min{.relu}.btype  d, a, b;
    .atype = { .u16, .u32, .u64,
               .u16x2, .s16, .s64 };
    .btype = { .s16x2, .s32 };
    needs sm_90 8.0: .u16x2 .s16x2 .relu
""")
say("imin_s", "min.atype", "i16 s16, i64 s64")
say("imin_s", "min{.relu}.btype", "i32 s32")
say("imin_u", "min.atype", UNSIGNED)
section("9.7.1.13", "max", """
    max.atype         d, a, b;
    max{.relu}.btype  d, a, b;
    .atype = { .u16, .u32, .u64,
               .u16x2, .s16, .s64 };
    .btype = { .s16x2, .s32 };
    needs sm_90 8.0: .u16x2 .s16x2 .relu
""")
say("imax_s", "max.atype", "i16 s16, i64 s64")
say("imax_s", "max{.relu}.btype", "i32 s32")
say("imax_u", "max.atype", UNSIGNED)
section("9.7.1.14", "popc", """
    popc.type  d, a;  where d u32
    .type = { .b32, .b64 };
    needs sm_20 2.0
""")
section("9.7.1.15", "clz", """
    clz.type  d, a;  where d u32
    .type = { .b32, .b64 };
    needs sm_20 2.0
""")
section("9.7.1.16", "bfind", """
    bfind.type           d, a;  where d u32
    bfind.shiftamt.type  d, a;  where d u32
    .type = { .u32, .u64,
              .s32, .s64 };
    needs sm_20 2.0
""")
section("9.7.1.17", "fns", """
    fns.b32 d, mask, base, offset;
    needs sm_30 6.0
""")
section("9.7.1.18", "brev", """
    brev.type  d, a;
    .type = { .b32, .b64 };
    needs sm_20 2.0
""")
say("brev", "brev.type", BITS)
section("9.7.1.19", "bfe", """
    bfe.type  d, a, b, c;  where b u32, c u32
    .type = { .u32, .u64,
              .s32, .s64 };
    needs sm_20 2.0
""")
section("9.7.1.20", "bfi", """
    bfi.type  f, a, b, c, d;  where c u32, d u32
    .type = { .b32, .b64 };
    needs sm_20 2.0
""")
section("9.7.1.21", "szext", """
    szext.mode.type  d, a, b;  where b u32
    .mode = { .clamp, .wrap };
    .type = { .u32, .s32 };
    needs sm_70 7.6
""")
section("9.7.1.22", "bmsk", """
    bmsk.mode.b32  d, a, b;
    .mode = { .clamp, .wrap };
    needs sm_70 7.6
""")
section("9.7.1.23", "dp4a", """
    dp4a.atype.btype  d, a, b, c;
    .atype = .btype = { .u32, .s32 };
    needs sm_61 5.0
""")
section("9.7.1.24", "dp2a", """
    dp2a.mode.atype.btype  d, a, b, c;
    .atype = .btype = { .u32, .s32 };
    .mode = { .lo, .hi };
    needs sm_61 5.0
""")
