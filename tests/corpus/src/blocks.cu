// Blocks: barriers, reductions, scans, histograms, compaction.
// build: sm_80 O3 O0 lineinfo; sm_75 O3; sm_90 O3
#define ALL 0xffffffffu
#define I (blockIdx.x * blockDim.x + threadIdx.x)

extern "C" __global__ void barrier_votes(const int* a, int* out, int n) {
    int i = I, x = i < n ? a[i] : 0, c = __syncthreads_count(x > 0), all = __syncthreads_and(x > -50), any = __syncthreads_or(x > 95);
    if (i < n) out[i] = c * 4 + (all ? 2 : 0) + (any ? 1 : 0);
}

extern "C" __global__ void block_reduce(const int* a, long long* out, int n) {
    __shared__ long long part[32];
    int t = threadIdx.x, lane = t & 31, warp = t >> 5;
    long long x = 0;
    for (int i = I; i < n; i += gridDim.x * blockDim.x) x += a[i];
    for (int d = 16; d; d >>= 1) x += __shfl_down_sync(ALL, x, d);
    if (lane == 0) part[warp] = x;
    __syncthreads();
    if (warp == 0) {
        x = lane < blockDim.x / 32 ? part[lane] : 0;
        for (int d = 16; d; d >>= 1) x += __shfl_down_sync(ALL, x, d);
        if (lane == 0) out[blockIdx.x] = x;
    }
}

extern "C" __global__ void block_max_tree(const float* a, float* out, int n) {         // a tree in shared memory
    __shared__ float tile[128];
    int t = threadIdx.x, i = I;
    tile[t] = i < n ? a[i] : -INFINITY;
    for (int s = 64; s; s >>= 1) {
        __syncthreads();
        if (t < s) tile[t] = fmaxf(tile[t], tile[t + s]);
    }
    if (t == 0) out[blockIdx.x] = tile[0];
}

extern "C" __global__ void block_scan(const int* a, int* out, int n) {                 // Hillis–Steele with two buffers
    __shared__ int tile[2][128];
    int t = threadIdx.x, i = I, from = 0;
    tile[0][t] = i < n ? a[i] : 0;
    for (int d = 1; d < 128; d *= 2, from ^= 1) {
        __syncthreads();
        tile[from ^ 1][t] = tile[from][t] + (t >= d ? tile[from][t - d] : 0);
    }
    if (i < n) out[i] = tile[from][t];
}

extern "C" __global__ void blelloch(int* data) {                                        // exclusive scan of 256 numbers by 128 threads
    __shared__ int tile[256];
    int t = threadIdx.x, base = blockIdx.x * 256, step = 1;
    tile[2 * t] = data[base + 2 * t];
    tile[2 * t + 1] = data[base + 2 * t + 1];
    for (int d = 128; d; d >>= 1, step *= 2) {
        __syncthreads();
        if (t < d) tile[step * (2 * t + 2) - 1] += tile[step * (2 * t + 1) - 1];
    }
    if (t == 0) tile[255] = 0;
    for (int d = 1; d < 256; d *= 2) {
        step >>= 1;
        __syncthreads();
        if (t < d) {
            int p = step * (2 * t + 1) - 1, q = step * (2 * t + 2) - 1, x = tile[p];
            tile[p] = tile[q];
            tile[q] += x;
        }
    }
    __syncthreads();
    data[base + 2 * t] = tile[2 * t];
    data[base + 2 * t + 1] = tile[2 * t + 1];
}

extern "C" __global__ void histogram(const unsigned char* a, unsigned* out, int n) {    // shared, then global atomics
    __shared__ unsigned bins[64];
    for (int k = threadIdx.x; k < 64; k += blockDim.x) bins[k] = 0;
    __syncthreads();
    for (int i = I; i < n; i += gridDim.x * blockDim.x) atomicAdd(&bins[a[i] & 63], 1u);
    __syncthreads();
    for (int k = threadIdx.x; k < 64; k += blockDim.x) if (bins[k]) atomicAdd(&out[k], bins[k]);
}

extern "C" __global__ void compact(const int* a, int* out, int* count, int n) {         // one block keeps the positive numbers in order
    __shared__ int sums[8], total;
    int t = threadIdx.x, lane = t & 31, warp = t >> 5;
    if (t == 0) total = 0;
    __syncthreads();
    for (int base = 0; base < n; base += blockDim.x) {
        int i = base + t, x = i < n ? a[i] : 0, keep = x > 0;
        unsigned vote = __ballot_sync(ALL, keep);
        if (lane == 0) sums[warp] = __popc(vote);
        __syncthreads();
        int at = total + __popc(vote & ((1u << lane) - 1));
        for (int w = 0; w < warp; w++) at += sums[w];
        if (keep) out[at] = x;
        __syncthreads();
        if (t == 0) for (int w = 0; w < blockDim.x / 32; w++) total += sums[w];
        __syncthreads();
    }
    if (t == 0) *count = total;
}

extern "C" __global__ void producer_consumer(const int* a, int* out, int rounds) {      // warp 0 fills, warp 1 drains: named barriers
    __shared__ int buffer[32];
    int lane = threadIdx.x & 31, sum = 0;
    for (int r = 0; r < rounds; r++) {
        if (threadIdx.x < 32) {
            if (r) asm volatile("bar.sync 2, 64;" ::: "memory");
            buffer[lane] = a[r * 32 + lane] + r;
            asm volatile("bar.arrive 1, 64;" ::: "memory");
        } else {
            asm volatile("bar.sync 1, 64;" ::: "memory");
            sum = sum * 3 + buffer[31 - lane];
            if (r + 1 < rounds) asm volatile("bar.arrive 2, 64;" ::: "memory");
        }
    }
    if (threadIdx.x >= 32) out[lane] = sum;
}

extern "C" __global__ void named_barriers(const int* a, int* out) {                     // two teams of two warps
    __shared__ int tile[128];
    int t = threadIdx.x, team = t >> 6;
    tile[t] = a[t];
    asm volatile("bar.sync %0, 64;" :: "r"(team + 3) : "memory");
    int x = tile[t ^ 63];
    asm volatile("barrier.sync %0, %1;" :: "r"(team + 3), "r"(64) : "memory");
    tile[t] = x + t;
    asm volatile("barrier.sync.aligned 0;" ::: "memory");
    int c;
    asm volatile("{ .reg .pred p; setp.gt.s32 p, %1, 0; barrier.red.popc.aligned.u32 %0, 5, p; }" : "=r"(c) : "r"(x) : "memory");
    out[t] = tile[127 - t] * 256 + c;
}

extern "C" __global__ void bitonic(int* data) {                                         // sorts 256 numbers by 128 threads
    __shared__ int tile[256];
    int t = threadIdx.x;
    tile[t] = data[t];
    tile[t + 128] = data[t + 128];
    for (int k = 2; k <= 256; k *= 2)
        for (int j = k / 2; j; j /= 2) {
            __syncthreads();
            int p = 2 * t - (t & (j - 1)), q = p + j, x = tile[p], y = tile[q];
            if ((x > y) == ((p & k) == 0)) { tile[p] = y; tile[q] = x; }
        }
    __syncthreads();
    data[t] = tile[t];
    data[t + 128] = tile[t + 128];
}

extern "C" __global__ void early_exit(const int* a, int* out, int n) {                  // whole warps leave before the barrier of the rest
    __shared__ int tile[128];
    int t = threadIdx.x;
    if (t >= 64) return;
    tile[t] = t < n ? a[t] : 0;
    asm volatile("bar.sync 1, 64;" ::: "memory");
    out[t] = tile[63 - t] + tile[t];
}
