"""The instruction table, one file per chapter of PTX ISA §9.7.  A row is data and mirrors the manual's syntax line:

    row("fadd", "add{.rnd}{.ftz}{.sat}.TYPE d, a, b", "f32 f64")

`TYPE` stands for each of the types; `{.rnd}` and its kin are filled from the op's attributes of that name (`rnd` is written as `.rn`
if the op has none: a bare `add.f32` may be contracted by ptxas); an attribute without a place in the pattern is refused.  `ROWS[op][type]` is the pattern.  Ops of 8 and 16 bits, and those
without an instruction, are sequences in `targets/ptx/expand.py`.
"""
from __future__ import annotations

ROWS: dict[str, dict[str, str]] = {}


def row(op: str, pattern: str, types: str, **spelling: str) -> None:
    """`spelling` gives the instruction's name of a type where it differs (i32 is `s32` unless said)."""
    for t in types.split():
        ROWS.setdefault(op, {})[t] = pattern.replace("TYPE", spelling.get(t, SPELL[t]))


SPELL = {"i8": "s16", "i16": "s16", "i32": "s32", "i64": "s64", "f16": "f16", "bf16": "bf16", "f32": "f32", "f64": "f64", "i1": "pred"}
_INTS = "i16 i32 i64"
_U = {"i16": "u16", "i32": "u32", "i64": "u64"}
_B = {"i16": "b16", "i32": "b32", "i64": "b64"}

# ---- 9.7.1 Integer Arithmetic Instructions
row("iadd", "add.TYPE d, a, b", _INTS)
row("isub", "sub.TYPE d, a, b", _INTS)
row("imul", "mul.lo.TYPE d, a, b", _INTS)
row("imulhi_s", "mul.hi.TYPE d, a, b", _INTS)
row("imulhi_u", "mul.hi.TYPE d, a, b", _INTS, **_U)
row("idiv_s", "div.TYPE d, a, b", _INTS)
row("idiv_u", "div.TYPE d, a, b", _INTS, **_U)
row("irem_s", "rem.TYPE d, a, b", _INTS)
row("irem_u", "rem.TYPE d, a, b", _INTS, **_U)
row("ineg", "neg.TYPE d, a", _INTS)
row("iabs", "abs.TYPE d, a", _INTS)
row("imin_s", "min.TYPE d, a, b", _INTS)
row("imax_s", "max.TYPE d, a, b", _INTS)
row("imin_u", "min.TYPE d, a, b", _INTS, **_U)
row("imax_u", "max.TYPE d, a, b", _INTS, **_U)
row("brev", "brev.TYPE d, a", "i32 i64", **_B)

# ---- 9.7.3 Floating-Point Instructions
row("fadd", "add{.rnd}{.ftz}{.sat}.TYPE d, a, b", "f32")
row("fadd", "add{.rnd}.TYPE d, a, b", "f64")
row("fsub", "sub{.rnd}{.ftz}{.sat}.TYPE d, a, b", "f32")
row("fsub", "sub{.rnd}.TYPE d, a, b", "f64")
row("fmul", "mul{.rnd}{.ftz}{.sat}.TYPE d, a, b", "f32")
row("fmul", "mul{.rnd}.TYPE d, a, b", "f64")
row("ffma", "fma{.rnd}{.ftz}{.sat}.TYPE d, a, b, c", "f32")
row("ffma", "fma{.rnd}.TYPE d, a, b, c", "f64")
row("fdiv", "div{.rnd}{.ftz}.TYPE d, a, b", "f32")
row("fdiv", "div{.rnd}.TYPE d, a, b", "f64")
row("fsqrt", "sqrt{.rnd}{.ftz}.TYPE d, a", "f32")
row("fsqrt", "sqrt{.rnd}.TYPE d, a", "f64")
row("fabs", "abs{.ftz}.TYPE d, a", "f32 f64")
row("fneg", "neg{.ftz}.TYPE d, a", "f32 f64")
row("fminnum", "min{.ftz}.TYPE d, a, b", "f32 f64")
row("fmaxnum", "max{.ftz}.TYPE d, a, b", "f32 f64")
row("copysign", "copysign.TYPE d, b, a", "f32 f64")

# the hardware's approximations, which only `fast_math` asks for
APPROX = {"fdiv": "div.approx{.ftz}.f32 d, a, b", "fsqrt": "sqrt.approx{.ftz}.f32 d, a", "rsqrt": "rsqrt.approx{.ftz}.f32 d, a", "exp2": "ex2.approx{.ftz}.f32 d, a",
          "log2": "lg2.approx{.ftz}.f32 d, a", "sin": "sin.approx{.ftz}.f32 d, a", "cos": "cos.approx{.ftz}.f32 d, a", "tanh": "tanh.approx.f32 d, a"}  # fmt: skip

# ---- 9.7.6 Comparison and Selection Instructions
row("icmp", "setp.CMP.TYPE d, a, b", _INTS)
row("fcmp", "setp.CMP.TYPE d, a, b", "f32 f64")
row("select", "selp.TYPE d, b, c, a", "i8 i16 i32 i64 f16 bf16 f32 f64", i8="b16", i16="b16", i32="b32", i64="b64", f16="b16", bf16="b16")

# ---- 9.7.8 Logic and Shift Instructions
row("and", "and.TYPE d, a, b", "i1 i8 i16 i32 i64", i8="b16", **_B)
row("or", "or.TYPE d, a, b", "i1 i8 i16 i32 i64", i8="b16", **_B)
row("xor", "xor.TYPE d, a, b", "i1 i8 i16 i32 i64", i8="b16", **_B)
row("not", "not.TYPE d, a", "i1 i8 i16 i32 i64", i8="b16", **_B)

# ---- 9.7.9 Data Movement and Conversion Instructions: rounding to an integral value
for _op, _r in (("ffloor", "rmi"), ("fceil", "rpi"), ("ftrunc", "rzi"), ("frint", "rni")):
    row(_op, f"cvt.{_r}.TYPE.TYPE d, a", "f32 f64")

FCMP = {"oeq": "eq", "one": "ne", "olt": "lt", "ole": "le", "ogt": "gt", "oge": "ge", "ord": "num", "ueq": "equ", "une": "neu", "ult": "ltu",
        "ule": "leu", "ugt": "gtu", "uge": "geu", "uno": "nan"}  # fmt: skip
ICMP = {"eq": "eq", "ne": "ne", "slt": "lt", "sle": "le", "sgt": "gt", "sge": "ge", "ult": "lt", "ule": "le", "ugt": "gt", "uge": "ge"}

# What no PTX target can do, and why.
UNSUPPORTED = {"frem": "decomposed before PTX is written", "fscale": "decomposed before PTX is written", "switch": "no schedule makes it"}
for _op in ("named_barrier cluster_barrier cancel read_clock to_generic from_generic is_space alloca call call_indirect printf pause mbarrier copy async_wait "
            "shfl_sync vote_sync ballot_sync match_any_sync match_all_sync redux_sync warp_sync elect_sync activemask").split():  # fmt: skip
    UNSUPPORTED[_op] = "read from foreign PTX, never written: no schedule makes it"
