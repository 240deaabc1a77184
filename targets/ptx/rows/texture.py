"""9.7.10 Texture and 9.7.11 Surface Instructions."""
from __future__ import annotations

from .table import section


def _tex() -> str:
    """The manual's lines for each kind of geometry: its prose says that cubes have .f32 coordinates, multi-sample textures .s32 and no mipmaps."""
    out = []
    for geom, ctype, mip in ((".geom", ".ctype", True), (".cubes", ".f32", True), (".samples", ".s32", False)):
        for d, vec in ((".v4.dtype", "4x.dtype"), (".v2.f16x2", "2xb32")):
            out.append(f"tex{geom}{d}{ctype}  d[|p], [a, c]{{, e}}{{, f}};  where d {vec}")
            out.append(f"tex{geom}{d}{ctype}  d[|p], [a, b, c]{{, e}}{{, f}};  where d {vec}    // explicit sampler")
            for level, more in ((".base", ""), (".level", ", lod"), (".grad", ", dPdx, dPdy")) if mip else ():
                out.append(f"tex{level}{geom}{d}{ctype}  d[|p], [a, c]{more}{{, e}}{{, f}};  where d {vec}")
                out.append(f"tex{level}{geom}{d}{ctype}  d[|p], [a, b, c]{more}{{, e}}{{, f}};  where d {vec}    // explicit sampler")
    return "\n".join(out)


section("9.7.10.3", "tex", _tex() + """
    operands a tex, dPdx grad, dPdy grad, e offset, f f32
    .geom    = { .1d, .2d, .3d, .a1d, .a2d };
    .cubes   = { .cube, .acube };
    .samples = { .2dms, .a2dms };
    .dtype = { .u32, .s32, .f16,  .f32 };
    .ctype = {       .s32, .f32 };
    needs sm_10 1.5
    needs sm_20 3.0: .a1d .a2d .cube .acube
    needs sm_20 3.1: .base .level .grad
    needs sm_20 4.3: .grad & .cubes
    needs sm_30 3.2: .samples
    needs sm_53 4.2: .f16 .f16x2
    later textures
""")  # fmt: skip
section("9.7.10.4", "tld4", """
    tld4.comp.geom.v4.dtype.f32  d[|p], [a, c]{, e}{, f};      where d 4x.dtype, a tex, e offset, f f32
    tld4.comp.geom.v4.dtype.f32  d[|p], [a, b, c]{, e}{, f};   where d 4x.dtype, a tex, e offset, f f32    // explicit sampler
    .comp  = { .r, .g, .b, .a };
    .geom  = { .2d, .a2d, .cube, .acube };
    .dtype = { .u32, .s32, .f32 };
    needs sm_20 2.2
    needs sm_30 4.3: .a2d .cube .acube
    later textures
""")
section("9.7.10.5", "txq", """
    txq.tquery.b32         d, [a];       where a texref
    txq.level.tlquery.b32  d, [a], lod;  where a texref, lod b32
    txq.squery.b32         d, [a];       where a samplerref
    .tquery  = { .width, .height, .depth,
                 .channel_data_type, .channel_order,
                 .normalized_coords, .array_size,
                 .num_mipmap_levels, .num_samples };
    .tlquery = { .width, .height, .depth };
    .squery  = { .force_unnormalized_coords, .filter_mode,
                 .addr_mode_0, .addr_mode_1, .addr_mode_2 };
    needs sm_10 1.5
    needs sm_10 2.1: .channel_data_type .channel_order
    needs sm_10 2.2: .force_unnormalized_coords
    needs sm_30 4.1: .array_size .num_mipmap_levels .num_samples
    needs sm_30 4.3: .level
    later textures
""")
section("9.7.10.6", "istypep", """
    istypep.type   p, a;  where a b64    // result is .pred
    .type = { .texref, .samplerref, .surfref };
    needs sm_30 4.0
    later textures
""")
section("9.7.11.1", "suld", """
    suld.b.geom{.cop}{.vec}.dtype.clamp  d, [a, b];  where d .vec.dtype, a surf    // unformatted
    .geom  = { .1d, .2d, .3d, .a1d, .a2d };
    .cop   = { .ca, .cg, .cs, .cv };               // cache operation
    .vec   = { .v2, .v4 };
    .dtype = { .b8 , .b16, .b32, .b64 };
    .clamp = { .trap, .clamp, .zero };
    not .v4 & .b64
    needs sm_10 1.5
    needs sm_20 2.0: .cop .clamp .zero
    needs sm_20 3.0: .3d .a1d .a2d
    later surfaces
""")
section("9.7.11.2", "sust", """
    sust.b.geom{.cop}{.vec}.ctype.clamp    [a, b], c;  where c .vec.ctype, a surf  // unformatted
    sust.p.fgeom{.vec}.b32.clamp           [a, b], c;  where c .vec.b32, a surf    // formatted
    .geom  = { .1d, .2d, .3d, .a1d, .a2d };
    .fgeom = { .1d, .2d, .3d };
    .cop   = { .wb, .cg, .cs, .wt };                     // cache operation
    .vec   = { .v2, .v4 };
    .ctype = { .b8 , .b16, .b32, .b64 };
    .clamp = { .trap, .clamp, .zero };
    not .v4 & .b64
    needs sm_10 1.5
    needs sm_20 2.0: .p .cop .clamp .zero
    needs sm_20 3.0: .3d .a1d .a2d
    later surfaces
""")
section("9.7.11.3", "sured", """
    sured.b.op.geom.ctype.clamp  [a, b], c;  where a surf, c .ctype    // byte addressing
    sured.p.op.geom.ptype.clamp  [a, b], c;  where a surf, c .ptype    // sample addressing
    .op    = { .add, .min, .max, .and, .or };
    .geom  = { .1d, .2d, .3d };
    .ctype = { .u32, .u64, .s32, .b32, .s64 };  // for sured.b
    .ptype = { .b32, .b64 };                    // for sured.p
    .clamp = { .trap, .clamp, .zero };
    not .add & .b & .b32 .s64, .min .max & .b & .b32, .and .or & .b & .u32 .u64 .s32 .s64
    not .p & .add .and .or & .b64
    needs sm_20 2.0
    needs sm_50 8.1: .u64 .s64 .b64 & .min .max
    later surfaces
""")
section("9.7.11.4", "suq", """
    suq.query.b32   d, [a];  where a surfref
    .query = { .width, .height, .depth,
               .channel_data_type, .channel_order,
               .array_size, .memory_layout };
    needs sm_10 1.5
    needs sm_10 2.1: .channel_data_type .channel_order
    needs sm_10 4.1: .array_size
    needs sm_10 4.2: .memory_layout
    later surfaces
""")
