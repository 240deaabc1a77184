// Integer arithmetic of every width, bits, carries; saxpy.
// build: sm_80 O3 O0 lineinfo; sm_75 O3; sm_90 O3; sm_120 O3
#define I (blockIdx.x * blockDim.x + threadIdx.x)
#define PUT(k, v) out[(k) * n + i] = (v)

extern "C" __global__ void saxpy(float a, const float* x, float* y, int n) {
    int i = I;
    if (i < n) y[i] = a * x[i] + y[i];
}

extern "C" __global__ void int32_ops(const unsigned* a, const unsigned* b, unsigned* out, int n) {
    int i = I;
    if (i >= n) return;
    unsigned x = a[i], y = b[i], r;
    int sx = x, sy = y;
    PUT(0, x + y);
    PUT(1, x - y);
    PUT(2, x * y);
    PUT(3, (unsigned)__mulhi(sx, sy));
    PUT(4, __umulhi(x, y));
    PUT(5, (unsigned)min(sx, sy));
    PUT(6, (unsigned)max(sx, sy));
    PUT(7, min(x, y));
    PUT(8, max(x, y));
    PUT(9, x << (y & 31));
    PUT(10, x >> (y & 31));
    PUT(11, (unsigned)(sx >> (y & 31)));
    PUT(12, (x & y) ^ (x | ~y));
    asm("shl.b32 %0, %1, %2;" : "=r"(r) : "r"(x), "r"(y)); PUT(13, r);       // shifts clamp at 32
    asm("shr.u32 %0, %1, %2;" : "=r"(r) : "r"(x), "r"(y)); PUT(14, r);
    asm("shr.s32 %0, %1, %2;" : "=r"(r) : "r"(x), "r"(y)); PUT(15, r);
    asm("abs.s32 %0, %1;" : "=r"(r) : "r"(x)); PUT(16, r);
    asm("neg.s32 %0, %1;" : "=r"(r) : "r"(x)); PUT(17, r);
    asm("add.sat.s32 %0, %1, %2;" : "=r"(r) : "r"(x), "r"(y)); PUT(18, r);
    asm("sub.sat.s32 %0, %1, %2;" : "=r"(r) : "r"(x), "r"(y)); PUT(19, r);
    asm("sad.s32 %0, %1, %2, %3;" : "=r"(r) : "r"(x), "r"(y), "r"(7)); PUT(20, r);
    asm("sad.u32 %0, %1, %2, %3;" : "=r"(r) : "r"(x), "r"(y), "r"(7)); PUT(21, r);
    asm("mad.hi.s32 %0, %1, %2, %1;" : "=r"(r) : "r"(x), "r"(y)); PUT(22, r);
    asm("mad.hi.sat.s32 %0, %1, %2, %1;" : "=r"(r) : "r"(x), "r"(y)); PUT(23, r);
    asm("mad.lo.u32 %0, %1, %2, %2;" : "=r"(r) : "r"(x), "r"(y)); PUT(24, r);
    asm("mul24.lo.s32 %0, %1, %2;" : "=r"(r) : "r"(x), "r"(y)); PUT(25, r);
    asm("mul24.hi.u32 %0, %1, %2;" : "=r"(r) : "r"(x), "r"(y)); PUT(26, r);
    asm("mad24.lo.u32 %0, %1, %2, %1;" : "=r"(r) : "r"(x), "r"(y)); PUT(27, r);
    asm("cnot.b32 %0, %1;" : "=r"(r) : "r"(x & y)); PUT(28, r);
}

extern "C" __global__ void int64_ops(const unsigned long long* a, const unsigned long long* b, unsigned long long* out, int n) {
    int i = I;
    if (i >= n) return;
    unsigned long long x = a[i], y = b[i], r;
    long long sx = x, sy = y;
    PUT(0, x + y);
    PUT(1, x - y);
    PUT(2, x * y);
    PUT(3, (unsigned long long)__mul64hi(sx, sy));
    PUT(4, __umul64hi(x, y));
    PUT(5, (unsigned long long)min(sx, sy));
    PUT(6, max(x, y));
    PUT(7, x << (y & 63));
    PUT(8, x >> (y & 63));
    PUT(9, (unsigned long long)(sx >> (y & 63)));
    PUT(10, (x & y) ^ (x | ~y));
    asm("mul.wide.s32 %0, %1, %2;" : "=l"(r) : "r"((int)x), "r"((int)y)); PUT(11, r);
    asm("mul.wide.u32 %0, %1, %2;" : "=l"(r) : "r"((unsigned)x), "r"((unsigned)y)); PUT(12, r);
    asm("mad.wide.s32 %0, %1, %2, %3;" : "=l"(r) : "r"((int)x), "r"((int)y), "l"(x)); PUT(13, r);
    asm("mad.wide.u32 %0, %1, %2, %3;" : "=l"(r) : "r"((unsigned)x), "r"((unsigned)y), "l"(x)); PUT(14, r);
    asm("mad.hi.u64 %0, %1, %2, %1;" : "=l"(r) : "l"(x), "l"(y)); PUT(15, r);
    asm("sad.s64 %0, %1, %2, %1;" : "=l"(r) : "l"(x), "l"(y)); PUT(16, r);
    asm("abs.s64 %0, %1;" : "=l"(r) : "l"(x)); PUT(17, r);
}

extern "C" __global__ void divisions(const int* a, const int* b, const long long* c, const long long* d, long long* out, int n) {
    int i = I;
    if (i >= n) return;
    PUT(0, a[i] / b[i]);
    PUT(1, a[i] % b[i]);
    PUT(2, (unsigned)a[i] / (unsigned)b[i]);
    PUT(3, (unsigned)a[i] % (unsigned)b[i]);
    PUT(4, c[i] / d[i]);
    PUT(5, c[i] % d[i]);
    PUT(6, (long long)((unsigned long long)c[i] / (unsigned long long)d[i]));
    PUT(7, (long long)((unsigned long long)c[i] % (unsigned long long)d[i]));
    PUT(8, a[i] / 7);
    PUT(9, (unsigned)a[i] % 10u);
    PUT(10, c[i] / -1000003);
    PUT(11, (short)a[i] / 3 + (short)a[i] % 13);
}

extern "C" __global__ void narrow(const short* a, const short* b, const signed char* c, const unsigned char* d, short* out, int n) {
    int i = I;
    if (i >= n) return;
    short x = a[i], y = b[i], r;
    asm("add.s16 %0, %1, %2;" : "=h"(r) : "h"(x), "h"(y)); PUT(0, r);
    asm("sub.u16 %0, %1, %2;" : "=h"(r) : "h"(x), "h"(y)); PUT(1, r);
    asm("mul.lo.s16 %0, %1, %2;" : "=h"(r) : "h"(x), "h"(y)); PUT(2, r);
    asm("mul.hi.s16 %0, %1, %2;" : "=h"(r) : "h"(x), "h"(y)); PUT(3, r);
    asm("mul.hi.u16 %0, %1, %2;" : "=h"(r) : "h"(x), "h"(y)); PUT(4, r);
    asm("mad.lo.u16 %0, %1, %2, %1;" : "=h"(r) : "h"(x), "h"(y)); PUT(5, r);
    asm("min.s16 %0, %1, %2;" : "=h"(r) : "h"(x), "h"(y)); PUT(6, r);
    asm("max.u16 %0, %1, %2;" : "=h"(r) : "h"(x), "h"(y)); PUT(7, r);
    asm("shl.b16 %0, %1, %2;" : "=h"(r) : "h"(x), "r"(y & 31)); PUT(8, r);
    asm("shr.s16 %0, %1, %2;" : "=h"(r) : "h"(x), "r"(y & 31)); PUT(9, r);
    asm("sad.s16 %0, %1, %2, %1;" : "=h"(r) : "h"(x), "h"(y)); PUT(10, r);
    asm("{ .reg .s32 t; mul.wide.s16 t, %1, %2; shr.s32 t, t, 8; cvt.u16.u32 %0, t; }" : "=h"(r) : "h"(x), "h"(y)); PUT(11, r);
    asm("{ .reg .u32 t; mov.u32 t, 12345; mad.wide.u16 t, %1, %2, t; shr.u32 t, t, 8; cvt.u16.u32 %0, t; }" : "=h"(r) : "h"(x), "h"(y)); PUT(12, r);
    PUT(13, (short)((signed char)(c[i] + (signed char)d[i])));
    PUT(14, (short)((unsigned char)(c[i] * d[i])));
    PUT(15, (short)(d[i] >> 3 | c[i] << 2));
    PUT(16, (short)(c[i] < 0 ? -c[i] : d[i]));
}

extern "C" __global__ void add256(const unsigned* a, const unsigned* b, unsigned* sum, unsigned* difference, int n) {
    int i = I;
    if (i >= n) return;
    const unsigned *x = a + 8 * i, *y = b + 8 * i;
    unsigned s[8], carry, d[8], borrow;
    asm("add.cc.u32 %0, %9, %17;\n\taddc.cc.u32 %1, %10, %18;\n\taddc.cc.u32 %2, %11, %19;\n\taddc.cc.u32 %3, %12, %20;\n\t"
        "addc.cc.u32 %4, %13, %21;\n\taddc.cc.u32 %5, %14, %22;\n\taddc.cc.u32 %6, %15, %23;\n\taddc.cc.u32 %7, %16, %24;\n\taddc.u32 %8, 0, 0;"
        : "=&r"(s[0]), "=&r"(s[1]), "=&r"(s[2]), "=&r"(s[3]), "=&r"(s[4]), "=&r"(s[5]), "=&r"(s[6]), "=&r"(s[7]), "=&r"(carry)
        : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(x[4]), "r"(x[5]), "r"(x[6]), "r"(x[7]),
          "r"(y[0]), "r"(y[1]), "r"(y[2]), "r"(y[3]), "r"(y[4]), "r"(y[5]), "r"(y[6]), "r"(y[7]));
    asm("sub.cc.u32 %0, %9, %17;\n\tsubc.cc.u32 %1, %10, %18;\n\tsubc.cc.u32 %2, %11, %19;\n\tsubc.cc.u32 %3, %12, %20;\n\t"
        "subc.cc.u32 %4, %13, %21;\n\tsubc.cc.u32 %5, %14, %22;\n\tsubc.cc.u32 %6, %15, %23;\n\tsubc.cc.u32 %7, %16, %24;\n\tsubc.u32 %8, 0, 0;"
        : "=&r"(d[0]), "=&r"(d[1]), "=&r"(d[2]), "=&r"(d[3]), "=&r"(d[4]), "=&r"(d[5]), "=&r"(d[6]), "=&r"(d[7]), "=&r"(borrow)
        : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(x[4]), "r"(x[5]), "r"(x[6]), "r"(x[7]),
          "r"(y[0]), "r"(y[1]), "r"(y[2]), "r"(y[3]), "r"(y[4]), "r"(y[5]), "r"(y[6]), "r"(y[7]));
    for (int k = 0; k < 8; k++) { sum[9 * i + k] = s[k]; difference[9 * i + k] = d[k]; }
    sum[9 * i + 8] = carry;
    difference[9 * i + 8] = borrow;
}

extern "C" __global__ void mul128(const uint2* a, const uint2* b, uint4* out, int n) {
    int i = I;
    if (i >= n) return;
    uint2 x = a[i], y = b[i];
    uint4 r;
    asm("mul.lo.u32 %0, %4, %6;\n\tmul.hi.u32 %1, %4, %6;\n\t"
        "mad.lo.cc.u32 %1, %4, %7, %1;\n\tmadc.hi.u32 %2, %4, %7, 0;\n\t"
        "mad.lo.cc.u32 %1, %5, %6, %1;\n\tmadc.hi.cc.u32 %2, %5, %6, %2;\n\taddc.u32 %3, 0, 0;\n\t"
        "mad.lo.cc.u32 %2, %5, %7, %2;\n\tmadc.hi.u32 %3, %5, %7, %3;"
        : "=&r"(r.x), "=&r"(r.y), "=&r"(r.z), "=&r"(r.w) : "r"(x.x), "r"(x.y), "r"(y.x), "r"(y.y));
    out[i] = r;
}

extern "C" __global__ void add128(const ulonglong2* a, const ulonglong2* b, ulonglong2* out, int n) {
    int i = I;
    if (i >= n) return;
    ulonglong2 s, d;
    asm("add.cc.u64 %0, %2, %4;\n\taddc.u64 %1, %3, %5;" : "=&l"(s.x), "=l"(s.y) : "l"(a[i].x), "l"(a[i].y), "l"(b[i].x), "l"(b[i].y));
    asm("sub.cc.u64 %0, %2, %4;\n\tsubc.u64 %1, %3, %5;" : "=&l"(d.x), "=l"(d.y) : "l"(a[i].x), "l"(a[i].y), "l"(b[i].x), "l"(b[i].y));
    out[i] = s;
    out[n + i] = d;
    unsigned __int128 p = (unsigned __int128)a[i].x * b[i].x;
    out[2 * n + i] = make_ulonglong2(p, p >> 64);
}

extern "C" __global__ void bits(const unsigned* a, const unsigned long long* c, unsigned* out, int n) {
    int i = I;
    if (i >= n) return;
    unsigned x = a[i], r;
    unsigned long long w = c[i];
    PUT(0, __brev(x));
    PUT(1, (unsigned)__clz(x));
    PUT(2, (unsigned)__popc(x));
    PUT(3, (unsigned)__ffs(x));
    asm("bfind.u32 %0, %1;" : "=r"(r) : "r"(x)); PUT(4, r);
    asm("bfind.s32 %0, %1;" : "=r"(r) : "r"(x)); PUT(5, r);
    asm("bfind.shiftamt.u32 %0, %1;" : "=r"(r) : "r"(x)); PUT(6, r);
    asm("bfind.shiftamt.s32 %0, %1;" : "=r"(r) : "r"(x)); PUT(7, r);
    PUT(8, (unsigned)(__brevll(w) >> 32));
    PUT(9, (unsigned)__clzll(w));
    PUT(10, (unsigned)__popcll(w));
    PUT(11, (unsigned)__ffsll(w));
    asm("bfind.u64 %0, %1;" : "=r"(r) : "l"(w)); PUT(12, r);
    asm("bfind.s64 %0, %1;" : "=r"(r) : "l"(w)); PUT(13, r);
    asm("bfind.shiftamt.s64 %0, %1;" : "=r"(r) : "l"(w)); PUT(14, r);
}

extern "C" __global__ void fields(const unsigned* a, const unsigned* b, const unsigned* at, const unsigned* length, const unsigned long long* c,
                                  unsigned* out, unsigned long long* wide, int n) {
    int i = I;
    if (i >= n) return;
    unsigned x = a[i], y = b[i], p = at[i], l = length[i], r;
    unsigned long long w = c[i], q;
    asm("bfe.u32 %0, %1, %2, %3;" : "=r"(r) : "r"(x), "r"(p), "r"(l)); PUT(0, r);
    asm("bfe.s32 %0, %1, %2, %3;" : "=r"(r) : "r"(x), "r"(p), "r"(l)); PUT(1, r);
    asm("bfi.b32 %0, %1, %2, %3, %4;" : "=r"(r) : "r"(x), "r"(y), "r"(p), "r"(l)); PUT(2, r);
    asm("fns.b32 %0, %1, %2, %3;" : "=r"(r) : "r"(x), "r"(p & 31), "r"((int)(l % 9) - 4)); PUT(3, r);
    PUT(4, (x >> 5) & 0x7ff);
    asm("bfe.u64 %0, %1, %2, %3;" : "=l"(q) : "l"(w), "r"(p), "r"(l)); wide[i] = q;
    asm("bfe.s64 %0, %1, %2, %3;" : "=l"(q) : "l"(w), "r"(p), "r"(l)); wide[n + i] = q;
    asm("bfi.b64 %0, %1, %2, %3, %4;" : "=l"(q) : "l"(w), "l"(~w * 3), "r"(p), "r"(l)); wide[2 * n + i] = q;
}

extern "C" __global__ void permutes(const unsigned* a, const unsigned* b, const unsigned* c, unsigned* out, int n) {
    int i = I;
    if (i >= n) return;
    unsigned x = a[i], y = b[i], z = c[i], r;
    PUT(0, __byte_perm(x, y, z & 0x7777));
    asm("prmt.b32 %0, %1, %2, %3;" : "=r"(r) : "r"(x), "r"(y), "r"(z)); PUT(1, r);          // sign replication too
    asm("prmt.b32.f4e %0, %1, %2, %3;" : "=r"(r) : "r"(x), "r"(y), "r"(z)); PUT(2, r);
    asm("prmt.b32.b4e %0, %1, %2, %3;" : "=r"(r) : "r"(x), "r"(y), "r"(z)); PUT(3, r);
    asm("prmt.b32.rc8 %0, %1, %2, %3;" : "=r"(r) : "r"(x), "r"(y), "r"(z)); PUT(4, r);
    asm("prmt.b32.ecl %0, %1, %2, %3;" : "=r"(r) : "r"(x), "r"(y), "r"(z)); PUT(5, r);
    asm("prmt.b32.ecr %0, %1, %2, %3;" : "=r"(r) : "r"(x), "r"(y), "r"(z)); PUT(6, r);
    asm("prmt.b32.rc16 %0, %1, %2, %3;" : "=r"(r) : "r"(x), "r"(y), "r"(z)); PUT(7, r);
    asm("lop3.b32 %0, %1, %2, %3, 0x96;" : "=r"(r) : "r"(x), "r"(y), "r"(z)); PUT(8, r);
    asm("lop3.b32 %0, %1, %2, %3, 0xca;" : "=r"(r) : "r"(x), "r"(y), "r"(z)); PUT(9, r);
    asm("lop3.b32 %0, %1, %2, %3, 0x1b;" : "=r"(r) : "r"(x), "r"(y), "r"(z)); PUT(10, r);
    PUT(11, __funnelshift_l(x, y, z));
    PUT(12, __funnelshift_r(x, y, z));
    PUT(13, __funnelshift_lc(x, y, z));
    PUT(14, __funnelshift_rc(x, y, z));
    PUT(15, (x << 13 | x >> 19) + __funnelshift_l(y, y, 7));
}

extern "C" __global__ void dots(const unsigned* a, const unsigned* b, const unsigned* c, unsigned* out, int n) {
    int i = I;
    if (i >= n) return;
    unsigned x = a[i], y = b[i], z = c[i], r;
    PUT(0, (unsigned)__dp4a((int)x, (int)y, (int)z));
    PUT(1, __dp4a(x, y, z));
    asm("dp4a.s32.u32 %0, %1, %2, %3;" : "=r"(r) : "r"(x), "r"(y), "r"(z)); PUT(2, r);
    asm("dp4a.u32.s32 %0, %1, %2, %3;" : "=r"(r) : "r"(x), "r"(y), "r"(z)); PUT(3, r);
    PUT(4, (unsigned)__dp2a_lo((int)x, (int)y, (int)z));
    PUT(5, __dp2a_hi(x, y, z));
    asm("dp2a.lo.s32.u32 %0, %1, %2, %3;" : "=r"(r) : "r"(x), "r"(y), "r"(z)); PUT(6, r);
    asm("dp2a.hi.u32.s32 %0, %1, %2, %3;" : "=r"(r) : "r"(x), "r"(y), "r"(z)); PUT(7, r);
}
