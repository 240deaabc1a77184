// Warps: shuffles, votes, matches, reductions, scans.
// build: sm_80 O3 O0 lineinfo; sm_90 O3
#define ALL 0xffffffffu
#define I (blockIdx.x * blockDim.x + threadIdx.x)
#define PUT(k, v) out[(k) * n + i] = (v)

extern "C" __global__ void shuffles(const int* a, int* out, int n) {           // n is a multiple of 32
    int i = I, x = a[i], r, inside;
    PUT(0, __shfl_sync(ALL, x, (threadIdx.x * 5 + 3) & 31));
    PUT(1, __shfl_up_sync(ALL, x, 3));
    PUT(2, __shfl_down_sync(ALL, x, 5));
    PUT(3, __shfl_xor_sync(ALL, x, 9));
    PUT(4, __shfl_sync(ALL, x, 6, 8));
    PUT(5, __shfl_up_sync(ALL, x, 2, 16));
    PUT(6, __shfl_down_sync(ALL, x, 1, 4));
    PUT(7, __shfl_xor_sync(ALL, x, 3, 8));
    asm volatile("{ .reg .pred p; shfl.sync.up.b32 %0|p, %2, 4, 0, -1; selp.s32 %1, 1, 0, p; }" : "=r"(r), "=r"(inside) : "r"(x)); PUT(8, r * 2 + inside);
    asm volatile("{ .reg .pred p; shfl.sync.down.b32 %0|p, %2, 7, 31, -1; selp.s32 %1, 1, 0, p; }" : "=r"(r), "=r"(inside) : "r"(x)); PUT(9, r * 2 + inside);
    asm volatile("{ .reg .pred p; shfl.sync.idx.b32 %0|p, %2, 35, 0x181f, -1; selp.s32 %1, 1, 0, p; }" : "=r"(r), "=r"(inside) : "r"(x)); PUT(10, r * 2 + inside);
    if (threadIdx.x & 1) PUT(11, __shfl_sync(0xaaaaaaaau, x, (threadIdx.x + 4) & 31));
    else PUT(11, -__shfl_xor_sync(0x55555555u, x, 2));
}

extern "C" __global__ void shuffles_wide(const long long* a, const double* b, long long* out, double* real, int n) {
    int i = I;
    out[i] = __shfl_xor_sync(ALL, a[i], 1);
    out[n + i] = __shfl_up_sync(ALL, a[i], 1);
    real[i] = __shfl_down_sync(ALL, b[i], 2);
    real[n + i] = __shfl_sync(ALL, b[i], 31 - (threadIdx.x & 31));
}

extern "C" __global__ void votes(const int* a, unsigned* out, int n) {
    int i = I, x = a[i];
    unsigned r;
    PUT(0, __all_sync(ALL, x > -90) ? 1u : 0u);
    PUT(1, __any_sync(ALL, x > 95) ? 1u : 0u);
    PUT(2, __ballot_sync(ALL, x > 0));
    PUT(3, __uni_sync(ALL, x > 99 || x < -90) ? 1u : 0u);
    asm volatile("{ .reg .pred p, q; setp.gt.s32 p, %1, 0; vote.sync.all.pred q, !p, -1; selp.u32 %0, 1, 0, q; }" : "=r"(r) : "r"(x)); PUT(4, r);
    if (x & 1) {
        unsigned now = __activemask();
        PUT(5, __ballot_sync(now, x & 2) & ~now);
    } else PUT(5, 0u);
    __syncwarp();
    PUT(6, __popc(__ballot_sync(ALL, x & 4) & ((1u << (threadIdx.x & 31)) - 1)));
}

extern "C" __global__ void active(const int* a, unsigned* out) {           // the lanes with an odd number vote alone; joined explicitly
    int t = threadIdx.x;
    unsigned odd = __ballot_sync(ALL, a[t] & 1), r;
    if (a[t] & 1) r = __ballot_sync(odd, a[t] > 0);
    else r = __ballot_sync(~odd, a[t] > 50);
    __syncwarp();
    out[t] = r;
}

extern "C" __global__ void matches(const int* a, const long long* b, unsigned* out, int n) {
    int i = I, same;
    PUT(0, __match_any_sync(ALL, a[i]));
    PUT(1, __match_any_sync(ALL, b[i]));
    PUT(2, __match_all_sync(ALL, a[i] / 100, &same));
    PUT(3, (unsigned)same);
    PUT(4, __match_all_sync(ALL, b[i], &same));
    PUT(5, (unsigned)same);
}

extern "C" __global__ void reductions(const int* a, int* out, int n) {
    int i = I, x = a[i];
    PUT(0, __reduce_add_sync(ALL, x));
    PUT(1, __reduce_min_sync(ALL, x));
    PUT(2, __reduce_max_sync(ALL, x));
    PUT(3, (int)__reduce_min_sync(ALL, (unsigned)x));
    PUT(4, (int)__reduce_max_sync(ALL, (unsigned)x));
    PUT(5, (int)__reduce_and_sync(ALL, (unsigned)x));
    PUT(6, (int)__reduce_or_sync(ALL, (unsigned)x));
    PUT(7, (int)__reduce_xor_sync(ALL, (unsigned)x));
    unsigned half = threadIdx.x & 16 ? 0xffff0000u : 0x0000ffffu;
    if (threadIdx.x & 16) PUT(8, (int)__reduce_add_sync(half, (unsigned)x));
    else PUT(8, __reduce_max_sync(half, x));
}

extern "C" __global__ void warp_sum(const float* a, float* out, int n) {       // butterfly in a fixed order
    int i = I;
    float x = i < n ? a[i] : 0.0f;
    for (int d = 16; d; d >>= 1) x += __shfl_xor_sync(ALL, x, d);
    if ((threadIdx.x & 31) == 0) out[i / 32] = x;
}

extern "C" __global__ void warp_scan(const int* a, int* out, int n) {
    int i = I, lane = threadIdx.x & 31, x = i < n ? a[i] : 0;
    for (int d = 1; d < 32; d <<= 1) {
        int y = __shfl_up_sync(ALL, x, d);
        if (lane >= d) x += y;
    }
    if (i < n) out[i] = x;
}

extern "C" __global__ void syncwarp_masks(const int* a, int* out) {            // halves of a warp exchange through shared memory
    __shared__ int tile[32];
    int t = threadIdx.x;
    tile[t] = a[t];
    if (t < 16) {
        __syncwarp(0x0000ffffu);
        out[t] = tile[15 - t];
    } else {
        __syncwarp(0xffff0000u);
        out[t] = tile[47 - t] * 2;
    }
}

extern "C" __global__ void registers(unsigned* out) {                          // special registers with stable values
    unsigned t = threadIdx.x, lane, eq, lt, le, gt, ge, nw;
    asm("mov.u32 %0, %%laneid;" : "=r"(lane));
    asm("mov.u32 %0, %%lanemask_eq;" : "=r"(eq));
    asm("mov.u32 %0, %%lanemask_lt;" : "=r"(lt));
    asm("mov.u32 %0, %%lanemask_le;" : "=r"(le));
    asm("mov.u32 %0, %%lanemask_gt;" : "=r"(gt));
    asm("mov.u32 %0, %%lanemask_ge;" : "=r"(ge));
    asm("mov.u32 %0, WARP_SZ;" : "=r"(nw));
    unsigned smid, nsmid, warpid, nwarpid;
    asm volatile("mov.u32 %0, %%smid;" : "=r"(smid));
    asm volatile("mov.u32 %0, %%nsmid;" : "=r"(nsmid));
    asm volatile("mov.u32 %0, %%warpid;" : "=r"(warpid));
    asm volatile("mov.u32 %0, %%nwarpid;" : "=r"(nwarpid));
    unsigned* o = out + 8 * t;
    o[0] = lane; o[1] = eq; o[2] = lt; o[3] = le; o[4] = gt; o[5] = ge; o[6] = nw; o[7] = smid < nsmid && warpid < nwarpid;
}
