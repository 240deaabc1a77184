"""9.7.3 Floating Point Instructions."""
from __future__ import annotations

from .say import FLOATS, say
from .table import section

section("9.7.3.1", "testp", """
    testp.op.type  p, a;  // result is .pred
    .op   = { .finite, .infinite,
              .number, .notanumber,
              .normal, .subnormal };
    .type = { .f32, .f64 };
    needs sm_20 2.0
""")
section("9.7.3.2", "copysign", """
    copysign.type  d, a, b;
    .type = { .f32, .f64 };
    needs sm_20 2.0
""")
say("copysign", "copysign.type", FLOATS, args="b a")  # the manual's a gives the sign
section("9.7.3.3", "add", """
    add{.rnd}{.ftz}{.sat}.f32  d, a, b;
    add{.rnd}.f64              d, a, b;
    .rnd = { .rn, .rz, .rm, .rp };
    needs sm_13 1.0: .f64
    needs sm_20 1.0: .rm .rp & .f32
""")
say("fadd", "add{.rnd}{.ftz}{.sat}.f32", "f32")
say("fadd", "add{.rnd}.f64", "f64")
section("9.7.3.3", "add.f32x2", """
    add{.rnd}{.ftz}.f32x2      d, a, b;
    .rnd = { .rn, .rz, .rm, .rp };
    needs sm_100 8.6
""")
section("9.7.3.4", "sub", """
    sub{.rnd}{.ftz}{.sat}.f32  d, a, b;
    sub{.rnd}.f64              d, a, b;
    .rnd = { .rn, .rz, .rm, .rp };
    needs sm_13 1.0: .f64
    needs sm_20 1.0: .rm .rp & .f32
""")
say("fsub", "sub{.rnd}{.ftz}{.sat}.f32", "f32")
say("fsub", "sub{.rnd}.f64", "f64")
section("9.7.3.4", "sub.f32x2", """
    sub{.rnd}{.ftz}.f32x2      d, a, b;
    .rnd = { .rn, .rz, .rm, .rp };
    needs sm_100 8.6
""")
section("9.7.3.5", "mul", """
    mul{.rnd}{.ftz}{.sat}.f32  d, a, b;
    mul{.rnd}.f64              d, a, b;
    .rnd = { .rn, .rz, .rm, .rp };
    needs sm_13 1.0: .f64
    needs sm_20 1.0: .rm .rp & .f32
""")
say("fmul", "mul{.rnd}{.ftz}{.sat}.f32", "f32")
say("fmul", "mul{.rnd}.f64", "f64")
section("9.7.3.5", "mul.f32x2", """
    mul{.rnd}{.ftz}.f32x2      d, a, b;
    .rnd = { .rn, .rz, .rm, .rp };
    needs sm_100 8.6
""")
section("9.7.3.6", "fma", """
    fma.rnd{.ftz}{.sat}.f32  d, a, b, c;
    fma.rnd.f64              d, a, b, c;
    .rnd = { .rn, .rz, .rm, .rp };
    needs sm_20 2.0: .f32
    needs sm_13 1.4: .f64
""")
say("ffma", "fma.rnd{.ftz}{.sat}.f32", "f32")
say("ffma", "fma.rnd.f64", "f64")
section("9.7.3.6", "fma.f32x2", """
    fma.rnd{.ftz}.f32x2      d, a, b, c;
    .rnd = { .rn, .rz, .rm, .rp };
    needs sm_100 8.6
""")
section("9.7.3.7", "mad", """
    mad{.ftz}{.sat}.f32      d, a, b, c;    until 3.1    // .target sm_1x; mad.rn for later ones
    mad.rnd{.ftz}{.sat}.f32  d, a, b, c;    // .target sm_20
    mad.rnd.f64              d, a, b, c;    // .target sm_13 and higher
    .rnd = { .rn, .rz, .rm, .rp };
    needs sm_20 2.0: .rnd & .f32
    needs sm_13 1.4: .f64
""")
section("9.7.3.8", "div", """
    div.approx{.ftz}.f32  d, a, b;  // fast, approximate divide
    div.full{.ftz}.f32    d, a, b;  // full-range approximate divide
    div.rnd{.ftz}.f32     d, a, b;  // IEEE 754 compliant rounding
    div.rnd.f64           d, a, b;  // IEEE 754 compliant rounding
    .rnd = { .rn, .rz, .rm, .rp };
    needs sm_10 1.4
    needs sm_20 1.4: .rnd & .f32, .rz .rm .rp & .f64
    needs sm_13 1.4: .f64
""")
say("fdiv", "div.rnd{.ftz}.f32", "f32")
say("fdiv", "div.rnd.f64", "f64")
say("fdiv", "div.approx{.ftz}.f32", "f32", approx=True)
section("9.7.3.9", "abs", """
    abs{.ftz}.f32  d, a;
    abs.f64        d, a;
    needs sm_13 1.0: .f64
""")
say("fabs", "abs{.ftz}.f32", "f32")
say("fabs", "abs.f64", "f64")
section("9.7.3.10", "neg", """
    neg{.ftz}.f32  d, a;
    neg.f64        d, a;
    needs sm_13 1.0: .f64
""")
say("fneg", "neg{.ftz}.f32", "f32")
say("fneg", "neg.f64", "f64")
section("9.7.3.11", "min", """
    min{.ftz}{.NaN}.f32  d, a, b;
    min.f64              d, a, b;
    needs sm_13 1.0: .f64
    needs sm_80 7.0: .NaN
""")
say("fminnum", "min{.ftz}{.NaN}.f32", "f32")
say("fminnum", "min.f64", "f64")
section("9.7.3.11", "min.xorsign.abs", """
    min{.ftz}{.NaN}.xorsign.abs.f32  d, a, b;
    needs sm_86 7.2
""")
section("9.7.3.11", "min of three", """
    min{.ftz}{.NaN}{.abs}.f32  d, a, b, c;
    needs sm_100 8.8
""")
section("9.7.3.12", "max", """
    max{.ftz}{.NaN}.f32  d, a, b;
    max.f64              d, a, b;
    needs sm_13 1.0: .f64
    needs sm_80 7.0: .NaN
""")
say("fmaxnum", "max{.ftz}{.NaN}.f32", "f32")
say("fmaxnum", "max.f64", "f64")
section("9.7.3.12", "max.xorsign.abs", """
    max{.ftz}{.NaN}.xorsign.abs.f32  d, a, b;
    needs sm_86 7.2
""")
section("9.7.3.12", "max of three", """
    max{.ftz}{.NaN}{.abs}.f32  d, a, b, c;
    needs sm_100 8.8
""")
section("9.7.3.13", "rcp", """
    rcp.approx{.ftz}.f32  d, a;  // fast, approximate reciprocal
    rcp.rnd{.ftz}.f32     d, a;  // IEEE 754 compliant rounding
    rcp.rnd.f64           d, a;  // IEEE 754 compliant rounding
    .rnd = { .rn, .rz, .rm, .rp };
    needs sm_10 1.4
    needs sm_13 1.4: .f64
    needs sm_20 2.0: .rnd & .f32, .rz .rm .rp
""")
section("9.7.3.14", "rcp.approx.ftz.f64", """
    rcp.approx.ftz.f64  d, a;
    needs sm_20 2.1
""")
section("9.7.3.15", "sqrt", """
    sqrt.approx{.ftz}.f32  d, a; // fast, approximate square root
    sqrt.rnd{.ftz}.f32     d, a; // IEEE 754 compliant rounding
    sqrt.rnd.f64           d, a; // IEEE 754 compliant rounding
    .rnd = { .rn, .rz, .rm, .rp };
    needs sm_10 1.4
    needs sm_13 1.4: .f64
    needs sm_20 2.0: .rnd & .f32, .rz .rm .rp
""")
say("fsqrt", "sqrt.rnd{.ftz}.f32", "f32")
say("fsqrt", "sqrt.rnd.f64", "f64")
say("fsqrt", "sqrt.approx{.ftz}.f32", "f32", approx=True)
section("9.7.3.16", "rsqrt", """
    rsqrt.approx{.ftz}.f32  d, a;
    rsqrt.approx.f64        d, a;
    needs sm_10 1.4
    needs sm_13 1.4: .f64
""")
say("rsqrt", "rsqrt.approx{.ftz}.f32", "f32", approx=True)
section("9.7.3.17", "rsqrt.approx.ftz.f64", """
    rsqrt.approx.ftz.f64 d, a;
    needs sm_20 4.0
""")
section("9.7.3.18", "sin", """
    sin.approx{.ftz}.f32  d, a;
    needs sm_10 1.4
""")
say("sin", "sin.approx{.ftz}.f32", "f32", approx=True)
section("9.7.3.19", "cos", """
    cos.approx{.ftz}.f32  d, a;
    needs sm_10 1.4
""")
say("cos", "cos.approx{.ftz}.f32", "f32", approx=True)
section("9.7.3.20", "lg2", """
    lg2.approx{.ftz}.f32  d, a;
    needs sm_10 1.4
""")
say("log2", "lg2.approx{.ftz}.f32", "f32", approx=True)
section("9.7.3.21", "ex2", """
    ex2.approx{.ftz}.f32  d, a;
    needs sm_10 1.4
""")
say("exp2", "ex2.approx{.ftz}.f32", "f32", approx=True)
section("9.7.3.22", "tanh", """
    tanh.approx.f32 d, a;
    needs sm_75 7.0
""")
say("tanh", "tanh.approx.f32", "f32", approx=True)
