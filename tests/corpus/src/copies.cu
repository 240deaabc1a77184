// Asynchronous copies and the barrier objects of sm_80.
// build: sm_80 O3 O0 lineinfo; sm_90 O3
#define S(p) ((unsigned)__cvta_generic_to_shared(p))

extern "C" __global__ void cp_async(const float* a, float* out, int n) {       // 16, 8 and 4 bytes, the rest filled with zeros
    __shared__ __align__(16) float big[512];
    __shared__ __align__(16) float middle[256];
    __shared__ float small[128];
    int t = threadIdx.x, left = (n - 4 * t) * 4;
    left = left < 0 ? 0 : left > 16 ? 16 : left;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" :: "r"(S(big + 4 * t)), "l"(left ? a + 4 * t : a), "r"(left) : "memory");
    asm volatile("cp.async.ca.shared.global [%0], [%1], 8;" :: "r"(S(middle + 2 * t)), "l"(a + 2 * t) : "memory");
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" :: "r"(S(small + t)), "l"(a + 127 - t) : "memory");
    asm volatile("cp.async.commit_group;\n\tcp.async.wait_group 0;" ::: "memory");
    __syncthreads();
    for (int k = 0; k < 4; k++) out[t + 128 * k] = big[511 - t - 128 * k];
    for (int k = 0; k < 2; k++) out[512 + t + 128 * k] = middle[(t + 128 * k) ^ 3];
    out[768 + t] = small[t ^ 64];
}

extern "C" __global__ void cp_async_pipeline(const int* a, int* out, int tiles) {      // two tiles in flight
    __shared__ __align__(16) int stage[3][128];
    int t = threadIdx.x, sum = 0;
    for (int k = 0; k < 2; k++) {
        if (k < tiles) asm volatile("cp.async.ca.shared.global [%0], [%1], 4, 4;" :: "r"(S(&stage[k][t])), "l"(a + k * 128 + t) : "memory");
        asm volatile("cp.async.commit_group;" ::: "memory");
    }
    for (int k = 0; k < tiles; k++) {
        asm volatile("cp.async.wait_group 1;" ::: "memory");
        __syncthreads();
        if (k + 2 < tiles) asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" :: "r"(S(&stage[(k + 2) % 3][t])), "l"(a + (k + 2) * 128 + t) : "memory");
        asm volatile("cp.async.commit_group;" ::: "memory");
        sum = sum * 5 + stage[k % 3][127 - t];
    }
    asm volatile("cp.async.wait_all;" ::: "memory");
    out[t] = sum;
}

extern "C" __global__ void mbarrier_states(const int* a, int* out, int rounds) {       // arrive, test_wait with the state
    __shared__ unsigned long long bar;
    __shared__ int tile[64];
    int t = threadIdx.x, x = 0;
    if (t == 0) asm volatile("mbarrier.init.shared.b64 [%0], 64;" :: "r"(S(&bar)) : "memory");
    __syncthreads();
    for (int r = 0; r < 2 * rounds; r++) {
        if (!(r & 1)) tile[t] = a[t] + r + x;
        unsigned long long state;
        unsigned done = 0;
        asm volatile("mbarrier.arrive.shared.b64 %0, [%1];" : "=l"(state) : "r"(S(&bar)) : "memory");
        while (!done) asm volatile("{ .reg .pred p; mbarrier.test_wait.shared.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }" : "=r"(done) : "r"(S(&bar)), "l"(state) : "memory");
        if (!(r & 1)) x = tile[(t + 5) & 63];
    }
    __syncthreads();
    if (t == 0) asm volatile("mbarrier.inval.shared.b64 [%0];" :: "r"(S(&bar)) : "memory");
    out[t] = x;
}

extern "C" __global__ void mbarrier_parity(const int* a, int* out) {                   // counts, drop, parity waits, pending count
    __shared__ unsigned long long bar;
    __shared__ int tile[64], sum;
    int t = threadIdx.x;
    if (t == 0) { asm volatile("mbarrier.init.shared.b64 [%0], %1;" :: "r"(S(&bar)), "r"(66) : "memory"); sum = 0; }
    __syncthreads();
    tile[t] = a[t];
    unsigned long long state;
    if (t == 0) {
        unsigned pending;
        asm volatile("mbarrier.arrive.noComplete.shared.b64 %0, [%1], 2;" : "=l"(state) : "r"(S(&bar)) : "memory");
        asm volatile("mbarrier.pending_count.b64 %0, %1;" : "=r"(pending) : "l"(state));
        out[64] = pending > 0 && pending <= 66;
    }
    if (t < 32) asm volatile("mbarrier.arrive.shared.b64 _, [%0];" :: "r"(S(&bar)) : "memory");
    else asm volatile("mbarrier.arrive_drop.shared.b64 %0, [%1];" : "=l"(state) : "r"(S(&bar)) : "memory");
    unsigned done = 0;
    while (!done) asm volatile("{ .reg .pred p; mbarrier.test_wait.parity.shared.b64 p, [%1], 0; selp.u32 %0, 1, 0, p; }" : "=r"(done) : "r"(S(&bar)) : "memory");
    int x = tile[63 - t];
    __syncthreads();                                                                   // nobody still waits for parity 0
    if (t < 32) {                                                                      // the second phase expects 34: two more by thread 0
        atomicAdd(&sum, x);
        if (t == 0) asm volatile("mbarrier.arrive.noComplete.shared.b64 %0, [%1], 2;" : "=l"(state) : "r"(S(&bar)) : "memory");
        asm volatile("mbarrier.arrive.shared.b64 %0, [%1];" : "=l"(state) : "r"(S(&bar)) : "memory");
        done = 0;
        while (!done) asm volatile("{ .reg .pred p; mbarrier.test_wait.parity.shared.b64 p, [%1], 1; selp.u32 %0, 1, 0, p; }" : "=r"(done) : "r"(S(&bar)) : "memory");
        x += sum;
    }
    out[t] = x;
}

extern "C" __global__ void cp_async_mbarrier(const int4* a, int4* out) {               // copies that arrive on a barrier object
    __shared__ __align__(16) int4 tile[64];
    __shared__ unsigned long long bar;
    int t = threadIdx.x;
    unsigned done = 0;
    if (t == 0) asm volatile("mbarrier.init.shared.b64 [%0], 64;" :: "r"(S(&bar)) : "memory");
    __syncthreads();
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" :: "r"(S(tile + t)), "l"(a + t) : "memory");
    asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" :: "r"(S(&bar)) : "memory");
    while (!done) asm volatile("{ .reg .pred p; mbarrier.test_wait.parity.shared.b64 p, [%1], 0; selp.u32 %0, 1, 0, p; }" : "=r"(done) : "r"(S(&bar)) : "memory");
    out[t] = tile[63 - t];
}
