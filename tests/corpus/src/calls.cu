// Calls: functions, recursion, pointers, virtual methods, structs by value; output, traps, clocks, hints.
// build: sm_80 O3 O0 lineinfo; sm_75 O3; sm_90 O3
#include <cassert>
#include <cstdio>
#define I (blockIdx.x * blockDim.x + threadIdx.x)

__device__ __noinline__ int mix(int a, int b) { return a * 31 + (b ^ a >> 3); }
__device__ __noinline__ unsigned factorial(unsigned n) { return n < 2 ? 1 : n * factorial(n - 1); }
__device__ __noinline__ int fibonacci(int n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }
__device__ __noinline__ int ackermann(int m, int n) { return m == 0 ? n + 1 : n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1)); }
__device__ int is_odd(int n);
__device__ __noinline__ int is_even(int n) { return n == 0 ? 1 : is_odd(n - 1); }
__device__ __noinline__ int is_odd(int n) { return n == 0 ? 0 : is_even(n - 1); }

extern "C" __global__ void functions(const int* a, int* out, int n) {
    int i = I;
    if (i >= n) return;
    int r = mix(a[i], i);
    if (r & 1) r = mix(r, 5);
    out[i] = r;
}

extern "C" __global__ void recursion(const int* a, int* out, int n) {          // a in 0…11; lanes recurse to different depths
    int i = I;
    if (i >= n) return;
    int x = a[i];
    out[4 * i] = (int)factorial(x);
    out[4 * i + 1] = fibonacci(x);
    out[4 * i + 2] = ackermann(x & 1 ? 2 : 1, x & 3);
    out[4 * i + 3] = is_even(x);
}

struct Vec { float x, y, z; int tag; };
__device__ __noinline__ Vec cross(Vec a, Vec b) {
    return {__fsub_rn(a.y * b.z, a.z * b.y), __fsub_rn(a.z * b.x, a.x * b.z), __fsub_rn(a.x * b.y, a.y * b.x), a.tag + b.tag};
}
extern "C" __global__ void struct_calls(const Vec* a, const Vec* b, Vec* out, int n) {
    int i = I;
    if (i < n) out[i] = cross(cross(a[i], b[i]), b[i]);
}

typedef int (*Operation)(int, int);
__device__ __noinline__ int op_add(int a, int b) { return a + b; }
__device__ __noinline__ int op_sub(int a, int b) { return a - b; }
__device__ __noinline__ int op_mul(int a, int b) { return a * b; }
__device__ __noinline__ int op_max(int a, int b) { return a > b ? a : b; }
__device__ Operation operations[4] = {op_add, op_sub, op_mul, op_max};
__constant__ Operation fixed[2] = {op_max, op_sub};
extern "C" __global__ void function_table(const int* a, const int* b, int* out, int n) {       // divergent indirect calls
    int i = I;
    if (i >= n) return;
    int r = operations[a[i] & 3](a[i], b[i]);
    out[i] = fixed[b[i] & 1](r, i);
}

struct Shape { float s; __device__ Shape(float s) : s(s) {} __device__ virtual float area() const = 0; __device__ virtual int sides() const { return 0; } };
struct Square : Shape { __device__ Square(float s) : Shape(s) {} __device__ float area() const override { return s * s; } __device__ int sides() const override { return 4; } };
struct Circle : Shape { __device__ Circle(float s) : Shape(s) {} __device__ float area() const override { return 3.0f * s * s; } };
__device__ __noinline__ float measure(const Shape* p) { return p->area() * 2.0f + p->sides(); }
extern "C" __global__ void virtual_methods(const int* kind, float* out, int n) {
    int i = I;
    if (i >= n) return;
    Square square(kind[i]);
    Circle circle(kind[i] + 1);
    out[i] = measure(kind[i] & 1 ? (const Shape*)&square : (const Shape*)&circle);
}

extern "C" __global__ void lambdas(const int* a, int* out, int n) {
    int i = I, bias = i * 3;
    if (i >= n) return;
    auto f = [bias](int x) { return x * 2 + bias; };
    auto g = [&](int x) { bias += x; return f(x) - bias; };
    out[i] = g(a[i]) + g(a[i] + 1);
}

extern "C" __global__ void print(int a, double b, const char* unused, int* out) {
    if (threadIdx.x == 0 && blockIdx.x == 0) {
        printf("hello %d %5.2f %s %c|%-4d|%04x|%u %lld %g%%\n", a, b, "text", 'z', a, a, 7u, 1ll << 40, b);
        printf("no arguments\n");
    }
    out[I] = a + I;
}

extern "C" __global__ void guarded(const int* a, int* out, int n) {            // assert, trap and brkpt which never happen
    int i = I;
    if (i >= n) return;
    assert(a[i] >= 0);
    if (a[i] < -5) __trap();
    if (a[i] < -6) asm volatile("brkpt;");
    if (a[i] > 1000000) asm volatile("exit;");
    out[i] = a[i] + 1;
}

extern "C" __global__ void clocks(int* out) {                                  // clocks do not go back
    unsigned c = clock();
    long long c64 = clock64(), d64;
    unsigned long long g, h;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(g));
    __nanosleep(100);
    asm volatile("pmevent 1;");
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(h));
    d64 = clock64();
    unsigned d = clock(), low, e;
    asm volatile("mov.u32 %0, %%globaltimer_lo;" : "=r"(low));
    asm volatile("mov.u32 %0, %%clock_hi;" : "=r"(e));
    out[I] = (d64 >= c64) + 2 * (h >= g) + 4 * ((int)(d - c) >= 0) + 8 * (low != 0 || e == e);
}

extern "C" __global__ void hints(const float4* a, const int* b, float4* out, int* ints, int n) {     // cache operators, prefetch, non-coherent loads
    int i = I;
    if (i >= n) return;
    asm volatile("prefetch.global.L1 [%0]; prefetch.global.L2 [%0]; prefetchu.L1 [%1];" :: "l"(b + i), "l"(b));
    float4 v = __ldg(a + i);
    int x = __ldcg(b + i) + __ldca(b + i) + __ldcs(b + i) + __ldlu(b + i) + __ldcv(b + i), y;
    asm volatile("ld.global.nc.L1::no_allocate.s32 %0, [%1];" : "=r"(y) : "l"(b + i)); x += y;
    asm volatile("ld.global.L2::128B.s32 %0, [%1];" : "=r"(y) : "l"(b + i)); x += y;
    __stcs(out + i, v);
    __stcg(ints + i, x);
    __stwt(ints + n + i, x + 1);
    __stwb(ints + 2 * n + i, x + 2);
}

#if __CUDA_ARCH__ >= 800
extern "C" __global__ void policies(const int* a, int* out, char* junk, int n) {
    int i = I, x;
    if (i >= n) return;
    unsigned long long p, q;
    asm("createpolicy.fractional.L2::evict_last.L2::evict_unchanged.b64 %0, 0.5;" : "=l"(p));
    asm("createpolicy.range.global.L2::evict_last.b64 %0, [%1], 1024, 4096;" : "=l"(q) : "l"(a));
    asm volatile("ld.global.L2::cache_hint.s32 %0, [%1], %2;" : "=r"(x) : "l"(a + i), "l"(p));
    asm volatile("st.global.L1::evict_first.L2::cache_hint.s32 [%0], %1, %2;" :: "l"(out + i), "r"(x + 1), "l"(q) : "memory");
    junk = (char*)((unsigned long long)(junk + 127) & ~127ull);
    if (i == 0) asm volatile("applypriority.global.L2::evict_normal [%0], 128; discard.global.L2 [%0], 128;" :: "l"(junk) : "memory");
}
#endif
