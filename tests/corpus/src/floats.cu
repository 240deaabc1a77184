// Binary32 and binary64 arithmetic: roundings, approximations, minima, tests.
// build: sm_80 O3 O0 lineinfo; sm_75 O3; sm_90 O3
#define I (blockIdx.x * blockDim.x + threadIdx.x)
#define PUT(k, v) out[(k) * n + i] = (v)

extern "C" __global__ void fma32(const float* a, const float* b, const float* c, float* out, int n) {
    int i = I;
    if (i >= n) return;
    float x = a[i], y = b[i], z = c[i], r;
    asm("fma.rn.f32 %0, %1, %2, %3;" : "=f"(r) : "f"(x), "f"(y), "f"(z)); PUT(0, r);
    asm("fma.rz.f32 %0, %1, %2, %3;" : "=f"(r) : "f"(x), "f"(y), "f"(z)); PUT(1, r);
    asm("fma.rm.f32 %0, %1, %2, %3;" : "=f"(r) : "f"(x), "f"(y), "f"(z)); PUT(2, r);
    asm("fma.rp.f32 %0, %1, %2, %3;" : "=f"(r) : "f"(x), "f"(y), "f"(z)); PUT(3, r);
    asm("fma.rn.ftz.f32 %0, %1, %2, %3;" : "=f"(r) : "f"(x), "f"(y), "f"(z)); PUT(4, r);
    asm("fma.rn.sat.f32 %0, %1, %2, %3; add.rn.f32 %0, %0, 0f00000000;" : "=f"(r) : "f"(x), "f"(y), "f"(z)); PUT(5, r);
    asm("add.rn.f32 %0, %1, %2;" : "=f"(r) : "f"(x), "f"(z)); PUT(6, r);
    asm("add.rz.f32 %0, %1, %2;" : "=f"(r) : "f"(x), "f"(z)); PUT(7, r);
    asm("sub.rm.f32 %0, %1, %2;" : "=f"(r) : "f"(x), "f"(z)); PUT(8, r);
    asm("sub.rp.ftz.f32 %0, %1, %2;" : "=f"(r) : "f"(x), "f"(z)); PUT(9, r);
    asm("mul.rn.f32 %0, %1, %2;" : "=f"(r) : "f"(x), "f"(y)); PUT(10, r);
    asm("mul.rz.ftz.f32 %0, %1, %2;" : "=f"(r) : "f"(x), "f"(y)); PUT(11, r);
    asm("mul.rm.f32 %0, %1, %2;" : "=f"(r) : "f"(x), "f"(y)); PUT(12, r);
    asm("mul.rp.sat.f32 %0, %1, %2; add.rn.f32 %0, %0, 0f00000000;" : "=f"(r) : "f"(x), "f"(y)); PUT(13, r);
    asm("add.rn.ftz.sat.f32 %0, %1, %2; add.rn.f32 %0, %0, 0f00000000;" : "=f"(r) : "f"(x), "f"(z)); PUT(14, r);
}

extern "C" __global__ void fma64(const double* a, const double* b, const double* c, double* out, int n) {
    int i = I;
    if (i >= n) return;
    double x = a[i], y = b[i], z = c[i];
    PUT(0, __fma_rn(x, y, z));
    PUT(1, __fma_rz(x, y, z));
    PUT(2, __fma_rd(x, y, z));
    PUT(3, __fma_ru(x, y, z));
    PUT(4, __dadd_rn(x, z));
    PUT(5, __dadd_rz(x, z));
    PUT(6, __dadd_rd(x, -z));
    PUT(7, __dadd_ru(x, z));
    PUT(8, __dmul_rn(x, y));
    PUT(9, __dmul_rz(x, y));
    PUT(10, __dmul_rd(x, y));
    PUT(11, __dmul_ru(x, -y));
}

extern "C" __global__ void divide32(const float* a, const float* b, float* out, int n) {
    int i = I;
    if (i >= n) return;
    float x = a[i], y = b[i];
    PUT(0, __fdiv_rn(x, y));
    PUT(1, __fdiv_rz(x, y));
    PUT(2, __fdiv_rd(x, y));
    PUT(3, __fdiv_ru(x, y));
    PUT(4, __frcp_rn(y));
    PUT(5, __frcp_rz(y));
    PUT(6, __frcp_rd(y));
    PUT(7, __frcp_ru(y));
    PUT(8, __fsqrt_rn(x));
    PUT(9, __fsqrt_rz(x));
    PUT(10, __fsqrt_rd(x));
    PUT(11, __fsqrt_ru(x));
}

extern "C" __global__ void divide64(const double* a, const double* b, double* out, int n) {
    int i = I;
    if (i >= n) return;
    double x = a[i], y = b[i];
    PUT(0, __ddiv_rn(x, y));
    PUT(1, __ddiv_rz(x, y));
    PUT(2, __ddiv_rd(x, y));
    PUT(3, __ddiv_ru(x, y));
    PUT(4, __drcp_rn(y));
    PUT(5, __drcp_ru(y));
    PUT(6, __dsqrt_rn(x));
    PUT(7, __dsqrt_rd(x));
}

extern "C" __global__ void approximate(const float* a, const float* b, float* out, int n) {     // b > 0
    int i = I;
    if (i >= n) return;
    float x = a[i], y = b[i], r;
    asm("div.approx.f32 %0, %1, %2;" : "=f"(r) : "f"(x), "f"(y)); PUT(0, r);
    asm("div.full.f32 %0, %1, %2;" : "=f"(r) : "f"(x), "f"(y)); PUT(1, r);
    asm("rcp.approx.f32 %0, %1;" : "=f"(r) : "f"(y)); PUT(2, r);
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(y)); PUT(3, r);
    asm("sqrt.approx.f32 %0, %1;" : "=f"(r) : "f"(y)); PUT(4, r);
    asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(y)); PUT(5, r);
    asm("rsqrt.approx.f32 %0, %1;" : "=f"(r) : "f"(y)); PUT(6, r);
    asm("ex2.approx.f32 %0, %1;" : "=f"(r) : "f"(x)); PUT(7, r);
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x)); PUT(8, r);
}

extern "C" __global__ void transcendental(const float* a, const float* b, float* out, int n) {  // |a| ≤ 2π, b > 0
    int i = I;
    if (i >= n) return;
    float x = a[i], y = b[i], r;
    asm("sin.approx.f32 %0, %1;" : "=f"(r) : "f"(x)); PUT(0, r);
    asm("cos.approx.f32 %0, %1;" : "=f"(r) : "f"(x)); PUT(1, r);
    asm("sin.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x)); PUT(2, r);
    asm("cos.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x)); PUT(3, r);
    asm("lg2.approx.f32 %0, %1;" : "=f"(r) : "f"(y)); PUT(4, r);
    asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(y)); PUT(5, r);
}

extern "C" __global__ void tanh32(const float* a, float* out, int n) {
    int i = I;
    if (i < n) asm("tanh.approx.f32 %0, %1;" : "=f"(out[i]) : "f"(a[i]));
}

extern "C" __global__ void approximate64(const double* a, double* out, int n) {
    int i = I;
    if (i >= n) return;
    double r;
    asm("rcp.approx.ftz.f64 %0, %1;" : "=d"(r) : "d"(a[i])); PUT(0, r);
    asm("rsqrt.approx.ftz.f64 %0, %1;" : "=d"(r) : "d"(fabs(a[i]))); PUT(1, r);
    asm("rsqrt.approx.f64 %0, %1;" : "=d"(r) : "d"(fabs(a[i]))); PUT(2, r);
}

extern "C" __global__ void library(const float* a, const double* c, float* out, double* wide, int n) {    // what the CUDA library makes of it
    int i = I;
    if (i >= n) return;
    float x = a[i];
    double z = c[i];
    PUT(0, expf(x));
    PUT(1, logf(fabsf(x) + 0.5f));
    PUT(2, sinf(x));
    PUT(3, cosf(x));
    PUT(4, tanhf(x));
    PUT(5, powf(fabsf(x) + 0.1f, 1.7f));
    PUT(6, atan2f(x, 2.0f));
    PUT(7, erff(x));
    PUT(8, cbrtf(x) + log1pf(x * x));
    wide[i] = exp(z);
    wide[n + i] = log(fabs(z) + 0.5);
    wide[2 * n + i] = sin(z);
    wide[3 * n + i] = sqrt(fabs(z)) / (1.0 + z * z);
}

extern "C" __global__ void minmax32(const float* a, const float* b, float* out, int n) {
    int i = I;
    if (i >= n) return;
    float x = a[i], y = b[i], r;
    asm("min.f32 %0, %1, %2;" : "=f"(r) : "f"(x), "f"(y)); PUT(0, r);
    asm("max.f32 %0, %1, %2;" : "=f"(r) : "f"(x), "f"(y)); PUT(1, r);
    asm("min.ftz.f32 %0, %1, %2;" : "=f"(r) : "f"(x), "f"(y)); PUT(2, r);
    asm("abs.f32 %0, %1;" : "=f"(r) : "f"(x)); PUT(3, r);
    asm("neg.f32 %0, %1;" : "=f"(r) : "f"(x)); PUT(4, r);
    asm("abs.ftz.f32 %0, %1;" : "=f"(r) : "f"(x)); PUT(5, r);
    asm("copysign.f32 %0, %1, %2;" : "=f"(r) : "f"(x), "f"(y)); PUT(6, r);           // the sign of x on y
}

extern "C" __global__ void minmax64(const double* a, const double* b, double* out, int n) {
    int i = I;
    if (i >= n) return;
    double x = a[i], y = b[i], r;
    PUT(0, fmin(x, y));
    PUT(1, fmax(x, y));
    PUT(2, fabs(x));
    PUT(3, -x);
    PUT(4, copysign(x, y));
    asm("copysign.f64 %0, %1, %2;" : "=d"(r) : "d"(x), "d"(y)); PUT(5, r);
    PUT(6, floor(x) - ceil(y));
    PUT(7, rint(x) + trunc(y));
}

extern "C" __global__ void classes(const float* a, const double* c, unsigned* out, int n) {
    int i = I;
    if (i >= n) return;
    unsigned all = 0, r;
#define TEST(k, kind, type, reg, v) asm("{ .reg .pred p; testp." kind "." type " p, %1; selp.u32 %0, 1, 0, p; }" : "=r"(r) : reg(v)); all |= r << k;
    TEST(0, "finite", "f32", "f", a[i])
    TEST(1, "infinite", "f32", "f", a[i])
    TEST(2, "number", "f32", "f", a[i])
    TEST(3, "notanumber", "f32", "f", a[i])
    TEST(4, "normal", "f32", "f", a[i])
    TEST(5, "subnormal", "f32", "f", a[i])
    TEST(6, "finite", "f64", "d", c[i])
    TEST(7, "infinite", "f64", "d", c[i])
    TEST(8, "number", "f64", "d", c[i])
    TEST(9, "notanumber", "f64", "d", c[i])
    TEST(10, "normal", "f64", "d", c[i])
    TEST(11, "subnormal", "f64", "d", c[i])
    all |= (isnan(a[i]) ? 1u : 0u) << 12 | (isinf(c[i]) ? 1u : 0u) << 13 | (signbit(a[i]) ? 1u : 0u) << 14;
    out[i] = all;
}

extern "C" __global__ void polynomial(const float* x, double* out, int n) {          // mixed precision, Horner
    int i = I;
    if (i >= n) return;
    double t = x[i], s = 0.0;
    for (int k = 7; k >= 0; k--) s = __fma_rn(s, t, 1.0 / (k + 1));
    out[i] = s;
}
