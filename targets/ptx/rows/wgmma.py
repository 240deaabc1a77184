"""9.7.15 Asynchronous Warpgroup Level Matrix Multiply-Accumulate Instructions."""
from __future__ import annotations

from .table import section


def _shapes(k: int, step: int = 8, few: bool = False) -> str:
    """The manual's lists of shapes: n is every multiple of 8 up to 256, for integers only some."""
    sizes = [8, 16, 24, 32, *range(48, 257, 16)] if few else range(8, 257, step)
    return ", ".join(f".m64n{n}k{k}" for n in sizes)


def _products(sp: str, meta: str, times: int) -> str:
    """The lines of dense (`sp` is empty) and sparse products."""
    extra = f", {meta}" if meta else ""
    where = ", sp-meta b32, sp-sel 0" if meta else ""
    lines = []
    # dtype place, dtypes, a and b, more operands with a-desc, … with a in registers, shape set
    for d, ab, more, held, shape in (
        (".dtype", ".f16.f16", ", imm-scale-a, imm-scale-b, imm-trans-a, imm-trans-b", ", imm-scale-a, imm-scale-b, imm-trans-b", "shape16"),
        (".f32", ".bf16.bf16", ", imm-scale-a, imm-scale-b, imm-trans-a, imm-trans-b", ", imm-scale-a, imm-scale-b, imm-trans-b", "shape16"),
        (".f32", ".tf32.tf32", ", imm-scale-a, imm-scale-b", ", imm-scale-a, imm-scale-b", "shape8"),
        (".dtype", ".f8type.f8type", ", imm-scale-a, imm-scale-b", ", imm-scale-a, imm-scale-b", "shape32"),
        ("{.satfinite}.s32", ".bytes.bytes", "", "", "ishape"),
        *([] if sp else [(".s32", ".b1.b1.and.popc", "", "", "bshape")]),
    ):  # fmt: skip
        dtype = d.rpartition(".")[2]
        values = "scale-d 1, imm-scale-a -1, imm-scale-b -1, imm-trans-a 0, imm-trans-b 0"
        for a, rest in (("a-desc", more), ("a", held)):
            lines.append(f"wgmma.mma_async{sp}.sync.aligned.{shape}{d}{ab}  d, {a}, b-desc{extra}, scale-d{rest};"
                         f"  where d MxN.{dtype}, a 4xb32, a-desc b64, b-desc b64{where}, {values}")  # fmt: skip
    sets = f"""
    .shape16 = {{ {_shapes(16 * times)} }};
    .shape8  = {{ {_shapes(8 * times)} }};
    .shape32 = {{ {_shapes(32 * times)} }};
    .ishape  = {{ {_shapes(32 * times, few=True)} }};
    .bshape  = {{ {_shapes(256, few=True)} }};
    .dtype   = {{ .f16, .f32 }};
    .f8type  = {{ .e4m3, .e5m2 }};
    .bytes   = {{ .s8, .u8 }};
    later products of a warpgroup
"""
    return "\n".join(lines) + sets


section("9.7.15.5.2", "wgmma.mma_async", _products("", "", 1) + """
    needs sm_90a 8.0
    needs sm_90a 8.4: .u8 & .s8
""")  # fmt: skip
section("9.7.15.6.3", "wgmma.mma_async.sp", _products(".sp", "sp-meta, sp-sel", 2) + """
    needs sm_90a 8.2
    needs sm_90a 8.4: .u8 & .s8
""")  # fmt: skip
section("9.7.15.7.1", "wgmma.fence", """
    wgmma.fence.sync.aligned;
    needs sm_90a 8.0
    later products of a warpgroup
""")
section("9.7.15.7.2", "wgmma.commit_group", """
    wgmma.commit_group.sync.aligned;
    needs sm_90a 8.0
    later products of a warpgroup
""")
section("9.7.15.7.3", "wgmma.wait_group", """
    wgmma.wait_group.sync.aligned N;  where N 0
    needs sm_90a 8.0
    later products of a warpgroup
""")
