"""9.7.4 Half Precision and 9.7.5 Mixed Precision Floating Point Instructions."""
from __future__ import annotations

from .table import section

for _n, _name in ((1, "add"), (2, "sub"), (3, "mul")):
    section(f"9.7.4.{_n}", _name, f"""
    {_name}{{.rnd}}{{.ftz}}{{.sat}}.f16   d, a, b;
    {_name}{{.rnd}}{{.ftz}}{{.sat}}.f16x2 d, a, b;
    {_name}{{.rnd}}.bf16   d, a, b;
    {_name}{{.rnd}}.bf16x2 d, a, b;
    .rnd = {{ .rn }};
    needs sm_53 4.2
    needs sm_90 7.8: .bf16 .bf16x2
""")
section("9.7.4.4", "fma", """
    fma.rnd{.ftz}{.sat}.f16     d, a, b, c;
    fma.rnd{.ftz}{.sat}.f16x2   d, a, b, c;
    fma.rnd{.ftz}.relu.f16      d, a, b, c;
    fma.rnd{.ftz}.relu.f16x2    d, a, b, c;
    fma.rnd{.relu}.bf16         d, a, b, c;
    fma.rnd{.relu}.bf16x2       d, a, b, c;
    .rnd = { .rn };
    needs sm_53 4.2
    needs sm_80 7.0: .relu, .bf16 .bf16x2
""")
section("9.7.4.4", "fma.oob", """
    fma.rnd.oob{.relu}.type     d, a, b, c;
    .rnd  = { .rn };
    .type = { .f16, .f16x2, .bf16, .bf16x2 };
    needs sm_90 8.1
""")
section("9.7.4.5", "neg", """
    neg{.ftz}.f16    d, a;
    neg{.ftz}.f16x2  d, a;
    neg.bf16         d, a;
    neg.bf16x2       d, a;
    needs sm_53 6.0
    needs sm_80 7.0: .bf16 .bf16x2
""")
section("9.7.4.6", "abs", """
    abs{.ftz}.f16    d, a;
    abs{.ftz}.f16x2  d, a;
    abs.bf16         d, a;
    abs.bf16x2       d, a;
    needs sm_53 6.5
    needs sm_80 7.0: .bf16 .bf16x2
""")
for _n, _name in ((7, "min"), (8, "max")):
    section(f"9.7.4.{_n}", _name, f"""
    {_name}{{.ftz}}{{.NaN}}{{.xorsign.abs}}.f16      d, a, b;
    {_name}{{.ftz}}{{.NaN}}{{.xorsign.abs}}.f16x2    d, a, b;
    {_name}{{.NaN}}{{.xorsign.abs}}.bf16           d, a, b;
    {_name}{{.NaN}}{{.xorsign.abs}}.bf16x2         d, a, b;
    needs sm_80 7.0
    needs sm_86 7.2: .xorsign
""")
section("9.7.4.9", "tanh", """
    tanh.approx.type d, a;
    .type = { .f16, .f16x2, .bf16, .bf16x2 }
    needs sm_75 7.0
    needs sm_90 7.8: .bf16 .bf16x2
""")
section("9.7.4.10", "ex2", """
    ex2.approx.atype     d, a;
    ex2.approx.ftz.btype d, a;
    .atype = { .f16,  .f16x2 }
    .btype = { .bf16, .bf16x2 }
    needs sm_75 7.0
    needs sm_90 7.8: .btype
""")
section("9.7.5.1", "add", """
    add{.rnd}{.sat}.f32.atype  d, a, c;  where d f32, c f32
    .atype = { .f16, .bf16 };
    .rnd   = { .rn, .rz, .rm, .rp };
    needs sm_100 8.6
""")
section("9.7.5.2", "sub", """
    sub{.rnd}{.sat}.f32.atype  d, a, c;  where d f32, c f32
    .atype = { .f16, .bf16 };
    .rnd   = { .rn, .rz, .rm, .rp };
    needs sm_100 8.6
""")
section("9.7.5.3", "fma", """
    fma.rnd{.sat}.f32.abtype  d, a, b, c;  where d f32, c f32
    .abtype = { .f16, .bf16 };
    .rnd    = { .rn, .rz, .rm, .rp };
    needs sm_100 8.6
""")
