"""9.7.8 Logic and Shift Instructions."""
from __future__ import annotations

from .say import say
from .table import section

_ALL = "i1 pred, i8 b16, i16 b16, i32 b32, i64 b64"

section("9.7.8.1", "and", """
    and.type d, a, b;
    .type = { .pred, .b16, .b32, .b64 };
""")
say("and", "and.type", _ALL)
section("9.7.8.2", "or", """
    or.type d, a, b;
    .type = { .pred, .b16, .b32, .b64 };
""")
say("or", "or.type", _ALL)
section("9.7.8.3", "xor", """
    xor.type d, a, b;
    .type = { .pred, .b16, .b32, .b64 };
""")
say("xor", "xor.type", _ALL)
section("9.7.8.4", "not", """
    not.type d, a;
    .type = { .pred, .b16, .b32, .b64 };
""")
say("not", "not.type", _ALL)
section("9.7.8.5", "cnot", """
    cnot.type d, a;
    .type = { .b16, .b32, .b64 };
""")
section("9.7.8.6", "lop3", """
    lop3.b32 d, a, b, c, immLut;               where immLut 0xe8
    lop3.BoolOp.b32 d|p, a, b, c, immLut, q;   where immLut 0x96, q pred
    .BoolOp   = { .or , .and };
    needs sm_50 4.3
    needs sm_70 8.2: .BoolOp
""")
section("9.7.8.7", "shf", """
    shf.l.mode.b32  d, a, b, c;  // left shift
    shf.r.mode.b32  d, a, b, c;  // right shift
    .mode = { .clamp, .wrap };
    needs sm_32 3.1
""")
section("9.7.8.8", "shl", """
    shl.type d, a, b;  where b u32
    .type = { .b16, .b32, .b64 };
""")
section("9.7.8.9", "shr", """
    shr.type d, a, b;  where b u32
    .type = { .b16, .b32, .b64,
              .u16, .u32, .u64,
              .s16, .s32, .s64 };
""")
