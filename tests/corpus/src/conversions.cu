// Conversions between numbers.
// build: sm_80 O3 O0 lineinfo; sm_90 O3
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#define I (blockIdx.x * blockDim.x + threadIdx.x)
#define PUT(k, v) out[(k) * n + i] = (v)
#define CVT(k, op, to, from, v) asm("cvt." op " %0, %1;" : to(r) : from(v)); PUT(k, r)

extern "C" __global__ void float_to_int(const float* a, int* out, long long* wide, int n) {
    int i = I;
    if (i >= n) return;
    float x = a[i];
    int r;
    CVT(0, "rni.s32.f32", "=r", "f", x);
    CVT(1, "rzi.s32.f32", "=r", "f", x);
    CVT(2, "rmi.s32.f32", "=r", "f", x);
    CVT(3, "rpi.s32.f32", "=r", "f", x);
    CVT(4, "rni.u32.f32", "=r", "f", x);
    CVT(5, "rzi.u32.f32", "=r", "f", x);
    CVT(6, "rpi.ftz.u32.f32", "=r", "f", x);
    CVT(7, "rzi.s16.f32", "=r", "f", x);
    CVT(8, "rmi.u16.f32", "=r", "f", x);
    CVT(9, "rni.s8.f32", "=r", "f", x);
    CVT(10, "rzi.u8.f32", "=r", "f", x);
    long long w;
    asm("cvt.rzi.s64.f32 %0, %1;" : "=l"(w) : "f"(x)); wide[i] = w;
    asm("cvt.rpi.u64.f32 %0, %1;" : "=l"(w) : "f"(x)); wide[n + i] = w;
}

extern "C" __global__ void double_to_int(const double* a, int* out, long long* wide, int n) {    // no NaN
    int i = I;
    if (i >= n) return;
    double x = a[i];
    PUT(0, __double2int_rn(x));
    PUT(1, __double2int_rz(x));
    PUT(2, __double2int_rd(x));
    PUT(3, (int)__double2uint_ru(x));
    wide[i] = __double2ll_rn(x);
    wide[n + i] = __double2ll_ru(x);
    wide[2 * n + i] = (long long)__double2ull_rz(x);
    wide[3 * n + i] = (long long)__double2ull_rd(x);
}

extern "C" __global__ void int_to_float(const int* a, const long long* c, float* out, double* wide, int n) {
    int i = I;
    if (i >= n) return;
    int x = a[i];
    long long w = c[i];
    PUT(0, __int2float_rn(x));
    PUT(1, __int2float_rz(x));
    PUT(2, __uint2float_rd((unsigned)x));
    PUT(3, __uint2float_ru((unsigned)x));
    PUT(4, __ll2float_rn(w));
    PUT(5, __ll2float_rz(w));
    PUT(6, __ull2float_ru((unsigned long long)w));
    PUT(7, (float)(signed char)x + (float)(unsigned short)x);
    wide[i] = __int2double_rn(x);
    wide[n + i] = __uint2double_rn((unsigned)x);
    wide[2 * n + i] = __ll2double_rn(w);
    wide[3 * n + i] = __ll2double_rz(w);
    wide[4 * n + i] = __ull2double_rd((unsigned long long)w);
    wide[5 * n + i] = __ull2double_ru((unsigned long long)w);
}

extern "C" __global__ void float_to_float(const float* a, const double* c, float* out, double* wide, int n) {
    int i = I;
    if (i >= n) return;
    float x = a[i], r;
    double z = c[i];
    PUT(0, __double2float_rn(z));
    PUT(1, __double2float_rz(z));
    PUT(2, __double2float_rd(z));
    PUT(3, __double2float_ru(z));
    CVT(4, "rni.f32.f32", "=f", "f", x);
    CVT(5, "rzi.f32.f32", "=f", "f", x);
    CVT(6, "rmi.f32.f32", "=f", "f", x);
    CVT(7, "rpi.ftz.f32.f32", "=f", "f", x);
    asm("cvt.sat.f32.f32 %0, %1; add.rn.f32 %0, %0, 0f00000000;" : "=f"(r) : "f"(x)); PUT(8, r);
    CVT(9, "ftz.f32.f32", "=f", "f", x);
    wide[i] = x;
    wide[n + i] = nearbyint(z);
}

extern "C" __global__ void to_half(const float* a, const double* c, const int* d, unsigned short* out, int n) {
    int i = I;
    if (i >= n) return;
    float x = a[i];
    unsigned short r;
    CVT(0, "rn.f16.f32", "=h", "f", x);
    CVT(1, "rz.f16.f32", "=h", "f", x);
    CVT(2, "rm.f16.f32", "=h", "f", x);
    CVT(3, "rp.f16.f32", "=h", "f", x);
    CVT(4, "rn.f16.f64", "=h", "d", c[i]);
    CVT(5, "rn.f16.s32", "=h", "r", d[i]);
    CVT(6, "rz.f16.u16", "=h", "h", (unsigned short)d[i]);
    CVT(7, "rn.relu.f16.f32", "=h", "f", x);
    CVT(8, "rn.bf16.f32", "=h", "f", x);
    CVT(9, "rz.bf16.f32", "=h", "f", x);
    CVT(10, "rn.relu.bf16.f32", "=h", "f", x);
}

extern "C" __global__ void from_half(const __half* a, const __nv_bfloat16* b, float* out, double* wide, int* ints, int n) {
    int i = I;
    if (i >= n) return;
    unsigned short x = __half_as_ushort(a[i]);
    PUT(0, __half2float(a[i]));
    PUT(1, __bfloat162float(b[i]));
    asm("cvt.f64.f16 %0, %1;" : "=d"(wide[i]) : "h"(x));
    asm("cvt.rni.s32.f16 %0, %1;" : "=r"(ints[i]) : "h"(x));
    asm("cvt.rzi.u32.f16 %0, %1;" : "=r"(ints[n + i]) : "h"(x));
    asm("cvt.rmi.s32.f16 %0, %1;" : "=r"(ints[2 * n + i]) : "h"(x));
    asm("{ .reg .b16 t; cvt.rpi.f16.f16 t, %1; mov.b32 %0, {t, %1}; }" : "=r"(ints[3 * n + i]) : "h"(x));
}

extern "C" __global__ void packed(const float* a, const float* b, const int* c, const int* d, unsigned* out, int n) {
    int i = I;
    if (i >= n) return;
    unsigned r;
#define TWO(k, op, reg, x, y) asm("cvt." op " %0, %1, %2;" : "=r"(r) : reg(x), reg(y)); PUT(k, r)
    TWO(0, "rn.f16x2.f32", "f", a[i], b[i]);
    TWO(1, "rz.f16x2.f32", "f", a[i], b[i]);
    TWO(2, "rn.relu.f16x2.f32", "f", a[i], b[i]);
    TWO(3, "rn.bf16x2.f32", "f", a[i], b[i]);
    TWO(4, "rz.relu.bf16x2.f32", "f", a[i], b[i]);
    TWO(5, "pack.sat.s16.s32", "r", c[i], d[i]);
    TWO(6, "pack.sat.u16.s32", "r", c[i], d[i]);
    asm("cvt.pack.sat.u8.s32.b32 %0, %1, %2, %3;" : "=r"(r) : "r"(c[i]), "r"(d[i]), "r"(0x12345678)); PUT(7, r);
    asm("cvt.pack.sat.s8.s32.b32 %0, %1, %2, %3;" : "=r"(r) : "r"(c[i]), "r"(d[i]), "r"(0x12345678)); PUT(8, r);
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(a[i])); PUT(9, r & 0xffffe000);       // the low bits are anybody's
}

extern "C" __global__ void int_to_int(const int* a, const long long* c, int* out, int n) {
    int i = I;
    if (i >= n) return;
    int x = a[i], r;
    CVT(0, "sat.s8.s32", "=r", "r", x);
    CVT(1, "sat.u8.s32", "=r", "r", x);
    CVT(2, "sat.s16.u32", "=r", "r", x);
    CVT(3, "sat.u16.s32", "=r", "r", x);
    CVT(4, "sat.u32.s32", "=r", "r", x);
    CVT(5, "sat.s32.u32", "=r", "r", x);
    CVT(6, "sat.s32.s64", "=r", "l", c[i]);
    CVT(7, "sat.u32.u64", "=r", "l", c[i]);
    CVT(8, "s32.s8", "=r", "r", x);
    CVT(9, "u32.u16", "=r", "r", x);
    PUT(10, (int)(short)c[i]);
    PUT(11, (int)(unsigned char)c[i]);
}
