"""9.7.2 Extended-Precision Integer Arithmetic Instructions."""
from __future__ import annotations

from .table import section

section("9.7.2.1", "add.cc", """
    add.cc.type  d, a, b;
    .type = { .u32, .s32, .u64, .s64 };
    needs sm_10 1.2
    needs sm_20 4.3: .u64 .s64
""")
section("9.7.2.2", "addc", """
    addc{.cc}.type  d, a, b;
    .type = { .u32, .s32, .u64, .s64 };
    needs sm_10 1.2
    needs sm_20 4.3: .u64 .s64
""")
section("9.7.2.3", "sub.cc", """
    sub.cc.type  d, a, b;
    .type = { .u32, .s32, .u64, .s64 };
    needs sm_10 1.2
    needs sm_20 4.3: .u64 .s64
""")
section("9.7.2.4", "subc", """
    subc{.cc}.type  d, a, b;
    .type = { .u32, .s32, .u64, .s64 };
    needs sm_10 1.2
    needs sm_20 4.3: .u64 .s64
""")
section("9.7.2.5", "mad.cc", """
    mad.mode.cc.type  d, a, b, c;   // the manual writes mad{.hi,.lo}.cc
    .mode = { .hi, .lo };
    .type = { .u32, .s32, .u64, .s64 };
    needs sm_20 3.0
    needs sm_20 4.3: .u64 .s64
""")
section("9.7.2.6", "madc", """
    madc.mode{.cc}.type  d, a, b, c;   // the manual writes madc{.hi,.lo}
    .mode = { .hi, .lo };
    .type = { .u32, .s32, .u64, .s64 };
    needs sm_20 3.0
    needs sm_20 4.3: .u64 .s64
""")
