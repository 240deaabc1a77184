// SIMD within a word and the scalar video instructions.
// build: sm_80 O3 O0 lineinfo; sm_75 O3; sm_90 O3
#define I (blockIdx.x * blockDim.x + threadIdx.x)
#define PUT(k, v) out[(k) * n + i] = (v)
#define OP(k, text) asm(text : "=r"(r) : "r"(x), "r"(y), "r"(z)); PUT(k, r)

extern "C" __global__ void simd_intrinsics(const unsigned* a, const unsigned* b, unsigned* out, int n) {
    int i = I;
    if (i >= n) return;
    unsigned x = a[i], y = b[i];
    PUT(0, __vadd4(x, y));
    PUT(1, __vsubss4(x, y));
    PUT(2, __vaddus4(x, y));
    PUT(3, __vmaxs4(x, y));
    PUT(4, __vminu4(x, y));
    PUT(5, __vabsdiffu4(x, y));
    PUT(6, __vsadu4(x, y));
    PUT(7, __vcmpgtu4(x, y));
    PUT(8, __vavgu4(x, y));
    PUT(9, __vadd2(x, y));
    PUT(10, __vmaxs2(x, y));
    PUT(11, __vsubus2(x, y));
    PUT(12, __vcmpeq2(x, y));
    PUT(13, __vabsdiffs2(x, y));
    PUT(14, __vseteq4(x, y));
    PUT(15, __vneg2(x));
    PUT(16, __vabsss4(x));
}

extern "C" __global__ void simd_asm(const unsigned* a, const unsigned* b, const unsigned* c, unsigned* out, int n) {
    int i = I;
    if (i >= n) return;
    unsigned x = a[i], y = b[i], z = c[i], r;
    OP(0, "vadd4.u32.u32.u32.sat %0, %1, %2, %3;");
    OP(1, "vadd4.s32.s32.s32 %0, %1, %2, %3;");
    OP(2, "vsub4.s32.s32.s32.sat %0, %1, %2, %3;");
    OP(3, "vabsdiff4.u32.u32.u32.add %0, %1, %2, %3;");
    OP(4, "vmax4.s32.s32.s32 %0, %1, %2, %3;");
    OP(5, "vmin4.u32.u32.u32 %0, %1, %2, %3;");
    OP(6, "vavrg4.u32.u32.u32 %0, %1, %2, %3;");
    OP(7, "vset4.u32.u32.ge.add %0, %1, %2, %3;");
    OP(8, "vset4.s32.s32.lt %0, %1, %2, %3;");
    OP(9, "vadd2.s32.s32.s32.sat %0, %1, %2, %3;");
    OP(10, "vsub2.u32.u32.u32.sat %0.h1, %1, %2, %3;");
    OP(11, "vmax2.s32.s32.s32.add %0, %1, %2, %3;");
    OP(12, "vabsdiff2.u32.s32.s32 %0, %1, %2, %3;");
    OP(13, "vavrg2.s32.s32.s32 %0, %1, %2, %3;");
    OP(14, "vset2.u32.u32.ne %0, %1, %2, %3;");
    OP(15, "vmin2.s32.s32.s32 %0, %1.h01, %2.h23, %3;");
    OP(16, "vadd4.u32.u32.u32.sat %0.b20, %1.b3333, %2.b4567, %3;");
}

extern "C" __global__ void scalar_video(const unsigned* a, const unsigned* b, const unsigned* c, unsigned* out, int n) {
    int i = I;
    if (i >= n) return;
    unsigned x = a[i], y = b[i], z = c[i], r;
    OP(0, "vadd.s32.u32.s32.sat %0, %1, %2;");
    OP(1, "vadd.u32.u32.u32 %0, %1.b2, %2.h1;");
    OP(2, "vsub.s32.s32.s32.sat.max %0, %1.h0, %2.b3, %3;");
    OP(3, "vsub.u32.s32.u32.sat %0, %1, %2;");
    OP(4, "vabsdiff.s32.s32.s32.sat %0.h0, %1.b0, %2.b2, %3;");
    OP(5, "vmin.s32.s32.s32.add %0, %1.h1, %2.h0, %3;");
    OP(6, "vmax.u32.u32.u32 %0.b3, %1.b1, %2.b0, %3;");
    OP(7, "vshl.u32.u32.u32.clamp %0, %1, %2.b0;");
    OP(8, "vshl.u32.u32.u32.wrap.add %0, %1, %2, %3;");
    OP(9, "vshr.s32.s32.u32.clamp %0, %1, %2.b1;");
    OP(10, "vshr.u32.u32.u32.wrap %0.h1, %1.h1, %2, %3;");
    OP(11, "vmad.s32.s32.s32.sat %0, %1.h0, %2.h1, -%3;");
    OP(12, "vmad.u32.u32.u32.shr15 %0, %1.h0, %2.h1, %3;");
    OP(13, "vmad.u32.u32.u32.po.shr7 %0, %1.b0, %2.b1, %3;");
    OP(14, "vmad.s32.u32.s32.sat %0, -%1.b3, %2.h0, %3;");
    OP(15, "vset.u32.u32.lt %0, %1, %2;");
    OP(16, "vset.s32.u32.ge.add %0, %1.b3, %2.h1, %3;");
    OP(17, "vset.s32.s32.ne %0.b1, %1.h0, %2.h1, %3;");
    OP(18, "vadd.s32.s32.s32.min %0, %1.b0, %2.b1, %3;");
}
