// Correct kernels with order of every kind: none has a finding.
#include <cuda/barrier>
#include <cuda/pipeline>
#include <cuda/atomic>
#include <cooperative_groups.h>
namespace cg = cooperative_groups;
#define K extern "C" __global__ void
#define S(p) ((unsigned)__cvta_generic_to_shared(p))

// launch: grid=1 block=64 args=i32[64]
K named_ok(int* out) {                                   // producer and consumer warps over named barriers
    __shared__ int tile[2][32];
    int t = threadIdx.x, lane = t % 32, sum = 0;
    for (int k = 0; k < 6; k++) {
        int b = k & 1;
        if (t < 32) {
            if (k > 1) asm volatile("bar.sync %0, 64;" :: "r"(3 + b) : "memory");
            tile[b][lane] = lane + k;
            __threadfence_block();
            asm volatile("bar.arrive %0, 64;" :: "r"(1 + b) : "memory");
        } else {
            asm volatile("bar.sync %0, 64;" :: "r"(1 + b) : "memory");
            sum += tile[b][31 - lane];
            if (k < 4) asm volatile("bar.arrive %0, 64;" :: "r"(3 + b) : "memory");
        }
    }
    out[t] = sum;
}
// launch: grid=4 block=64 cooperative=1 args=i32[256],i32[1],i32[1]
K grid_ok(int* data, unsigned* arrived, int* out) {       // a barrier of the grid
    int i = blockIdx.x * 64 + threadIdx.x, n = 256;
    data[i] = i;
    for (int k = 1; k < 4; k++) {
        __threadfence();
        __syncthreads();
        if (threadIdx.x == 0) { atomicAdd(arrived, 1u); while (*(volatile unsigned*)arrived < 4 * k) __nanosleep(20); }
        __threadfence();
        __syncthreads();
        if (k == 1) data[(i + 100) % n] += k;
        if (k == 2) data[(i + 200) % n] += k;
    }
    if (i == 0) { int s = 0; for (int k = 0; k < n; k++) s += data[k]; *out = s; }
}
// launch: grid=1 block=64 args=i32[64],i32[64]
K barrier_ok(const int* in, int* out) {                  // cuda::barrier
    __shared__ cuda::barrier<cuda::thread_scope_block> bar;
    __shared__ int tile[64];
    auto block = cg::this_thread_block();
    if (threadIdx.x == 0) init(&bar, 64);
    block.sync();
    for (int k = 0; k < 3; k++) {
        tile[threadIdx.x] = in[threadIdx.x] + k;
        auto token = bar.arrive();
        bar.wait(std::move(token));
        out[threadIdx.x] += tile[63 - threadIdx.x];
        bar.arrive_and_wait();
    }
}
// launch: grid=1 block=32 args=i32[256],i32[32]
K pipeline_ok(const int* in, int* out) {                 // cuda::pipeline, two stages
    __shared__ int tile[2][32];
    auto pipe = cuda::make_pipeline();
    int t = threadIdx.x, sum = 0;
    pipe.producer_acquire();
    cuda::memcpy_async(&tile[0][t], in + t, sizeof(int), pipe);
    pipe.producer_commit();
    for (int k = 0; k < 8; k++) {
        if (k < 7) {
            pipe.producer_acquire();
            cuda::memcpy_async(&tile[(k + 1) & 1][t], in + 32 * (k + 1) + t, sizeof(int), pipe);
            pipe.producer_commit();
            cuda::pipeline_consumer_wait_prior<1>(pipe);
        } else cuda::pipeline_consumer_wait_prior<0>(pipe);
        sum += tile[k & 1][t];
        pipe.consumer_release();
    }
    out[t] = sum;
}
// launch: grid=3 block=64 args=i32[192],i32[1],i32[3],i32[1]
K last_ok(const int* in, unsigned* count, int* part, int* out) {       // the last block adds up
    __shared__ int sums[2]; __shared__ bool last;
    int t = threadIdx.x, x = in[blockIdx.x * 64 + t];
    for (int d = 16; d; d /= 2) x += __shfl_down_sync(~0u, x, d);
    if (t % 32 == 0) sums[t / 32] = x;
    __syncthreads();
    if (t == 0) {
        part[blockIdx.x] = sums[0] + sums[1];
        __threadfence();
        last = atomicInc(count, gridDim.x - 1) == gridDim.x - 1;
    }
    __syncthreads();
    if (last && t == 0) { int s = 0; for (int k = 0; k < gridDim.x; k++) s += part[k]; *out = s; }
}
// launch: grid=2 block=32 args=i32[1],i32[1],i32[1]
K acquire_ok(int* data, int* flag, int* out) {           // cuda::atomic_ref with release and acquire
    cuda::atomic_ref<int, cuda::thread_scope_device> f(*flag);
    if (threadIdx.x) return;
    if (blockIdx.x == 0) { *data = 42; f.store(1, cuda::memory_order_release); }
    else { while (f.load(cuda::memory_order_acquire) == 0) {} *out = *data; }
}
// launch: grid=4 block=32 cluster=2 args=i32[128]
K __cluster_dims__(2, 1, 1) cluster_ok(int* out) {
    __shared__ int tile[32];
    auto cluster = cg::this_cluster();
    int t = threadIdx.x, r = cluster.block_rank();
    tile[t] = 100 * r + t;
    cluster.sync();
    out[blockIdx.x * 32 + t] = cluster.map_shared_rank(tile, 1 - r)[31 - t];
    cluster.sync();
}
// launch: grid=1 block=96 args=i32[96]
K votes_ok(int* out) {
    int t = threadIdx.x;
    int n = __syncthreads_count(t & 1), a = __syncthreads_and(t < 96), o = __syncthreads_or(t == 200);
    unsigned same = __match_any_sync(~0u, t % 5);
    out[t] = n + a + o + __popc(same) + __reduce_add_sync(~0u, t);
}
// launch: grid=1 block=64 args=i32[64]
K bytes_ok(unsigned char* out) {                          // neighbouring bytes belong to different threads
    __shared__ unsigned char tile[64];
    tile[threadIdx.x] = threadIdx.x;
    __syncthreads();
    out[threadIdx.x] = tile[63 - threadIdx.x];
}
// launch: grid=1 block=32 args=i32[32]
K volatile_ok(int* out) {                                 // as warps were once programmed
    __shared__ volatile int tile[64];
    int t = threadIdx.x;
    tile[t] = t; tile[t + 32] = 0;
    __syncwarp();
    for (int d = 16; d; d /= 2) { int x = tile[t + d]; __syncwarp(); tile[t] = tile[t] + x; __syncwarp(); }
    out[t] = tile[0];
}
// launch: grid=1 block=64 args=i32[64],i32[8]
K locks_ok(int* data, int* locks) {                       // a lock per bucket, taken by every thread
    int b = threadIdx.x % 8;
    for (bool done = false; !done;) {
        if (atomicCAS(locks + b, 0, 1) == 0) {
            __threadfence();
            data[b] += threadIdx.x;
            __threadfence();
            atomicExch(locks + b, 0);
            done = true;
        }
    }
}
// launch: grid=1 block=64 args=i32[128],i32[64]
K producer_ok(const int* in, int* out) {                  // mbarriers full and empty, bulk copies by one thread
    __shared__ __align__(16) int tile[2][32];
    __shared__ unsigned long long full[2], empty[2];
    int t = threadIdx.x, sum = 0;
    if (t == 0)
        for (int b = 0; b < 2; b++) {
            asm volatile("mbarrier.init.shared.b64 [%0], 1;" :: "r"(S(full + b)) : "memory");
            asm volatile("mbarrier.init.shared.b64 [%0], 32;" :: "r"(S(empty + b)) : "memory");
        }
    __syncthreads();
    if (t == 0) {
        for (int k = 0; k < 4; k++) {
            int b = k & 1; unsigned done = 0;
            while (k > 1 && !done)
                asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }" : "=r"(done) : "r"(S(empty + b)), "r"((k / 2 - 1) & 1) : "memory");
            asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], 128;" :: "r"(S(full + b)) : "memory");
            asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], 128, [%2];" :: "r"(S(tile[b])), "l"(in + 32 * k), "r"(S(full + b)) : "memory");
        }
    } else if (t >= 32) {
        for (int k = 0; k < 4; k++) {
            int b = k & 1; unsigned done = 0;
            while (!done)
                asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }" : "=r"(done) : "r"(S(full + b)), "r"((k / 2) & 1) : "memory");
            sum += tile[b][63 - t];
            asm volatile("mbarrier.arrive.shared.b64 _, [%0];" :: "r"(S(empty + b)) : "memory");
        }
        out[t - 32] = sum;
    }
}
