// Eight-bit floating point: conversions both ways, mma.
// build: sm_89 O3 O0 lineinfo; sm_90 O3
#define I (blockIdx.x * blockDim.x + threadIdx.x)
#define PUT(k, v) out[(k) * n + i] = (v)

extern "C" __global__ void to_fp8(const float* a, const float* b, const unsigned* h, unsigned short* out, int n) {
    int i = I;
    if (i >= n) return;
    unsigned short r;
#define TWO(k, op) asm("cvt.rn.satfinite" op " %0, %1, %2;" : "=h"(r) : "f"(a[i]), "f"(b[i])); PUT(k, r);
#define ONE(k, op) asm("cvt.rn.satfinite" op " %0, %1;" : "=h"(r) : "r"(h[i])); PUT(k, r);
    TWO(0, ".e4m3x2.f32") TWO(1, ".e5m2x2.f32") TWO(2, ".relu.e4m3x2.f32") TWO(3, ".relu.e5m2x2.f32")
    ONE(4, ".e4m3x2.f16x2") ONE(5, ".e5m2x2.f16x2") ONE(6, ".relu.e4m3x2.f16x2")
}

extern "C" __global__ void from_fp8(const unsigned short* a, unsigned* out, int n) {
    int i = I;
    if (i >= n) return;
    unsigned r;
    asm("cvt.rn.f16x2.e4m3x2 %0, %1;" : "=r"(r) : "h"(a[i])); PUT(0, r);
    asm("cvt.rn.f16x2.e5m2x2 %0, %1;" : "=r"(r) : "h"(a[i])); PUT(1, r);
    asm("cvt.rn.relu.f16x2.e4m3x2 %0, %1;" : "=r"(r) : "h"(a[i])); PUT(2, r);
}

#define MMA(name, op)                                                                                                  \
    extern "C" __global__ void name(const unsigned* a, const unsigned* b, const float* c, float* d) {                  \
        int g = threadIdx.x >> 2, t = threadIdx.x & 3, e = g * 8 + 2 * t;                                              \
        float r[4] = {c[e], c[e + 1], c[e + 64], c[e + 65]};                                                           \
        asm volatile(op " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"                                       \
            : "+f"(r[0]), "+f"(r[1]), "+f"(r[2]), "+f"(r[3])                                                           \
            : "r"(a[g * 8 + t]), "r"(a[(g + 8) * 8 + t]), "r"(a[g * 8 + t + 4]), "r"(a[(g + 8) * 8 + t + 4]), "r"(b[g * 8 + t]), "r"(b[g * 8 + t + 4])); \
        d[e] = r[0]; d[e + 1] = r[1]; d[e + 64] = r[2]; d[e + 65] = r[3];                                              \
    }
MMA(mma_e4m3, "mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32")
MMA(mma_e5m2, "mma.sync.aligned.m16n8k32.row.col.f32.e5m2.e4m3.f32")
