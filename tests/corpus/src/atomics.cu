// Atomics in global and shared memory, orders and fences, locks, grids.
// build: sm_80 O3 O0 lineinfo; sm_90 O3
#include <cuda/atomic>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#define I (blockIdx.x * blockDim.x + threadIdx.x)

extern "C" __global__ void atomics32(const int* a, int* out, int n) {          // 13 cells, order-free
    int i = I;
    if (i >= n) return;
    int x = a[i];
    unsigned u = x, *o = (unsigned*)out;
    atomicAdd(out, x);
    atomicSub(out + 1, x);
    atomicMin(out + 2, x);
    atomicMax(out + 3, x);
    atomicMin(o + 4, u);
    atomicMax(o + 5, u);
    atomicAnd(o + 6, u | 0xff);
    atomicOr(o + 7, u & 0xff0f);
    atomicXor(o + 8, u);
    atomicInc(o + 9, 100);
    atomicDec(o + 10, 77);
    atomicAdd((float*)out + 11, (float)(x & 15));
    atomicAdd_block(out + 12, 1);
}

extern "C" __global__ void atomics64(const long long* a, unsigned long long* out, int n) {
    int i = I;
    if (i >= n) return;
    long long x = a[i];
    atomicAdd(out, (unsigned long long)x);
    atomicMin((long long*)out + 1, x);
    atomicMax((long long*)out + 2, x);
    atomicMin(out + 3, (unsigned long long)x);
    atomicMax(out + 4, (unsigned long long)x);
    atomicAnd(out + 5, (unsigned long long)x | 0xffff);
    atomicOr(out + 6, (unsigned long long)x & 0xff00ff);
    atomicXor(out + 7, (unsigned long long)x);
    atomicAdd((double*)out + 8, (double)(x & 1023) * 0.5);
    atomicAdd_system(out + 9, 3ull);
}

extern "C" __global__ void atomic_tickets(int* next, int* seen, int n) {       // every ticket is drawn once
    int i = I;
    if (i < n) seen[atomicAdd(next, 1)] = i;
}

extern "C" __global__ void atomic_exchange(int* cell, int* got, long long* wide, long long* got_wide) {    // a chain: what is taken was put
    int i = I;
    got[i] = atomicExch(cell, i + 1);
    got_wide[i] = (long long)atomicExch((unsigned long long*)wide, (unsigned long long)(i + 1) << 32);
}

extern "C" __global__ void atomic_halves(__half2* h, __nv_bfloat162* b, __half* one, int n) {
    if (I < n) {
        atomicAdd(h, __floats2half2_rn(1.0f, 2.0f));
        atomicAdd(b, __floats2bfloat162_rn(1.0f, 0.5f));
        atomicAdd(one, __float2half(0.25f));
    }
}

extern "C" __global__ void cas_loops(const float* a, float* greatest, double* product, unsigned short* half, int n) {
    int i = I;
    if (i >= n) return;
    int *cell = (int*)greatest, old = *(volatile int*)cell;
    while (__int_as_float(old) < a[i]) {
        int seen = atomicCAS(cell, old, __float_as_int(a[i]));
        if (seen == old) break;
        old = seen;
    }
    unsigned long long *wide = (unsigned long long*)product, was = *(volatile unsigned long long*)wide, now;
    do {
        now = was;
        was = atomicCAS(wide, now, (unsigned long long)__double_as_longlong(__longlong_as_double((long long)now) * (i & 1 ? 2.0 : 0.5)));
    } while (was != now);
    unsigned short h = *(volatile unsigned short*)half, g;
    do { g = h; h = atomicCAS(half, g, (unsigned short)(g + 1)); } while (h != g);
}

extern "C" __global__ void shared_atomics(const int* a, int* out, int n) {
    __shared__ int cells[4];
    __shared__ unsigned long long wide;
    __shared__ float real;
    int t = threadIdx.x, i = I;
    if (t < 4) cells[t] = t == 1 ? 1 << 30 : 0;
    if (t == 0) { wide = 0; real = 0.0f; }
    __syncthreads();
    if (i < n) {
        atomicAdd(&cells[0], a[i]);
        atomicMin(&cells[1], a[i]);
        atomicOr(&cells[2], 1 << (a[i] & 31));
        atomicMax(&cells[3], a[i] & 0xfff);
        atomicAdd(&wide, (unsigned long long)(a[i] & 0xffff) << 20);
        atomicAdd(&real, (float)(a[i] & 7));
    }
    __syncthreads();
    if (t < 4) out[blockIdx.x * 8 + t] = cells[t];
    if (t == 0) { out[blockIdx.x * 8 + 4] = (int)(wide >> 20); out[blockIdx.x * 8 + 5] = (int)real; }
}

extern "C" __global__ void lock_per_warp(int* lock, int* data, int rounds) {           // one lane of each warp takes a spin lock
    if ((threadIdx.x & 31) == 0)
        for (int r = 0; r < rounds; r++) {
            while (atomicCAS(lock, 0, 1) != 0) __nanosleep(20);
            __threadfence();
            data[0] += 1;
            data[1] = data[1] ^ data[0];
            __threadfence();
            atomicExch(lock, 0);
        }
}

extern "C" __global__ void lock_divergent(int* lock, int* data) {                      // every lane of a warp takes the lock in turn
    bool done = false;
    while (!done) {
        if (atomicCAS(lock, 0, 1) == 0) {
            __threadfence();
            data[0] += threadIdx.x;
            data[1] += 1;
            __threadfence();
            atomicExch(lock, 0);
            done = true;
        }
    }
}

extern "C" __global__ void last_block(const int* a, int* partial, unsigned* arrived, int* out, int n) {    // __threadfence reduction
    __shared__ int sum;
    __shared__ bool last;
    int i = I;
    if (threadIdx.x == 0) sum = 0;
    __syncthreads();
    if (i < n) atomicAdd(&sum, a[i]);
    __syncthreads();
    if (threadIdx.x == 0) {
        atomicExch(&partial[blockIdx.x], sum);
        __threadfence();
        last = atomicAdd(arrived, 1u) == gridDim.x - 1;
        __threadfence();
    }
    __syncthreads();
    if (last && threadIdx.x == 0) {
        int s = 0;
        for (int k = 0; k < gridDim.x; k++) s += *(volatile int*)&partial[k];
        *out = s;
    }
}

__device__ __forceinline__ unsigned long long load_acquire(const unsigned long long* p) {
    unsigned long long r;
    asm volatile("ld.acquire.gpu.global.u64 %0, [%1];" : "=l"(r) : "l"(p) : "memory");
    return r;
}

extern "C" __global__ void look_back(const int* a, int* out, unsigned* next, unsigned long long* state, int n) {   // decoupled look-back scan
    __shared__ int tile[128], before, block;                       // state: flag (1 aggregate, 2 prefix) << 32 | value
    int t = threadIdx.x;
    if (t == 0) block = atomicAdd(next, 1u);
    __syncthreads();
    int i = block * 128 + t;
    tile[t] = i < n ? a[i] : 0;
    for (int d = 1; d < 128; d *= 2) {
        __syncthreads();
        int x = t >= d ? tile[t - d] : 0;
        __syncthreads();
        tile[t] += x;
    }
    __syncthreads();
    if (t == 0) {
        int total = tile[127], sum = 0;
        asm volatile("st.release.gpu.global.u64 [%0], %1;" :: "l"(state + block), "l"(1ull << 32 | (unsigned)total) : "memory");
        for (int k = block - 1; k >= 0; k--) {
            unsigned long long s;
            do s = load_acquire(state + k); while (s >> 32 == 0);
            sum += (int)(unsigned)s;
            if (s >> 32 == 2) break;
        }
        asm volatile("st.release.gpu.global.u64 [%0], %1;" :: "l"(state + block), "l"(2ull << 32 | (unsigned)(sum + total)) : "memory");
        before = sum;
    }
    __syncthreads();
    if (i < n) out[i] = tile[t] + before;
}

extern "C" __global__ void grid_barrier(int* data, unsigned* arrived, int rounds) {    // cooperative: all blocks live together
    int i = I, n = gridDim.x * blockDim.x;
    for (int r = 0; r < rounds; r++) {
        int x = *(volatile int*)&data[(r & 1) * n + (i + 37) % n];
        *(volatile int*)&data[(~r & 1) * n + i] = x * 3 + i;
        __threadfence();
        __syncthreads();
        if (threadIdx.x == 0) {
            atomicAdd(arrived, 1u);
            while (*(volatile unsigned*)arrived < gridDim.x * (r + 1)) {}
            __threadfence();
        }
        __syncthreads();
    }
}

extern "C" __global__ void atomic_refs(int* counter, int* flag, int* message, int* out, unsigned long long* wide) {   // libcu++
    cuda::atomic_ref<int, cuda::thread_scope_device> c(*counter);
    cuda::atomic_ref<unsigned long long, cuda::thread_scope_device> w(*wide);
    c.fetch_add(2, cuda::memory_order_relaxed);
    w.fetch_max(I, cuda::memory_order_acq_rel);
    cuda::atomic_ref<int, cuda::thread_scope_device> f(*flag);
    if (I == 0) {
        *message = 42;
        f.store(1, cuda::memory_order_release);
    }
    if (threadIdx.x == 0) {
        while (f.load(cuda::memory_order_acquire) == 0) {}
        out[blockIdx.x] = *message + blockIdx.x;
    }
    cuda::atomic_thread_fence(cuda::memory_order_seq_cst, cuda::thread_scope_device);
}

extern "C" __global__ void orders(int* data, int* out) {                               // every qualifier, thread by thread
    int* p = data + threadIdx.x;
    int r, s = 0;
    asm volatile("ld.relaxed.gpu.global.s32 %0, [%1];" : "=r"(r) : "l"(p) : "memory"); s += r;
    asm volatile("ld.acquire.sys.s32 %0, [%1];" : "=r"(r) : "l"(p) : "memory"); s += r;
    asm volatile("ld.volatile.global.s32 %0, [%1];" : "=r"(r) : "l"(p) : "memory"); s += r;
    asm volatile("st.relaxed.cta.global.s32 [%0], %1;" :: "l"(p), "r"(s) : "memory");
    asm volatile("fence.acq_rel.gpu; fence.sc.cta; membar.gl; membar.cta; membar.sys;" ::: "memory");
    asm volatile("atom.acq_rel.gpu.global.add.s32 %0, [%1], 5;" : "=r"(r) : "l"(p) : "memory"); s += r;
    asm volatile("atom.relaxed.cta.global.cas.b32 %0, [%1], %2, 9;" : "=r"(r) : "l"(p), "r"(r + 5) : "memory"); s += r;
    asm volatile("red.release.gpu.global.max.s32 [%0], 8;" :: "l"(p) : "memory");
    asm volatile("st.release.gpu.global.s32 [%0], %1;" :: "l"(p), "r"(s) : "memory");
    out[threadIdx.x] = s;
}
