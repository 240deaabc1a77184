"""What of the PTX ISA is read, lifted and run: one row per instruction of §9.7 (version 9.1), each with samples that are really tried.

    read     the reader takes the sample in a small kernel
    lifted   its meaning is known: the kernel's IR is there
    runs     code for a CPU is made of it

`ptxjit doctor --ptx-coverage` prints the table; `python -m ptxjit.targets.ptx.coverage` writes it to docs/ptx-coverage.md.
"""
from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, NamedTuple

from ...ir.errors import PtxjitError

CHAPTERS = {1: "Integer arithmetic", 2: "Extended precision", 3: "Floating point", 4: "Half precision", 5: "Mixed precision",
            6: "Comparison and selection", 7: "Half precision comparison", 8: "Logic and shift", 9: "Data movement and conversion", 10: "Texture",
            11: "Surface", 12: "Control flow", 13: "Synchronization and communication", 14: "Matrix: mma, wmma", 15: "Matrix: wgmma",
            16: "Tensor core, 5th generation", 17: "Stack", 18: "Video", 19: "Miscellaneous"}  # fmt: skip

# section | instruction | lowest architecture | samples, separated by `;`; `{}` inside of a sample is PTX
ROWS = r"""
1.1 | add | sm_75 | add.s32 %r0, %r1, %r2; add.sat.s32 %r0, %r1, 7; add.u64 %rd1, %rd2, %rd3
1.1 | add.{u,s}16x2 | sm_90 | add.u16x2 %r0, %r1, %r2; add.s16x2 %r0, %r1, %r2
1.2 | sub | sm_75 | sub.s16 %h0, %h1, %h2; sub.sat.s32 %r0, %r1, %r2
1.3 | mul | sm_75 | mul.lo.s32 %r0, %r1, %r2; mul.hi.u64 %rd1, %rd2, %rd3; mul.wide.u16 %r0, %h1, %h2
1.4 | mad | sm_75 | mad.lo.s32 %r0, %r1, %r2, %r3; mad.hi.sat.s32 %r0, %r1, %r2, %r3; mad.wide.u32 %rd1, %r1, %r2, %rd2
1.5 | mul24 | sm_75 | mul24.lo.s32 %r0, %r1, %r2; mul24.hi.u32 %r0, %r1, %r2
1.6 | mad24 | sm_75 | mad24.lo.u32 %r0, %r1, %r2, %r3; mad24.hi.sat.s32 %r0, %r1, %r2, %r3
1.7 | sad | sm_75 | sad.s32 %r0, %r1, %r2, %r3; sad.u64 %rd1, %rd2, %rd3, %rd4
1.8 | div | sm_75 | div.s32 %r0, %r1, %r2; div.u64 %rd1, %rd2, %rd3
1.9 | rem | sm_75 | rem.s16 %h0, %h1, %h2; rem.u32 %r0, %r1, %r2
1.10 | abs | sm_75 | abs.s32 %r0, %r1; abs.s64 %rd1, %rd2
1.11 | neg | sm_75 | neg.s32 %r0, %r1; neg.s16 %h0, %h1
1.12 | min | sm_90 | min.s32 %r0, %r1, %r2; min.relu.s16x2 %r0, %r1, %r2; min.u64 %rd1, %rd2, %rd3
1.13 | max | sm_90 | max.u16 %h0, %h1, %h2; max.relu.s32 %r0, %r1, %r2; max.u16x2 %r0, %r1, %r2
1.14 | popc | sm_75 | popc.b32 %r0, %r1; popc.b64 %r0, %rd1
1.15 | clz | sm_75 | clz.b32 %r0, %r1; clz.b64 %r0, %rd1
1.16 | bfind | sm_75 | bfind.u32 %r0, %r1; bfind.shiftamt.s64 %r0, %rd1
1.17 | fns | sm_75 | fns.b32 %r0, %r1, %r2, %r3
1.18 | brev | sm_75 | brev.b32 %r0, %r1; brev.b64 %rd1, %rd2
1.19 | bfe | sm_75 | bfe.s32 %r0, %r1, %r2, %r3; bfe.u64 %rd1, %rd2, %r2, %r3
1.20 | bfi | sm_75 | bfi.b32 %r0, %r1, %r2, %r3, %r4; bfi.b64 %rd1, %rd2, %rd3, %r1, %r2
1.21 | szext | sm_75 | szext.clamp.s32 %r0, %r1, %r2; szext.wrap.u32 %r0, %r1, %r2
1.22 | bmsk | sm_75 | bmsk.clamp.b32 %r0, %r1, %r2; bmsk.wrap.b32 %r0, %r1, %r2
1.23 | dp4a | sm_75 | dp4a.u32.u32 %r0, %r1, %r2, %r3; dp4a.s32.u32 %r0, %r1, %r2, %r3
1.24 | dp2a | sm_75 | dp2a.lo.u32.s32 %r0, %r1, %r2, %r3; dp2a.hi.s32.s32 %r0, %r1, %r2, %r3
2.1 | add.cc | sm_75 | add.cc.u32 %r0, %r1, %r2; add.cc.s64 %rd1, %rd2, %rd3
2.2 | addc | sm_75 | addc.u32 %r0, %r1, %r2; addc.cc.u64 %rd1, %rd2, %rd3
2.3 | sub.cc | sm_75 | sub.cc.u32 %r0, %r1, %r2; sub.cc.s64 %rd1, %rd2, %rd3
2.4 | subc | sm_75 | subc.cc.u32 %r0, %r1, %r2; subc.u64 %rd1, %rd2, %rd3
2.5 | mad.cc | sm_75 | mad.lo.cc.u32 %r0, %r1, %r2, %r3; mad.hi.cc.u64 %rd1, %rd2, %rd3, %rd4
2.6 | madc | sm_75 | madc.lo.u32 %r0, %r1, %r2, %r3; madc.hi.cc.s64 %rd1, %rd2, %rd3, %rd4
3.1 | testp | sm_75 | testp.finite.f32 %p0, %f1; testp.subnormal.f64 %p0, %d1
3.2 | copysign | sm_75 | copysign.f32 %f0, %f1, %f2; copysign.f64 %d0, %d1, %d2
3.3 | add | sm_75 | add.f32 %f0, %f1, %f2; add.rz.ftz.sat.f32 %f0, %f1, %f2; add.rp.f64 %d0, %d1, %d2
3.3 | add.f32x2 | sm_100 | add.rn.ftz.f32x2 %rd1, %rd2, %rd3
3.4 | sub | sm_75 | sub.rm.f32 %f0, %f1, %f2; sub.rn.f64 %d0, %d1, %d2
3.4 | sub.f32x2 | sm_100 | sub.rz.f32x2 %rd1, %rd2, %rd3
3.5 | mul | sm_75 | mul.ftz.f32 %f0, %f1, %f2; mul.rz.f64 %d0, %d1, %d2
3.5 | mul.f32x2 | sm_100 | mul.rp.f32x2 %rd1, %rd2, %rd3
3.6 | fma | sm_75 | fma.rn.ftz.sat.f32 %f0, %f1, %f2, %f3; fma.rm.f64 %d0, %d1, %d2, %d3
3.6 | fma.f32x2 | sm_100 | fma.rn.f32x2 %rd1, %rd2, %rd3, %rd4
3.7 | mad | sm_75 | mad.rn.f32 %f0, %f1, %f2, %f3; mad.rz.f64 %d0, %d1, %d2, %d3
3.8 | div | sm_75 | div.approx.f32 %f0, %f1, %f2; div.full.ftz.f32 %f0, %f1, %f2; div.rz.f64 %d0, %d1, %d2
3.9 | abs | sm_75 | abs.ftz.f32 %f0, %f1; abs.f64 %d0, %d1
3.10 | neg | sm_75 | neg.ftz.f32 %f0, %f1; neg.f64 %d0, %d1
3.11 | min | sm_80 | min.ftz.f32 %f0, %f1, %f2; min.NaN.f32 %f0, %f1, %f2; min.f64 %d0, %d1, %d2
3.11 | min.xorsign.abs | sm_86 | min.xorsign.abs.f32 %f0, %f1, %f2
3.11 | min of three | sm_100 | min.f32 %f0, %f1, %f2, %f3; min.NaN.abs.f32 %f0, %f1, %f2, %f3
3.12 | max | sm_80 | max.f32 %f0, %f1, %f2; max.ftz.NaN.f32 %f0, %f1, %f2; max.f64 %d0, %d1, %d2
3.12 | max of three | sm_100 | max.ftz.abs.f32 %f0, %f1, %f2, %f3
3.13 | rcp | sm_75 | rcp.approx.ftz.f32 %f0, %f1; rcp.rz.f32 %f0, %f1; rcp.rn.f64 %d0, %d1
3.14 | rcp.approx.ftz.f64 | sm_75 | rcp.approx.ftz.f64 %d0, %d1
3.15 | sqrt | sm_75 | sqrt.approx.f32 %f0, %f1; sqrt.rp.ftz.f32 %f0, %f1; sqrt.rn.f64 %d0, %d1
3.16 | rsqrt | sm_75 | rsqrt.approx.ftz.f32 %f0, %f1; rsqrt.approx.f64 %d0, %d1
3.17 | rsqrt.approx.ftz.f64 | sm_75 | rsqrt.approx.ftz.f64 %d0, %d1
3.18 | sin | sm_75 | sin.approx.ftz.f32 %f0, %f1
3.19 | cos | sm_75 | cos.approx.f32 %f0, %f1
3.20 | lg2 | sm_75 | lg2.approx.f32 %f0, %f1
3.21 | ex2 | sm_75 | ex2.approx.ftz.f32 %f0, %f1
3.22 | tanh | sm_75 | tanh.approx.f32 %f0, %f1
4.1 | add | sm_90 | add.ftz.sat.f16 %h0, %h1, %h2; add.rn.f16x2 %r0, %r1, %r2; add.bf16 %h0, %h1, %h2; add.rn.bf16x2 %r0, %r1, %r2
4.2 | sub | sm_90 | sub.f16 %h0, %h1, %h2; sub.ftz.f16x2 %r0, %r1, %r2; sub.rn.bf16x2 %r0, %r1, %r2
4.3 | mul | sm_90 | mul.sat.f16 %h0, %h1, %h2; mul.f16x2 %r0, %r1, %r2; mul.bf16 %h0, %h1, %h2
4.4 | fma | sm_80 | fma.rn.relu.f16 %h0, %h1, %h2, %h3; fma.rn.ftz.f16x2 %r0, %r1, %r2, %r3; fma.rn.bf16x2 %r0, %r1, %r2, %r3
4.4 | fma.oob | sm_90 | fma.rn.oob.f16 %h0, %h1, %h2, %h3; fma.rn.oob.relu.bf16x2 %r0, %r1, %r2, %r3
4.5 | neg | sm_80 | neg.ftz.f16 %h0, %h1; neg.bf16x2 %r0, %r1
4.6 | abs | sm_80 | abs.f16x2 %r0, %r1; abs.bf16 %h0, %h1
4.7 | min | sm_86 | min.ftz.NaN.f16 %h0, %h1, %h2; min.xorsign.abs.f16x2 %r0, %r1, %r2; min.bf16 %h0, %h1, %h2
4.8 | max | sm_86 | max.f16 %h0, %h1, %h2; max.NaN.xorsign.abs.bf16x2 %r0, %r1, %r2
4.9 | tanh | sm_90 | tanh.approx.f16 %h0, %h1; tanh.approx.bf16x2 %r0, %r1
4.10 | ex2 | sm_90 | ex2.approx.f16x2 %r0, %r1; ex2.approx.ftz.bf16 %h0, %h1
5.1 | add | sm_100 | add.rz.sat.f32.f16 %f0, %h1, %f2; add.f32.bf16 %f0, %h1, %f2
5.2 | sub | sm_100 | sub.rn.f32.f16 %f0, %h1, %f2; sub.rp.f32.bf16 %f0, %h1, %f2
5.3 | fma | sm_100 | fma.rn.f32.f16 %f0, %h1, %h2, %f3; fma.rm.sat.f32.bf16 %f0, %h1, %h2, %f3
6.1 | set | sm_75 | set.lt.and.u32.s32 %r0, %r1, %r2, %p1; set.leu.ftz.f32.f32 %f0, %f1, %f2
6.2 | setp | sm_75 | setp.lt.and.s32 %p0|%p1, %r1, %r2, %p2; setp.nan.f64 %p0, %d1, %d2
6.3 | selp | sm_75 | selp.f32 %f0, %f1, %f2, %p0; selp.b64 %rd1, %rd2, %rd3, %p0
6.4 | slct | sm_75 | slct.u32.s32 %r0, %r1, %r2, %r3; slct.ftz.f64.f32 %d0, %d1, %d2, %f3
7.1 | set | sm_90 | set.gtu.u32.f16 %r0, %h1, %h2; set.eq.f16x2.f16x2 %r0, %r1, %r2; set.lt.bf16.bf16 %h0, %h1, %h2
7.2 | setp | sm_90 | setp.ne.ftz.f16 %p0, %h1, %h2; setp.lt.or.f16x2 %p0|%p1, %r1, %r2, %p2; setp.geu.bf16x2 %p0|%p1, %r1, %r2
8.1 | and | sm_75 | and.b32 %r0, %r1, %r2; and.pred %p0, %p1, %p2
8.2 | or | sm_75 | or.b64 %rd1, %rd2, %rd3; or.b16 %h0, %h1, %h2
8.3 | xor | sm_75 | xor.b32 %r0, %r1, 0xff; xor.pred %p0, %p1, %p2
8.4 | not | sm_75 | not.b16 %h0, %h1; not.pred %p0, %p1
8.5 | cnot | sm_75 | cnot.b32 %r0, %r1; cnot.b64 %rd1, %rd2
8.6 | lop3 | sm_75 | lop3.b32 %r0, %r1, %r2, %r3, 0xe8; lop3.and.b32 %r0|%p0, %r1, %r2, %r3, 0x96, %p1
8.7 | shf | sm_75 | shf.l.wrap.b32 %r0, %r1, %r2, %r3; shf.r.clamp.b32 %r0, %r1, %r2, %r3
8.8 | shl | sm_75 | shl.b32 %r0, %r1, %r2; shl.b16 %h0, %h1, %r2
8.9 | shr | sm_75 | shr.s64 %rd1, %rd2, %r2; shr.u16 %h0, %h1, 3
9.3 | mov | sm_75 | mov.u32 %r0, %tid.x; mov.f32 %f0, 0f3F800000; mov.u64 %rd1, glob; mov.pred %p0, 1
9.4 | mov (pack, unpack) | sm_75 | mov.b64 %rd1, {%r0, %r1}; mov.b64 {%r0, %r1}, %rd1; mov.b128 %q0, {%rd1, %rd2}; mov.b32 {%h0, %h1}, %r1
9.5 | shfl | sm_60 | shfl.down.b32 %r0|%p0, %r1, 1, 31
9.6 | shfl.sync | sm_75 | shfl.sync.up.b32 %r0|%p0, %r1, %r2, 0, -1; shfl.sync.idx.b32 %r0, %r1, 0, 31, %r4
9.7 | prmt | sm_75 | prmt.b32 %r0, %r1, %r2, %r3; prmt.b32.f4e %r0, %r1, %r2, %r3; prmt.b32 %r0, %r1, %r2, 0x5410
9.8 | ld | sm_75 | ld.global.u32 %r0, [%rd0]; ld.v4.f32 {%f0, %f1, %f2, %f3}, [%rd0+16]; ld.acquire.gpu.shared.u64 %rd1, [smem]; ld.const.b8 %h0, [konst+3]
9.9 | ld.global.nc | sm_75 | ld.global.nc.L1::no_allocate.v2.u32 {%r0, %r1}, [%rd0]
9.10 | ldu | sm_75 | ldu.global.v2.f64 {%d0, %d1}, [%rd0]
9.11 | st | sm_75 | st.shared.u32 [smem+8], %r1; st.release.sys.global.u64 [%rd0], %rd1; st.global.cs.v2.b32 [%rd0], {%r0, %r1}
9.12 | st.async | sm_90 | st.async.shared::cluster.mbarrier::complete_tx::bytes.u32 [%r1], %r2, [%r3]
9.12 | st.async.release | sm_100 | st.async.release.gpu.global.u32 [%rd0], %r2
9.13 | st.bulk | sm_100 | st.bulk.weak.shared::cta [%r1], %rd2, 0
9.14 | multimem.ld_reduce | sm_90 | multimem.ld_reduce.relaxed.sys.global.add.f32 %f0, [%rd0]
9.14 | multimem.st | sm_90 | multimem.st.relaxed.sys.global.f32 [%rd0], %f1
9.14 | multimem.red | sm_90 | multimem.red.relaxed.sys.global.add.f32 [%rd0], %f1
9.15 | prefetch | sm_80 | prefetch.global.L2 [%rd0]; prefetch.global.L2::evict_last [%rd0]
9.15 | prefetchu | sm_75 | prefetchu.L1 [%rd0]
9.16 | applypriority | sm_80 | applypriority.global.L2::evict_normal [%rd0], 128
9.17 | discard | sm_80 | discard.global.L2 [%rd0], 128
9.18 | createpolicy | sm_80 | createpolicy.fractional.L2::evict_last.b64 %rd1, 1.0
9.19 | isspacep | sm_75 | isspacep.shared %p0, %rd0; isspacep.global %p0, %rd0
9.20 | cvta | sm_75 | cvta.to.global.u64 %rd1, %rd0; cvta.shared.u64 %rd1, smem; cvta.global.u64 %rd1, glob
9.21 | cvt | sm_75 | cvt.s64.s32 %rd1, %r1; cvt.sat.u8.s32 %r0, %r1; cvt.rni.ftz.s32.f32 %r0, %f1; cvt.rn.f16.f32 %h0, %f1; cvt.rp.f32.f64 %f0, %d1
9.21 | cvt to pairs | sm_80 | cvt.rn.relu.f16x2.f32 %r0, %f1, %f2; cvt.rz.bf16x2.f32 %r0, %f1, %f2; cvt.rna.tf32.f32 %r0, %f1
9.21 | cvt of fp8 | sm_89 | cvt.rn.satfinite.e4m3x2.f32 %h0, %f1, %f2; cvt.rn.f16x2.e5m2x2 %r0, %h1; cvt.rn.satfinite.e5m2x2.f16x2 %h0, %r1
9.21 | cvt of fp6, fp4 | sm_100a | cvt.rn.satfinite.e2m3x2.f32 %h0, %f1, %f2; cvt.rn.f16x2.e3m2x2 %r0, %h1; cvt.rz.satfinite.ue8m0x2.f32 %h0, %f1, %f2
9.21 | cvt of s2f6 | sm_100a | cvt.rn.satfinite.relu.s2f6x2.f32 %h0, %f1, %f2; cvt.rn.satfinite.scaled::n2::ue8m0.s2f6x2.bf16x2 %h0, %r1, %h1; cvt.rn.scaled::n2::ue8m0.bf16x2.s2f6x2 %r0, %h1, %h2
9.21 | cvt.rs | sm_100a | cvt.rs.f16x2.f32 %r0, %f1, %f2, %r3; cvt.rs.satfinite.e4m3x4.f32 %r0, {%f0, %f1, %f2, %f3}, %r3
9.22 | cvt.pack | sm_75 | cvt.pack.sat.s16.s32 %r0, %r1, %r2; cvt.pack.sat.u8.s32.b32 %r0, %r1, %r2, %r3; cvt.pack.sat.u4.s32.b32 %r0, %r1, %r2, %r3
9.23 | mapa | sm_90 | mapa.shared::cluster.u32 %r0, %r1, %r2; mapa.u64 %rd1, %rd2, %r2
9.24 | getctarank | sm_90 | getctarank.shared::cluster.u32 %r0, %r1; getctarank.u64 %r0, %rd1
9.25.3.1 | cp.async | sm_80 | cp.async.ca.shared.global [%r1], [%rd0], 4; cp.async.cg.shared.global [%r1], [%rd0], 16, %r2
9.25.3.2 | cp.async.commit_group | sm_80 | cp.async.commit_group
9.25.3.3 | cp.async.wait_group | sm_80 | cp.async.wait_group 2
9.25.3.3 | cp.async.wait_all | sm_80 | cp.async.wait_all
9.25.4.1 | cp.async.bulk | sm_90 | cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [%rd0], %r2, [%r3]; cp.async.bulk.global.shared::cta.bulk_group [%rd0], [%r1], %r2
9.25.4.1 | cp.async.bulk.cp_mask | sm_100 | cp.async.bulk.global.shared::cta.bulk_group.cp_mask [%rd0], [%r1], %r2, %h1
9.25.4.2 | cp.reduce.async.bulk | sm_90 | cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f32 [%rd0], [%r1], %r2
9.25.4.3 | cp.async.bulk.prefetch | sm_90 | cp.async.bulk.prefetch.L2.global [%rd0], %r2
9.26 | multimem.cp.async.bulk | sm_90 | multimem.cp.async.bulk.global.shared::cta.bulk_group [%rd0], [%r1], %r2
9.27 | multimem.cp.reduce.async.bulk | sm_90 | multimem.cp.reduce.async.bulk.global.shared::cta.bulk_group.add.u32 [%rd0], [%r1], %r2
9.27.1.2 | cp.async.bulk.tensor | sm_90 | cp.async.bulk.tensor.1d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%r1], [%rd0, {%r2}], [%r3]
9.27.1.3 | cp.reduce.async.bulk.tensor | sm_90 | cp.reduce.async.bulk.tensor.2d.global.shared::cta.add.tile.bulk_group [%rd0, {%r2, %r3}], [%r1]
9.27.1.4 | cp.async.bulk.prefetch.tensor | sm_90 | cp.async.bulk.prefetch.tensor.1d.L2.global.tile [%rd0, {%r2}]
9.27.2.1 | cp.async.bulk.commit_group | sm_90 | cp.async.bulk.commit_group
9.27.2.2 | cp.async.bulk.wait_group | sm_90 | cp.async.bulk.wait_group.read 0; cp.async.bulk.wait_group 2
9.28 | tensormap.replace | sm_90a | tensormap.replace.tile.rank.global.b1024.b32 [%rd0], %r1
10.3 | tex | sm_75 | tex.1d.v4.f32.s32 {%f0, %f1, %f2, %f3}, [tref, {%r1}]; tex.2d.v4.f32.f32 {%f0, %f1, %f2, %f3}, [%rd0, {%f4, %f5}]
10.4 | tld4 | sm_75 | tld4.r.2d.v4.f32.f32 {%f0, %f1, %f2, %f3}, [tref, {%f4, %f5}]
10.5 | txq | sm_75 | txq.width.b32 %r0, [tref]
10.6 | istypep | sm_75 | istypep.texref %p0, %rd0
11.1 | suld | sm_75 | suld.b.1d.b32.trap %r0, [sref, {%r1}]
11.2 | sust | sm_75 | sust.b.1d.b32.trap [sref, {%r1}], %r2
11.3 | sured | sm_75 | sured.b.add.1d.u32.trap [sref, {%r1}], %r2
11.4 | suq | sm_75 | suq.width.b32 %r0, [sref]
12.1 | {} | sm_75 | { .reg .u32 x; mov.u32 x, 1; }
12.2 | @ | sm_75 | @%p0 add.s32 %r0, %r1, %r2; @!%p0 st.global.u32 [%rd0], %r1
12.3 | bra | sm_75 | @%p0 bra.uni DONE; bra DONE
12.4 | brx.idx | sm_75 | brx.idx %r1, TABLE
12.5 | call | sm_75 | call.uni (%r0), helper, (%r1)
12.5 | call (by address) | sm_75 | { .param .b32 x; .param .b32 y; st.param.b32 [x], %r1; call (y), %rd1, (x), PROTO; ld.param.b32 %r0, [y]; }
12.6 | ret | sm_75 | ret; @%p0 ret.uni
12.7 | exit | sm_75 | exit
13.1 | bar | sm_75 | bar.sync 0; bar.arrive 1, 64; bar.red.popc.u32 %r0, 1, %p0
13.1 | barrier | sm_75 | barrier.sync 0, 64; barrier.cta.sync.aligned 1; barrier.red.and.pred %p0, 1, %p1
13.2 | bar.warp.sync | sm_75 | bar.warp.sync -1
13.3 | barrier.cluster | sm_90 | barrier.cluster.arrive.release; barrier.cluster.wait.acquire; barrier.cluster.arrive.relaxed.aligned
13.4 | membar | sm_75 | membar.gl; membar.cta
13.4 | fence | sm_75 | fence.acq_rel.gpu; fence.sc.sys
13.4 | fence.proxy | sm_90 | fence.proxy.async; fence.mbarrier_init.release.cluster; fence.proxy.tensormap::generic.release.gpu
13.5 | atom | sm_75 | atom.global.add.u32 %r0, [%rd0], %r1; atom.shared.cas.b64 %rd1, [smem], %rd2, %rd3; atom.acq_rel.gpu.global.inc.u32 %r0, [%rd0], %r1
13.5 | atom of vectors, halves, 128 bits | sm_90 | atom.global.add.noftz.f16x2 %r0, [%rd0], %r1; atom.global.v2.f32.add {%f0, %f1}, [%rd0], {%f2, %f3}; atom.exch.b128 %q0, [%rd0], %q1
13.6 | red | sm_75 | red.global.max.s64 [%rd0], %rd1; red.shared.or.b32 [smem], %r1; red.global.add.f64 [%rd0], %d1
13.7 | red.async | sm_90 | red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.add.u32 [%r1], %r2, [%r3]
13.8 | vote | sm_60 | vote.any.pred %p0, %p1; vote.ballot.b32 %r0, %p1
13.9 | vote.sync | sm_75 | vote.sync.all.pred %p0, %p1, -1; vote.sync.ballot.b32 %r0, %p1, %r2
13.10 | match.sync | sm_75 | match.any.sync.b32 %r0, %r1, -1; match.all.sync.b64 %r0|%p0, %rd1, -1
13.11 | activemask | sm_75 | activemask.b32 %r0
13.12 | redux.sync | sm_80 | redux.sync.add.s32 %r0, %r1, -1; redux.sync.xor.b32 %r0, %r1, %r2
13.12 | redux.sync.f32 | sm_100a | redux.sync.min.abs.NaN.f32 %f0, %f1, -1
13.13 | griddepcontrol | sm_90 | griddepcontrol.launch_dependents; griddepcontrol.wait
13.14 | elect.sync | sm_90 | elect.sync %r0|%p0, -1; elect.sync _|%p0, %r1
13.15.9 | mbarrier.init | sm_80 | mbarrier.init.shared.b64 [bar8], 32
13.15.10 | mbarrier.inval | sm_80 | mbarrier.inval.shared.b64 [bar8]
13.15.11 | mbarrier.expect_tx | sm_90 | mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [bar8], %r1
13.15.12 | mbarrier.complete_tx | sm_90 | mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [bar8], %r1
13.15.13 | mbarrier.arrive | sm_80 | mbarrier.arrive.shared.b64 %rd1, [bar8]; mbarrier.arrive.noComplete.shared.b64 %rd1, [bar8], 2
13.15.13 | mbarrier.arrive.expect_tx | sm_90 | mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 %rd1, [bar8], %r1; mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r2], 1
13.15.14 | mbarrier.arrive_drop | sm_80 | mbarrier.arrive_drop.shared.b64 %rd1, [bar8]
13.15.15 | cp.async.mbarrier.arrive | sm_80 | cp.async.mbarrier.arrive.shared.b64 [bar8]; cp.async.mbarrier.arrive.noinc.shared.b64 [bar8]
13.15.16 | mbarrier.test_wait | sm_80 | mbarrier.test_wait.shared.b64 %p0, [bar8], %rd1; mbarrier.test_wait.parity.shared.b64 %p0, [bar8], 1
13.15.16 | mbarrier.try_wait | sm_90 | mbarrier.try_wait.shared.b64 %p0, [bar8], %rd1; mbarrier.try_wait.parity.acquire.cta.shared::cta.b64 %p0, [bar8], %r1, 1000
13.15.17 | mbarrier.pending_count | sm_80 | mbarrier.pending_count.b64 %r0, %rd1
13.16 | tensormap.cp_fenceproxy | sm_90 | tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic.release.gpu.sync.aligned [%rd0], [%r1], 128
13.17 | clusterlaunchcontrol.try_cancel | sm_100 | clusterlaunchcontrol.try_cancel.async.shared::cta.mbarrier::complete_tx::bytes.b128 [%r1], [%r2]
13.18 | clusterlaunchcontrol.query_cancel | sm_100 | clusterlaunchcontrol.query_cancel.is_canceled.pred.b128 %p0, %q0; clusterlaunchcontrol.query_cancel.get_first_ctaid::x.b32.b128 %r0, %q0
14.4.3 | wmma.load | sm_75 | wmma.load.a.sync.aligned.m16n16k16.global.row.f16 {%r0, %r1, %r2, %r3, %r4, %r5, %r6, %r7}, [%rd0], %r9
14.4.4 | wmma.store | sm_75 | wmma.store.d.sync.aligned.m16n16k16.global.row.f32 [%rd0], {%f0, %f1, %f2, %f3, %f4, %f5, %f6, %f7}, %r9
14.4.5 | wmma.mma | sm_75 | wmma.mma.sync.aligned.row.col.m16n16k16.f16.f16 {%r0, %r1, %r2, %r3}, {%r0, %r1, %r2, %r3, %r4, %r5, %r6, %r7}, {%r0, %r1, %r2, %r3, %r4, %r5, %r6, %r7}, {%r0, %r1, %r2, %r3}
14.5.14 | mma (f16, bf16, tf32) | sm_80 | mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f0, %f1, %f2, %f3}, {%r0, %r1, %r2, %r3}, {%r4, %r5}, {%f4, %f5, %f6, %f7}; mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%f0, %f1, %f2, %f3}, {%r0, %r1, %r2, %r3}, {%r4, %r5}, {%f4, %f5, %f6, %f7}
14.5.14 | mma (f64) | sm_80 | mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%d0, %d1}, {%d2}, {%d3}, {%d4, %d5}; mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64.rz {%d0, %d1}, {%d2}, {%d3}, {%d4, %d5}
14.5.14 | mma (integers, bits) | sm_80 | mma.sync.aligned.m16n8k32.row.col.s32.s8.u8.s32 {%r0, %r1, %r2, %r3}, {%r0, %r1, %r2, %r3}, {%r4, %r5}, {%r6, %r7, %r8, %r9}; mma.sync.aligned.m8n8k128.row.col.s32.b1.b1.s32.xor.popc {%r0, %r1}, {%r2}, {%r3}, {%r4, %r5}
14.5.14 | mma (fp8) | sm_89 | mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e5m2.f32 {%f0, %f1, %f2, %f3}, {%r0, %r1, %r2, %r3}, {%r4, %r5}, {%f4, %f5, %f6, %f7}
14.5.14 | mma (fp6, fp4) | sm_120a | mma.sync.aligned.m16n8k32.row.col.kind::f8f6f4.f32.e2m3.e2m1.f32 {%f0, %f1, %f2, %f3}, {%r0, %r1, %r2, %r3}, {%r4, %r5}, {%f4, %f5, %f6, %f7}
14.5.14 | mma.block_scale | sm_120a | mma.sync.aligned.m16n8k64.row.col.kind::mxf4.block_scale.scale_vec::2X.f32.e2m1.e2m1.f32.ue8m0 {%f0, %f1, %f2, %f3}, {%r0, %r1, %r2, %r3}, {%r4, %r5}, {%f4, %f5, %f6, %f7}, %r6, {%h0, %h1}, %r7, {%h2, %h3}; mma.sync.aligned.m16n8k32.row.col.kind::mxf8f6f4.block_scale.f32.e4m3.e2m3.f32.ue8m0 {%f0, %f1, %f2, %f3}, {%r0, %r1, %r2, %r3}, {%r4, %r5}, {%f4, %f5, %f6, %f7}, %r6, {3, 1}, %r7, {2, 3}; mma.sync.aligned.m16n8k64.row.col.kind::mxf4nvf4.block_scale.scale_vec::4X.f32.e2m1.e2m1.f32.ue4m3 {%f0, %f1, %f2, %f3}, {%r0, %r1, %r2, %r3}, {%r4, %r5}, {%f4, %f5, %f6, %f7}, %r6, {0, 1}, %r7, {0, 3}
14.5.15 | ldmatrix | sm_75 | ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r0, %r1, %r2, %r3}, [%r4]; ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%r0}, [smem]
14.5.15 | ldmatrix (b8, b6, b4) | sm_100a | ldmatrix.sync.aligned.m16n16.x1.trans.shared.b8 {%r0, %r1}, [%r4]; ldmatrix.sync.aligned.m8n16.x2.shared.b8x16.b6x16_p32 {%r0, %r1}, [%r4]; ldmatrix.sync.aligned.m16n16.x1.trans.shared.b8x16.b4x16_p64 {%r0, %r1}, [%r4]
14.5.16 | stmatrix | sm_90 | stmatrix.sync.aligned.m8n8.x2.shared.b16 [%r4], {%r0, %r1}; stmatrix.sync.aligned.m8n8.x1.trans.shared.b16 [smem], {%r0}
14.5.16 | stmatrix (b8) | sm_100a | stmatrix.sync.aligned.m16n8.x1.trans.shared.b8 [%r4], {%r0}
14.5.17 | movmatrix | sm_75 | movmatrix.sync.aligned.m8n8.trans.b16 %r0, %r1
14.6.3 | mma.sp | sm_80 | mma.sp.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f0, %f1, %f2, %f3}, {%r0, %r1}, {%r2, %r3}, {%f4, %f5, %f6, %f7}, %r8, 0
14.6.3 | mma.sp::ordered_metadata | sm_80 | mma.sp::ordered_metadata.sync.aligned.m16n8k32.row.col.f32.bf16.bf16.f32 {%f0, %f1, %f2, %f3}, {%r0, %r1, %r2, %r3}, {%r4, %r5, %r6, %r7}, {%f4, %f5, %f6, %f7}, %r8, 0
14.6.3 | mma.sp (integers) | sm_80 | mma.sp.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%r0, %r1, %r2, %r3}, {%r0, %r1}, {%r4, %r5}, {%r6, %r7, %r8, %r9}, %r10, 0; mma.sp::ordered_metadata.sync.aligned.m16n8k128.row.col.satfinite.s32.u4.s4.s32 {%r0, %r1, %r2, %r3}, {%r0, %r1, %r2, %r3}, {%r4, %r5, %r6, %r7}, {%r6, %r7, %r8, %r9}, %r10, 0
14.6.3 | mma.sp (fp8) | sm_89 | mma.sp.sync.aligned.m16n8k64.row.col.f32.e4m3.e5m2.f32 {%f0, %f1, %f2, %f3}, {%r0, %r1, %r2, %r3}, {%r4, %r5, %r6, %r7}, {%f4, %f5, %f6, %f7}, %r8, 0
14.6.3 | mma.sp (fp6, fp4) | sm_120a | mma.sp::ordered_metadata.sync.aligned.m16n8k64.row.col.kind::f8f6f4.f32.e3m2.e2m1.f32 {%f0, %f1, %f2, %f3}, {%r0, %r1, %r2, %r3}, {%r4, %r5, %r6, %r7}, {%f4, %f5, %f6, %f7}, %r8, 0
14.6.3 | mma.sp.block_scale | sm_120a | mma.sp::ordered_metadata.sync.aligned.m16n8k64.row.col.kind::mxf8f6f4.block_scale.f32.e4m3.e5m2.f32.ue8m0 {%f0, %f1, %f2, %f3}, {%r0, %r1, %r2, %r3}, {%r4, %r5, %r6, %r7}, {%f4, %f5, %f6, %f7}, %r8, 0, %r9, {0, 1}, %r10, {0, 0}; mma.sp::ordered_metadata.sync.aligned.m16n8k128.row.col.kind::mxf4nvf4.block_scale.scale_vec::4X.f32.e2m1.e2m1.f32.ue4m3 {%f0, %f1, %f2, %f3}, {%r0, %r1, %r2, %r3}, {%r4, %r5, %r6, %r7}, {%f4, %f5, %f6, %f7}, %r8, 0, %r9, {0, 1}, %r10, {0, 3}
15.5.2 | wgmma.mma_async | sm_90a | wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%f0, %f1, %f2, %f3}, %rd1, %rd2, 1, -1, -1, 0, 0
15.6.3 | wgmma.mma_async.sp | sm_90a | wgmma.mma_async.sp.sync.aligned.m64n8k32.f32.f16.f16 {%f0, %f1, %f2, %f3}, %rd1, %rd2, %r1, 0, 1, -1, -1, 0, 0
15.7.1 | wgmma.fence | sm_90a | wgmma.fence.sync.aligned
15.7.2 | wgmma.commit_group | sm_90a | wgmma.commit_group.sync.aligned
15.7.3 | wgmma.wait_group | sm_90a | wgmma.wait_group.sync.aligned 0
16.7.1 | tcgen05.alloc | sm_100a | tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [%r1], 32
16.7.1 | tcgen05.dealloc | sm_100a | tcgen05.dealloc.cta_group::1.sync.aligned.b32 %r1, 32
16.7.1 | tcgen05.relinquish_alloc_permit | sm_100a | tcgen05.relinquish_alloc_permit.cta_group::1.sync.aligned
16.8.3 | tcgen05.ld | sm_100a | tcgen05.ld.sync.aligned.32x32b.x2.b32 {%r0, %r1}, [%r2]
16.8.4 | tcgen05.st | sm_100a | tcgen05.st.sync.aligned.32x32b.x2.b32 [%r2], {%r0, %r1}
16.8.5 | tcgen05.wait | sm_100a | tcgen05.wait::ld.sync.aligned
16.9.2 | tcgen05.cp | sm_100a | tcgen05.cp.cta_group::1.128x256b [%r1], %rd1
16.9.3 | tcgen05.shift | sm_100a | tcgen05.shift.cta_group::1.down [%r1]
16.10.9.1 | tcgen05.mma | sm_100a | tcgen05.mma.cta_group::1.kind::f16 [%r1], %rd1, %rd2, %r2, %p0
16.10.9.2 | tcgen05.mma.sp | sm_100a | tcgen05.mma.sp.cta_group::1.kind::f16 [%r1], %rd1, %rd2, [%r3], %r2, %p0
16.10.9.3 | tcgen05.mma.ws | sm_100a | tcgen05.mma.ws.cta_group::1.kind::f16 [%r1], %rd1, %rd2, %r2, %p0
16.10.9.4 | tcgen05.mma.ws.sp | sm_100a | tcgen05.mma.ws.sp.cta_group::1.kind::f16 [%r1], %rd1, %rd2, [%r3], %r2, %p0
16.11.1 | tcgen05.fence | sm_100a | tcgen05.fence::before_thread_sync
16.12.1 | tcgen05.commit | sm_100a | tcgen05.commit.cta_group::1.mbarrier::arrive::one.b64 [%rd0]
17.1 | stacksave | sm_75 | stacksave.u64 %rd1
17.2 | stackrestore | sm_75 | stackrestore.u64 %rd1
17.3 | alloca | sm_75 | alloca.u64 %rd1, %rd2, 16
18.1.1 | vadd | sm_75 | vadd.s32.u32.s32.sat %r0, %r1, %r2; vadd.u32.u32.u32.add %r0, %r1.b0, %r2.h1, %r3
18.1.1 | vsub | sm_75 | vsub.s32.s32.s32 %r0.h1, %r1, %r2, %r3
18.1.1 | vabsdiff | sm_75 | vabsdiff.u32.s32.s32.max %r0, %r1, %r2.b3, %r3
18.1.1 | vmin | sm_75 | vmin.s32.s32.s32 %r0, %r1, %r2
18.1.1 | vmax | sm_75 | vmax.u32.u32.u32 %r0, %r1.b1, %r2
18.1.2 | vshl | sm_75 | vshl.u32.u32.u32.clamp %r0, %r1, %r2
18.1.2 | vshr | sm_75 | vshr.s32.s32.u32.wrap.add %r0, %r1, %r2, %r3
18.1.3 | vmad | sm_75 | vmad.s32.s32.u32.sat %r0, %r1, %r2, -%r3; vmad.u32.u32.u32.po.shr7 %r0, %r1.h0, %r2.h0, %r3
18.1.4 | vset | sm_75 | vset.s32.u32.lt %r0, %r1, %r2; vset.u32.u32.ne.add %r0, %r1, %r2.b0, %r3
18.2.1 | vadd2 | sm_75 | vadd2.s32.s32.u32.sat %r0, %r1, %r2, %r3
18.2.1 | vsub2 | sm_75 | vsub2.u32.u32.u32.add %r0.h10, %r1, %r2, %r3
18.2.1 | vavrg2 | sm_75 | vavrg2.s32.s32.s32 %r0.h0, %r1.h32, %r2.h10, %r3
18.2.1 | vabsdiff2 | sm_75 | vabsdiff2.u32.u32.u32 %r0, %r1, %r2, %r3
18.2.1 | vmin2 | sm_75 | vmin2.s32.s32.s32 %r0, %r1, %r2, %r3
18.2.1 | vmax2 | sm_75 | vmax2.u32.u32.u32 %r0, %r1, %r2, %r3
18.2.2 | vset2 | sm_75 | vset2.s32.u32.lt %r0, %r1, %r2, %r3; vset2.u32.u32.ne.add %r0, %r1, %r2, %r3
18.2.3 | vadd4 | sm_75 | vadd4.s32.s32.u32.sat %r0, %r1, %r2, %r3
18.2.3 | vsub4 | sm_75 | vsub4.u32.u32.u32.add %r0.b3210, %r1, %r2, %r3
18.2.3 | vavrg4 | sm_75 | vavrg4.s32.s32.s32 %r0, %r1.b7654, %r2.b3210, %r3
18.2.3 | vabsdiff4 | sm_75 | vabsdiff4.u32.u32.u32 %r0, %r1, %r2, %r3
18.2.3 | vmin4 | sm_75 | vmin4.s32.s32.s32 %r0, %r1, %r2, %r3
18.2.3 | vmax4 | sm_75 | vmax4.u32.u32.u32 %r0, %r1, %r2, %r3
18.2.4 | vset4 | sm_75 | vset4.s32.u32.lt %r0, %r1, %r2, %r3; vset4.u32.u32.ne.add %r0, %r1, %r2, %r3
19.1 | brkpt | sm_75 | brkpt
19.2 | nanosleep | sm_75 | nanosleep.u32 100; nanosleep.u32 %r1
19.3 | pmevent | sm_75 | pmevent 3; pmevent.mask 0xff
19.4 | trap | sm_75 | trap; @%p0 trap
19.5 | setmaxnreg | sm_90a | setmaxnreg.inc.sync.aligned.u32 64
"""

HEAD = """.version 9.1
.target {arch}
.address_size 64
.global .align 128 .b8 glob[256];
.const .align 16 .b8 konst[64] = {{1, 2, 3}};
.shared .align 128 .b8 smem[1024];
.shared .align 8 .b64 bar8;
.global .texref tref;
.global .surfref sref;
.func (.reg .u32 out) helper (.reg .u32 in) {{ add.u32 out, in, 1; ret; }}
.func (.param .b32 out) byaddress (.param .b32 in)
{{
	.reg .b32 %r<2>;
	ld.param.b32 %r0, [in];
	st.param.b32 [out], %r0;
	ret;
}}
"""
OLD = HEAD.replace("9.1", "6.0", 1)  # for instructions that newer versions do not have
ENTRY = """.visible .entry k{n}(.param .u64 a)
{{
	.reg .pred %p<4>;
	.reg .b16 %h<8>;
	.reg .b32 %r<16>;
	.reg .b64 %rd<8>;
	.reg .b128 %q<2>;
	.reg .f32 %f<16>;
	.reg .f64 %d<8>;
	ld.param.u64 %rd0, [a];
{extra}	{sample}
DONE:
	ret;
}}
"""


DOC = Path(importlib.import_module("ptxjit").__file__ or ".").resolve().parents[1] / "docs" / "ptx-coverage.md"


class Row(NamedTuple):
    """One instruction: where the manual has it, samples, and the lowest architecture that has them all."""

    section: str
    name: str
    arch: str
    samples: tuple[str, ...]

    @property
    def chapter(self) -> int:
        return int(self.section.split(".")[2])


class Result(NamedTuple):
    """A row tried: what works, and the reason where something does not."""

    row: Row
    read: bool
    lifted: bool
    runs: bool
    reason: str


def _split(text: str) -> tuple[str, ...]:
    """Samples at `;`, but not inside of braces."""
    out, depth, at = [], 0, 0
    for k, c in enumerate(text):
        depth += (c == "{") - (c == "}")
        if c == ";" and depth == 0:
            out.append(text[at:k])
            at = k + 1
    return tuple(s.strip() for s in (*out, text[at:]) if s.strip())


def rows() -> list[Row]:
    """All instructions, in the order of the manual."""
    out = []
    for line in ROWS.strip().splitlines():
        section, name, arch, samples = (part.strip() for part in line.split(" | "))
        out.append(Row("9.7." + section, name, arch, _split(samples)))
    return out


def head(arch: str) -> str:
    """What stands before the kernels of samples for an architecture."""
    text = OLD if arch == "sm_60" else HEAD
    return text.format(arch=arch)


def entry(sample: str, n: int = 0) -> str:
    """One sample in a kernel of its own."""
    extra = ""
    if "TABLE" in sample:
        extra = "\tTABLE: .branchtargets DONE, DONE;\n"
    if "PROTO" in sample:
        extra = "\tPROTO: .callprototype (.param .b32 _) _ (.param .b32 _);\n\tmov.u64 %rd1, byaddress;\n"
    text = ENTRY.format(n=n, extra=extra, sample=sample if sample.endswith("}") and sample.startswith("{") else sample + ";")
    return text if "%q" in sample else text.replace("\t.reg .b128 %q<2>;\n", "")


def opcodes(row: Row, sample: str) -> list[Any]:
    """The instructions of a sample, as they are read."""
    from .lift.core import instructions
    from .parse import read

    return instructions(read(head(row.arch) + entry(sample), "sample").functions["k0"].body.items)


def attempt(row: Row) -> Result:
    """Every sample of a row, really tried."""
    from .. import target
    from .lift import lift
    from .parse import read

    level, reason = 3, ""
    for sample in row.samples:
        done = 0
        try:
            module = read(head(row.arch) + entry(sample), "sample")
            done = 1
            kernel = lift(module, "k0").kernel
            done = 2
            target("cpu:host").emit_kernel(kernel, "ll")
            done = 3
        except PtxjitError as e:
            if done < level:
                reason = e.message
        level = min(level, done)
    return Result(row, level >= 1, level >= 2, level >= 3, reason)


def coverage() -> list[Result]:
    """All rows, tried."""
    return [attempt(r) for r in rows()]


def _totals(found: list[Result]) -> list[tuple[str, int, int, int, int]]:
    """By chapter, and of all: instructions, read, lifted, run."""
    out = []
    for n, title in CHAPTERS.items():
        mine = [f for f in found if f.row.chapter == n]
        out.append((f"9.7.{n} {title}", len(mine), sum(f.read for f in mine), sum(f.lifted for f in mine), sum(f.runs for f in mine)))
    out.append(("all", sum(t[1] for t in out), sum(t[2] for t in out), sum(t[3] for t in out), sum(t[4] for t in out)))
    return out


def table(found: list[Result]) -> str:
    """For terminals: totals by chapter, then what does not run and why."""
    lines = [f"{'PTX ISA 9.1':42} instructions   read  lifted   runs"]
    for title, count, a, b, c in _totals(found):
        lines.append(f"{title:42} {count:12} {a:6} {b:7} {c:6}")
    lines.append("")
    lines += [f"  {f.row.section:12} {f.row.name:34} {f.reason}" for f in found if not f.runs]
    return "\n".join(lines)


def page(found: list[Result]) -> str:
    """docs/ptx-coverage.md."""
    lines = ["# Instructions of PTX that are read, lifted and run", "",
             "Generated by `python -m ptxjit.targets.ptx.coverage`, which tries every sample of its table; `ptxjit doctor --ptx-coverage` prints",
             "the same in short. Sections are those of the PTX ISA manual, version 9.1.", "",
             "*read*: the reader takes it. *lifted*: its meaning is known. *runs*: it is compiled for the CPU.", "",
             "| chapter | instructions | read | lifted | runs |", "|---|--:|--:|--:|--:|"]  # fmt: skip
    lines += [f"| {t} | {n} | {a} | {b} | {c} |" for t, n, a, b, c in _totals(found)]
    for number, title in CHAPTERS.items():
        lines += ["", f"## 9.7.{number} {title}", "", "| section | instruction | from | read | lifted | runs | |", "|---|---|---|:-:|:-:|:-:|---|"]
        for f in found:
            if f.row.chapter == number:
                marks = " | ".join("✓" if ok else "–" for ok in (f.read, f.lifted, f.runs))
                lines.append(f"| {f.row.section} | `{f.row.name}` | {f.row.arch} | {marks} | {f.reason.replace('|', '/')} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    target = DOC
    found = coverage()
    target.write_text(page(found), encoding="utf-8")
    print(table(found))


if __name__ == "__main__":
    main()
