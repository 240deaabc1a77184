// Binary16 and bfloat16, alone and in pairs.
// build: sm_80 O3 O0 lineinfo; sm_90 O3; sm_100 O3
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#define I (blockIdx.x * blockDim.x + threadIdx.x)
#define PUT(k, v) out[(k) * n + i] = (v)

template <class T> __device__ void scalar(const T* a, const T* b, const T* c, T* out, int n) {
    int i = I;
    if (i >= n) return;
    T x = a[i], y = b[i], z = c[i];
    PUT(0, __hadd_rn(x, y));
    PUT(1, __hsub_rn(x, y));
    PUT(2, __hmul_rn(x, y));
    PUT(3, __hfma(x, y, z));
    PUT(4, __hfma_relu(x, y, z));
    PUT(5, __hmin(x, y));
    PUT(6, __hmax(x, y));
    PUT(7, __hmin_nan(x, y));
    PUT(8, __hmax_nan(x, y));
    PUT(9, __habs(x));
    PUT(10, __hneg(x));
}

extern "C" __global__ void half_ops(const __half* a, const __half* b, const __half* c, __half* out, int n) { scalar(a, b, c, out, n); }

extern "C" __global__ void bf16_ops(const __nv_bfloat16* a, const __nv_bfloat16* b, const __nv_bfloat16* c, __nv_bfloat16* out, int n) { scalar(a, b, c, out, n); }

__device__ __half2 highs(__half2 x, __half2 y) { return __halves2half2(x.y, y.y); }
__device__ __nv_bfloat162 highs(__nv_bfloat162 x, __nv_bfloat162 y) { return __halves2bfloat162(x.y, y.y); }
__device__ __half2 lows(__half2 x, __half2 y) { return __lows2half2(x, y); }
__device__ __nv_bfloat162 lows(__nv_bfloat162 x, __nv_bfloat162 y) { return __lows2bfloat162(x, y); }

template <class T> __device__ void pairs(const T* a, const T* b, const T* c, T* out, int n) {
    int i = I;
    if (i >= n) return;
    T x = a[i], y = b[i], z = c[i];
    PUT(0, __hadd2_rn(x, y));
    PUT(1, __hsub2_rn(x, y));
    PUT(2, __hmul2_rn(x, y));
    PUT(3, __hfma2(x, y, z));
    PUT(4, __hfma2_relu(x, y, z));
    PUT(5, __hmin2(x, y));
    PUT(6, __hmax2_nan(x, y));
    PUT(7, __habs2(x));
    PUT(8, __hneg2(x));
    PUT(9, lows(x, y).x > y.x ? __lowhigh2highlow(x) : highs(x, y));
}

extern "C" __global__ void half2_ops(const __half2* a, const __half2* b, const __half2* c, __half2* out, int n) { pairs(a, b, c, out, n); }

extern "C" __global__ void bf162_ops(const __nv_bfloat162* a, const __nv_bfloat162* b, const __nv_bfloat162* c, __nv_bfloat162* out, int n) { pairs(a, b, c, out, n); }

extern "C" __global__ void half_extra(const __half* a, const __half* b, const __half* c, __half* out, int n) {
    int i = I;
    if (i >= n) return;
    unsigned short x = __half_as_ushort(a[i]), y = __half_as_ushort(b[i]), z = __half_as_ushort(c[i]), r;
    asm("add.ftz.f16 %0, %1, %2;" : "=h"(r) : "h"(x), "h"(y)); PUT(0, __ushort_as_half(r));
    asm("mul.rn.ftz.f16 %0, %1, %2;" : "=h"(r) : "h"(x), "h"(y)); PUT(1, __ushort_as_half(r));
    asm("fma.rn.ftz.f16 %0, %1, %2, %3;" : "=h"(r) : "h"(x), "h"(y), "h"(z)); PUT(2, __ushort_as_half(r));
    asm("{ .reg .f16 o; mov.b16 o, 0x0000; fma.rn.sat.f16 %0, %1, %2, %3; add.rn.f16 %0, %0, o; }" : "=h"(r) : "h"(x), "h"(y), "h"(z)); PUT(3, __ushort_as_half(r));
    asm("min.ftz.f16 %0, %1, %2;" : "=h"(r) : "h"(x), "h"(y)); PUT(4, __ushort_as_half(r));
    asm("max.NaN.ftz.f16 %0, %1, %2;" : "=h"(r) : "h"(x), "h"(y)); PUT(5, __ushort_as_half(r));
}

extern "C" __global__ void half_compare(const __half* a, const __half* b, const __half2* c, const __half2* d, unsigned* out, int n) {
    int i = I;
    if (i >= n) return;
    __half x = a[i], y = b[i];
    out[i] = __heq(x, y) | __hne(x, y) << 1 | __hlt(x, y) << 2 | __hle(x, y) << 3 | __hgt(x, y) << 4 | __hge(x, y) << 5 | __hequ(x, y) << 6 | __hneu(x, y) << 7
           | __hltu(x, y) << 8 | __hleu(x, y) << 9 | __hgtu(x, y) << 10 | __hgeu(x, y) << 11 | __hisnan(x) << 12 | (__hisinf(x) != 0) << 13
           | __hbeq2(c[i], d[i]) << 14 | __hbltu2(c[i], d[i]) << 15;
    PUT(1, __hle2_mask(c[i], d[i]));
    PUT(2, __hneu2_mask(c[i], d[i]));
    __half2 s = __hgt2(c[i], d[i]);
    PUT(3, *(unsigned*)&s);
}

extern "C" __global__ void bf16_compare(const __nv_bfloat16* a, const __nv_bfloat16* b, const __nv_bfloat162* c, const __nv_bfloat162* d, unsigned* out, int n) {
    int i = I;
    if (i >= n) return;
    __nv_bfloat16 x = a[i], y = b[i];
    out[i] = __heq(x, y) | __hne(x, y) << 1 | __hlt(x, y) << 2 | __hle(x, y) << 3 | __hgt(x, y) << 4 | __hge(x, y) << 5 | __hequ(x, y) << 6 | __hneu(x, y) << 7
           | __hltu(x, y) << 8 | __hleu(x, y) << 9 | __hgtu(x, y) << 10 | __hgeu(x, y) << 11 | __hisnan(x) << 12 | (__hisinf(x) != 0) << 13
           | __hbeq2(c[i], d[i]) << 14 | __hbltu2(c[i], d[i]) << 15;
    PUT(1, __hle2_mask(c[i], d[i]));
    PUT(2, __hneu2_mask(c[i], d[i]));
    __nv_bfloat162 s = __hgt2(c[i], d[i]);
    PUT(3, *(unsigned*)&s);
}

extern "C" __global__ void half_approximate(const __half* a, __half* out, int n) {
    int i = I;
    if (i >= n) return;
    unsigned short x = __half_as_ushort(a[i]), r;
    asm("tanh.approx.f16 %0, %1;" : "=h"(r) : "h"(x)); PUT(0, __ushort_as_half(r));
    asm("ex2.approx.f16 %0, %1;" : "=h"(r) : "h"(x)); PUT(1, __ushort_as_half(r));
    PUT(2, h2exp2(__half2half2(a[i])).y);
    PUT(3, hsqrt(__habs(a[i])));
    PUT(4, __hdiv(a[i], __float2half(3.0f)));
}

#if __CUDA_ARCH__ >= 900
extern "C" __global__ void bf16_approximate(const unsigned* a, unsigned* out, int n) {
    int i = I;
    if (i >= n) return;
    unsigned r;
    asm("tanh.approx.bf16x2 %0, %1;" : "=r"(r) : "r"(a[i])); PUT(0, r);
    asm("ex2.approx.ftz.bf16x2 %0, %1;" : "=r"(r) : "r"(a[i])); PUT(1, r);
}
#endif

extern "C" __global__ void axpy_half2(__half a, const __half2* x, __half2* y, int n) {
    int i = I;
    if (i < n) y[i] = __hfma2(__half2half2(a), x[i], y[i]);
}
