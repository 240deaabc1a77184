"""9.7.17 Stack Manipulation, 9.7.18 Video and 9.7.19 Miscellaneous Instructions."""
from __future__ import annotations

from .table import section

section("9.7.17.1", "stacksave", """
    stacksave.type  d;
    .type = { .u32, .u64 };
    needs sm_52 7.3
""")
section("9.7.17.2", "stackrestore", """
    stackrestore.type  a;
    .type = { .u32, .u64 };
    needs sm_52 7.3
""")
section("9.7.17.3", "alloca", """
    alloca.type  ptr, size{, immAlign};  where immAlign 16
    .type = { .u32, .u64 };
    needs sm_52 7.3
""")
_SELECT = """
    .dtype = .atype = .btype = { .u32, .s32 };
    .dsel  = .asel  = .bsel  = { .b0, .b1, .b2, .b3, .h0, .h1 };
    .op2   = { .add, .min, .max };
    .mode  = { .clamp, .wrap };
    .scale = { .shr7, .shr15 };
    .cmp   = { .eq, .ne, .lt, .le, .gt, .ge };
    needs sm_20 2.0
"""
for _vop in ("vadd", "vsub", "vabsdiff", "vmin", "vmax"):
    section("9.7.18.1.1", _vop, f"""
    // 32-bit scalar operation, with optional secondary operation
    {_vop}.dtype.atype.btype{{.sat}}       d, a{{.asel}}, b{{.bsel}};
    {_vop}.dtype.atype.btype{{.sat}}.op2   d, a{{.asel}}, b{{.bsel}}, c;
    // 32-bit scalar operation, with optional data merge
    {_vop}.dtype.atype.btype{{.sat}}  d.dsel, a{{.asel}}, b{{.bsel}}, c;
""" + _SELECT)  # fmt: skip
for _vop in ("vshl", "vshr"):
    section("9.7.18.1.2", _vop, f"""
    // 32-bit scalar operation, with optional secondary operation
    {_vop}.dtype.atype.u32{{.sat}}.mode       d, a{{.asel}}, b{{.bsel}};
    {_vop}.dtype.atype.u32{{.sat}}.mode.op2   d, a{{.asel}}, b{{.bsel}}, c;
    // 32-bit scalar operation, with optional data merge
    {_vop}.dtype.atype.u32{{.sat}}.mode  d.dsel, a{{.asel}}, b{{.bsel}}, c;
""" + _SELECT)  # fmt: skip
section("9.7.18.1.3", "vmad", """
    // 32-bit scalar operation
    vmad.dtype.atype.btype{.sat}{.scale}     d, {-}a{.asel}, {-}b{.bsel}, {-}c;
    vmad.dtype.atype.btype.po{.sat}{.scale}  d, a{.asel}, b{.bsel}, c;
""" + _SELECT)  # fmt: skip
section("9.7.18.1.4", "vset", """
    // 32-bit scalar operation, with optional secondary operation
    vset.atype.btype.cmp       d, a{.asel}, b{.bsel};
    vset.atype.btype.cmp.op2   d, a{.asel}, b{.bsel}, c;
    // 32-bit scalar operation, with optional data merge
    vset.atype.btype.cmp  d.dsel, a{.asel}, b{.bsel}, c;
""" + _SELECT)  # fmt: skip
_SIMD2 = """
    .dtype = .atype = .btype = { .u32, .s32 };
    .cmp   = { .eq, .ne, .lt, .le, .gt, .ge };
    .mask  = { .h0, .h1, .h10 };  // defaults to .h10
    .asel  = .bsel = { .h10, .h32, .h00, .h11, .h12, .h23, .h31, .h02 };  // .hxy, where x,y are from { 0, 1, 2, 3 }
    needs sm_30 3.0
"""
_SIMD4 = """
    .dtype = .atype = .btype = { .u32, .s32 };
    .cmp   = { .eq, .ne, .lt, .le, .gt, .ge };
    .mask  = { .b0, .b1, .b10, .b2, .b20, .b21, .b210, .b3, .b30, .b31, .b310, .b32, .b320, .b321, .b3210 };
    .asel  = .bsel = { .b3210, .b7654, .b0123, .b0000, .b7531 };  // .bxyzw, where x,y,z,w are from { 0, ..., 7 }
    needs sm_30 3.0
"""
for _count, _sets, _part in ((2, _SIMD2, "1"), (4, _SIMD4, "3")):
    for _vop in ("vadd", "vsub", "vavrg", "vabsdiff", "vmin", "vmax"):
        section(f"9.7.18.2.{_part}", f"{_vop}{_count}", f"""
    // SIMD instruction with secondary SIMD merge operation
    {_vop}{_count}.dtype.atype.btype{{.sat}}  d{{.mask}}, a{{.asel}}, b{{.bsel}}, c;
    // SIMD instruction with secondary accumulate operation
    {_vop}{_count}.dtype.atype.btype.add  d{{.mask}}, a{{.asel}}, b{{.bsel}}, c;
""" + _sets)  # fmt: skip
    section(f"9.7.18.2.{int(_part) + 1}", f"vset{_count}", f"""
    vset{_count}.atype.btype.cmp      d{{.mask}}, a{{.asel}}, b{{.bsel}}, c;
    vset{_count}.atype.btype.cmp.add  d{{.mask}}, a{{.asel}}, b{{.bsel}}, c;
""" + _sets)  # fmt: skip
section("9.7.19.1", "brkpt", """
    brkpt;
    needs sm_11 1.0
""")
section("9.7.19.2", "nanosleep", """
    nanosleep.u32 t;
    needs sm_70 6.3
""")
section("9.7.19.3", "pmevent", """
    pmevent       a;    where a 3       // trigger a single performance monitor event
    pmevent.mask  a;    where a 0xff    // trigger one or more performance monitor events
    needs sm_10 1.4
    needs sm_20 3.0: .mask
""")
section("9.7.19.4", "trap", """
    trap;
""")
section("9.7.19.5", "setmaxnreg", """
    setmaxnreg.action.sync.aligned.u32 imm-reg-count;  where imm-reg-count 64
    .action = { .inc, .dec };
    needs sm_90a 8.0
""")
