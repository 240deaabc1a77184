"""Instruction classes of every kind of text."""
from __future__ import annotations

import pytest

from ptxjit.targets.mix import AARCH64, AMDGCN, CLASSES, KERNEL, PTX, SPIRV, X86

CASES = [
    (PTX, "ld.global.v4.f32 {%f1, %f2, %f3, %f4}, [%rd1];", "memory"), (PTX, "fma.rn.f32 %f1, %f2, %f3, %f4;", "fp"), (PTX, "mul.lo.s64 %rd1, %rd2, 4;", "int"),
    (PTX, "mov.f32 %f1, %f2;", "move"), (PTX, "bra.uni $L;", "control"), (PTX, "shfl.sync.bfly.b32 %r1, %r2, 16, 31, -1;", "sync"), (PTX, "bar.sync 0;", "sync"),
    (PTX, "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {…};", "fp"), (PTX, "ret;", "control"), (PTX, "setp.lt.f32 %p1, %f1, %f2;", "fp"),
    (PTX, "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {…};", "int"), (AMDGCN, "v_mfma_i32_16x16x32_i8 a[0:3], v[0:1], v[2:3], a[0:3]", "int"),
    (AMDGCN, "v_wmma_i32_16x16x16_iu8 v[0:7], v[8:11], v[12:15], v[0:7]", "int"), (PTX, "atom.global.add.u32 %r1, [%rd1], 1;", "memory"),
    (X86, "vmovups\t64(%r10), %zmm0", "memory"), (X86, "vmovaps\t%zmm1, %zmm0", "move"), (X86, "vfmadd213ps\t(%rax), %ymm1, %ymm2", "fp"),
    (X86, "vpaddd\t%ymm0, %ymm1, %ymm2", "int"), (X86, "jne\t.LBB0_1", "control"), (X86, "lock\t\txaddq\t%rsi, 40(%rbx)", "sync"), (X86, "retq", "control"),
    (X86, "vpmovd2m\t%zmm1, %k1", "move"), (X86, "movslq\t%edi, %r15", "move"), (X86, "addsd\t%xmm1, %xmm0", "fp"), (X86, "movzbl\t(%rax), %ecx", "move"),
    (AARCH64, "fmla\tv0.4s, v1.4s, v2.4s", "fp"), (AARCH64, "ldp\tq0, q1, [x8]", "memory"), (AARCH64, "b.lt\t.LBB0_2", "control"), (AARCH64, "bsl\tv0.16b, v1.16b, v2.16b", "move"),
    (AARCH64, "add\tx8, x8, #1", "int"), (AARCH64, "dmb\tish", "sync"), (AARCH64, "bic\tw8, w8, w9", "int"),
    (AMDGCN, "global_load_dwordx4 v[0:3], v4, s[0:1]", "memory"), (AMDGCN, "v_fmac_f32_e32 v1, v2, v3", "fp"), (AMDGCN, "v_add_co_u32 v0, vcc_lo, v1, v2", "int"),
    (AMDGCN, "s_waitcnt vmcnt(0)", "sync"), (AMDGCN, "s_cbranch_vccnz .LBB0_2", "control"), (AMDGCN, "ds_bpermute_b32 v0, v1, v2", "sync"), (AMDGCN, "ds_read_b32 v0, v1", "memory"),
    (AMDGCN, "v_wmma_f32_16x16x16_f16 v[0:7], v[8:15], v[16:23], v[0:7]", "fp"), (AMDGCN, "v_mov_b32_e32 v0, v1", "move"), (AMDGCN, "s_endpgm", "control"), (AMDGCN, "s_delay_alu instid0(VALU_DEP_1)", "control"),
    (SPIRV, "OpFMul %4 %54 %53", "fp"), (SPIRV, "OpLoad %4 %21 Aligned 4", "memory"), (SPIRV, "OpControlBarrier %1 %1 %2", "sync"), (SPIRV, "OpPhi %4 %5 %6", "move"),
    (SPIRV, "OpBranchConditional %1 %2 %3", "control"), (SPIRV, "OpIAdd %10 %42 %1", "int"), (SPIRV, "OpExtInst %4 %1 fma %5 %6 %7", "fp"), (SPIRV, "OpFOrdLessThan %1 %2 %3", "fp"),
    (KERNEL, "ffma", "fp"), (KERNEL, "ld", "memory"), (KERNEL, "shfl", "sync"), (KERNEL, "iadd", "int"), (KERNEL, "branch", "control"), (KERNEL, "select", "move"),
]  # fmt: skip


@pytest.mark.parametrize("rule, text, want", CASES, ids=[text.split()[0].rstrip(";") for _, text, _ in CASES])
def test_classes(rule, text, want):
    assert want in CLASSES and rule(text) == want
