// Comparisons: setp with boolean operations, set, selp, slct.
// build: sm_80 O3 O0 lineinfo; sm_75 O3
#define I (blockIdx.x * blockDim.x + threadIdx.x)
#define PUT(k, v) out[(k) * n + i] = (v)
#define P(k, op, type, reg, x, y) asm("{ .reg .pred p; setp." op "." type " p, %1, %2; selp.b32 %0, 1, 0, p; }" : "=r"(r) : reg(x), reg(y)); all |= r << k;

extern "C" __global__ void setp_float(const float* a, const float* b, const double* c, const double* d, unsigned* out, int n) {
    int i = I;
    if (i >= n) return;
    unsigned all = 0, r;
    float x = a[i], y = b[i];
    P(0, "eq", "f32", "f", x, y) P(1, "ne", "f32", "f", x, y) P(2, "lt", "f32", "f", x, y) P(3, "le", "f32", "f", x, y)
    P(4, "gt", "f32", "f", x, y) P(5, "ge", "f32", "f", x, y) P(6, "equ", "f32", "f", x, y) P(7, "neu", "f32", "f", x, y)
    P(8, "ltu", "f32", "f", x, y) P(9, "leu", "f32", "f", x, y) P(10, "gtu", "f32", "f", x, y) P(11, "geu", "f32", "f", x, y)
    P(12, "num", "f32", "f", x, y) P(13, "nan", "f32", "f", x, y) P(14, "eq.ftz", "f32", "f", x, y) P(15, "lt.ftz", "f32", "f", x, y)
    P(16, "lt", "f64", "d", c[i], d[i]) P(17, "geu", "f64", "d", c[i], d[i]) P(18, "ne", "f64", "d", c[i], d[i]) P(19, "nan", "f64", "d", c[i], d[i])
    out[i] = all;
}

extern "C" __global__ void setp_int(const int* a, const int* b, const long long* c, const long long* d, unsigned* out, int n) {
    int i = I;
    if (i >= n) return;
    unsigned all = 0, r;
    int x = a[i], y = b[i];
    P(0, "eq", "s32", "r", x, y) P(1, "lt", "s32", "r", x, y) P(2, "ge", "s32", "r", x, y) P(3, "lo", "u32", "r", x, y) P(4, "ls", "u32", "r", x, y)
    P(5, "hi", "u32", "r", x, y) P(6, "hs", "u32", "r", x, y) P(7, "ne", "b32", "r", x, y) P(8, "lt", "s64", "l", c[i], d[i]) P(9, "gt", "u64", "l", c[i], d[i])
    P(10, "eq", "b64", "l", c[i], d[i]) P(11, "le", "s16", "h", (short)x, (short)y) P(12, "lt", "u16", "h", (short)x, (short)y) P(13, "ne", "b16", "h", (short)x, (short)y)
    out[i] = all;
}

extern "C" __global__ void setp_boolean(const float* a, const float* b, const int* c, unsigned* out, int n) {
    int i = I;
    if (i >= n) return;
    unsigned r, s, all = 0;
#define B(k, op, no) asm("{ .reg .pred p, q, t; setp.lt.s32 t, %4, 0; setp." op " p|q, %2, %3, " no "t; selp.u32 %0, 1, 0, p; selp.u32 %1, 1, 0, q; }" \
                         : "=r"(r), "=r"(s) : "f"(a[i]), "f"(b[i]), "r"(c[i])); all |= (r | s << 1) << k;
    B(0, "lt.and.f32", "") B(2, "lt.or.f32", "!") B(4, "geu.xor.f32", "") B(6, "nan.and.f32", "!") B(8, "num.xor.f32", "!") B(10, "eq.or.f32", "")
    asm("{ .reg .pred p, q, t; setp.gt.f32 p|q, %1, %2; and.pred t, p, q; not.pred t, t; xor.pred p, t, q; or.pred p, p, q; selp.u32 %0, 1, 0, p; }" : "=r"(r) : "f"(a[i]), "f"(b[i]));
    out[i] = all | r << 12;
}

extern "C" __global__ void set_slct(const float* a, const float* b, const int* c, unsigned* out, int n) {
    int i = I;
    if (i >= n) return;
    unsigned r;
    float x = a[i], y = b[i], f;
    int z = c[i];
    asm("set.lt.u32.f32 %0, %1, %2;" : "=r"(r) : "f"(x), "f"(y)); PUT(0, r);
    asm("set.geu.f32.f32 %0, %1, %2;" : "=f"(f) : "f"(x), "f"(y)); PUT(1, __float_as_uint(f));
    asm("set.le.s32.s32 %0, %1, 100;" : "=r"(r) : "r"(z)); PUT(2, r);
    asm("set.gt.f32.u32 %0, %1, 100;" : "=f"(f) : "r"(z)); PUT(3, __float_as_uint(f));
    asm("{ .reg .pred p; setp.ne.s32 p, %3, 0; set.eq.and.u32.f32 %0, %1, %2, !p; }" : "=r"(r) : "f"(x), "f"(y), "r"(z)); PUT(4, r);
    asm("slct.s32.s32 %0, %1, %2, %3;" : "=r"(r) : "r"(7), "r"(z), "r"(z)); PUT(5, r);
    asm("slct.f32.f32 %0, %1, %2, %3;" : "=f"(f) : "f"(x), "f"(1.0f), "f"(y)); PUT(6, __float_as_uint(f));
    asm("slct.u32.f32 %0, %1, %2, %3;" : "=r"(r) : "r"(z), "r"(5), "f"(y)); PUT(7, r);
    PUT(8, x < y ? (z > 3 ? 1u : 2u) : (y == y && x != y ? 3u : 4u));
}
