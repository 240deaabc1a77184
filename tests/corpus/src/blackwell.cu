// sm_100a: packed binary32, three inputs, 256-bit accesses, narrow formats, stochastic rounding.
// build: sm_100a O3 O0 lineinfo
#define I (blockIdx.x * blockDim.x + threadIdx.x)
#define PUT(k, v) out[(k) * n + i] = (v)

extern "C" __global__ void packed_f32x2(const unsigned long long* a, const unsigned long long* b, const unsigned long long* c, unsigned long long* out, int n) {
    int i = I;
    if (i >= n) return;
    unsigned long long r;
    asm("add.rn.f32x2 %0, %1, %2;" : "=l"(r) : "l"(a[i]), "l"(b[i])); PUT(0, r);
    asm("mul.rn.f32x2 %0, %1, %2;" : "=l"(r) : "l"(a[i]), "l"(b[i])); PUT(1, r);
    asm("fma.rn.f32x2 %0, %1, %2, %3;" : "=l"(r) : "l"(a[i]), "l"(b[i]), "l"(c[i])); PUT(2, r);
    asm("add.rz.ftz.f32x2 %0, %1, %2;" : "=l"(r) : "l"(a[i]), "l"(b[i])); PUT(3, r);
    asm("fma.rp.f32x2 %0, %1, %2, %3;" : "=l"(r) : "l"(a[i]), "l"(b[i]), "l"(c[i])); PUT(4, r);
    asm("sub.rm.f32x2 %0, %1, %2;" : "=l"(r) : "l"(a[i]), "l"(c[i])); PUT(5, r);
}

extern "C" __global__ void three_inputs(const float* a, const float* b, const float* c, float* out, int n) {
    int i = I;
    if (i >= n) return;
    float r;
    asm("min.f32 %0, %1, %2, %3;" : "=f"(r) : "f"(a[i]), "f"(b[i]), "f"(c[i])); PUT(0, r);
    asm("max.f32 %0, %1, %2, %3;" : "=f"(r) : "f"(a[i]), "f"(b[i]), "f"(c[i])); PUT(1, r);
    asm("max.NaN.abs.f32 %0, %1, %2, %3;" : "=f"(r) : "f"(a[i]), "f"(b[i]), "f"(c[i])); PUT(2, r);
    asm("min.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a[i]), "f"(b[i])); PUT(3, r);
    asm("max.xorsign.abs.f32 %0, %1, %2;" : "=f"(r) : "f"(a[i]), "f"(b[i])); PUT(4, r);
}

extern "C" __global__ void wide_accesses(const int* a, int* out, const unsigned long long* b, unsigned long long* wide) {   // 32 bytes at a time
    int i = I, v[8];
    unsigned long long w[4];
    asm volatile("ld.global.v8.b32 {%0,%1,%2,%3,%4,%5,%6,%7}, [%8];"
        : "=r"(v[0]), "=r"(v[1]), "=r"(v[2]), "=r"(v[3]), "=r"(v[4]), "=r"(v[5]), "=r"(v[6]), "=r"(v[7]) : "l"(a + 8 * i));
    asm volatile("st.global.v8.b32 [%8], {%0,%1,%2,%3,%4,%5,%6,%7};"
        :: "r"(v[7]), "r"(v[6]), "r"(v[5]), "r"(v[4]), "r"(v[3]), "r"(v[2]), "r"(v[1]), "r"(v[0]), "l"(out + 8 * i) : "memory");
    asm volatile("ld.global.v4.b64 {%0,%1,%2,%3}, [%4];" : "=l"(w[0]), "=l"(w[1]), "=l"(w[2]), "=l"(w[3]) : "l"(b + 4 * i));
    asm volatile("st.global.v4.b64 [%4], {%0,%1,%2,%3};" :: "l"(w[1]), "l"(w[0]), "l"(w[3]), "l"(w[2]), "l"(wide + 4 * i) : "memory");
}

extern "C" __global__ void redux_float(const float* a, float* out, int n) {
    int i = I;
    float r;
    asm volatile("redux.sync.min.f32 %0, %1, -1;" : "=f"(r) : "f"(a[i])); PUT(0, r);
    asm volatile("redux.sync.max.f32 %0, %1, -1;" : "=f"(r) : "f"(a[i])); PUT(1, r);
    asm volatile("redux.sync.max.abs.f32 %0, %1, -1;" : "=f"(r) : "f"(a[i])); PUT(2, r);
    asm volatile("redux.sync.min.NaN.f32 %0, %1, -1;" : "=f"(r) : "f"(a[i])); PUT(3, r);
}

extern "C" __global__ void narrow_formats(const float* a, const float* b, unsigned short* out, int n) {        // fp6, fp4, scales
    int i = I;
    if (i >= n) return;
    unsigned short r;
    asm("cvt.rn.satfinite.e2m3x2.f32 %0, %1, %2;" : "=h"(r) : "f"(a[i]), "f"(b[i])); PUT(0, r);
    asm("cvt.rn.satfinite.e3m2x2.f32 %0, %1, %2;" : "=h"(r) : "f"(a[i]), "f"(b[i])); PUT(1, r);
    asm("{ .reg .b8 t, z; cvt.rn.satfinite.e2m1x2.f32 t, %1, %2; cvt.u16.u8 %0, t; }" : "=h"(r) : "f"(a[i]), "f"(b[i])); PUT(2, r);
    asm("cvt.rz.satfinite.ue8m0x2.f32 %0, %1, %2;" : "=h"(r) : "f"(fabsf(a[i])), "f"(fabsf(b[i]))); PUT(3, r);
    asm("cvt.rp.satfinite.ue8m0x2.f32 %0, %1, %2;" : "=h"(r) : "f"(fabsf(a[i])), "f"(fabsf(b[i]))); PUT(4, r);
}

extern "C" __global__ void from_narrow(const unsigned short* a, unsigned* out, int n) {        // bits above the formats are zero
    int i = I;
    if (i >= n) return;
    unsigned r;
    asm("cvt.rn.f16x2.e2m3x2 %0, %1;" : "=r"(r) : "h"((unsigned short)(a[i] & 0x3f3f))); PUT(0, r);
    asm("cvt.rn.f16x2.e3m2x2 %0, %1;" : "=r"(r) : "h"((unsigned short)(a[i] & 0x3f3f))); PUT(1, r);
    asm("{ .reg .b8 t; cvt.u8.u16 t, %1; cvt.rn.f16x2.e2m1x2 %0, t; }" : "=r"(r) : "h"(a[i])); PUT(2, r);
    asm("cvt.rn.bf16x2.ue8m0x2 %0, %1;" : "=r"(r) : "h"(a[i])); PUT(3, r);
}

extern "C" __global__ void stochastic(const float* a, const float* b, const unsigned* bits, unsigned* out, int n) {    // one of the two neighbours
    int i = I;
    if (i >= n) return;
    unsigned r;
    asm("cvt.rs.f16x2.f32 %0, %1, %2, %3;" : "=r"(r) : "f"(a[i]), "f"(b[i]), "r"(bits[i])); PUT(0, r);
    asm("cvt.rs.satfinite.bf16x2.f32 %0, %1, %2, %3;" : "=r"(r) : "f"(a[i]), "f"(b[i]), "r"(bits[i])); PUT(1, r);
    asm("cvt.rs.satfinite.e4m3x4.f32 %0, {%1, %2, %1, %2}, %3;" : "=r"(r) : "f"(a[i]), "f"(b[i]), "r"(bits[i])); PUT(2, r);
}
