// Faults in larger settings: clusters, named barriers, copies, vectors, functions, recursion.
#include <cooperative_groups.h>
namespace cg = cooperative_groups;
#define K extern "C" __global__ void
#define S(p) ((unsigned)__cvta_generic_to_shared(p))

// launch: grid=2 block=32 cluster=2 args=i32[64]
K __cluster_dims__(2, 1, 1) cluster_race_bad(int* out) {
    __shared__ int tile[32];
    auto cluster = cg::this_cluster();
    int t = threadIdx.x, r = cluster.block_rank();
    int* other = cluster.map_shared_rank(tile, 1 - r);
    other[t] = 100 * r + t;                         //! race
    __syncthreads();
    out[blockIdx.x * 32 + t] = tile[31 - t];        //! race //? uninitialised
    cluster.sync();
}
// launch: grid=1 block=64 args=i32[64]
K write_after_read_bad(int* out) {
    __shared__ int tile[64];
    int t = threadIdx.x;
    tile[t] = t;                                    //? race
    __syncthreads();
    int x = tile[(t + 1) % 64];                     //! race
    tile[t] = x + 1;                                //! race
    out[t] = x;
}
// launch: grid=1 block=32 args=f32[128],f32[32]
K vector_race_bad(float* data, float* out) {
    int t = threadIdx.x;
    ((float4*)data)[t] = make_float4(t, t, t, t);   //! race
    out[t] = data[127 - 4 * t];                     //! race
}
// launch: grid=1 block=64 args=i32[64],i32[64]
K waited_alone_bad(const int* in, int* out) {
    __shared__ int tile[64];
    int t = threadIdx.x;
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" :: "r"(S(tile + t)), "l"(in + t) : "memory");  //! race
    asm volatile("cp.async.wait_all;" ::: "memory");
    out[t] = tile[63 - t];                          //! race //? missing-wait //? uninitialised
}
__device__ __noinline__ void put(int* p, int k, int v) {
    p[k] = v;
}
// launch: grid=1 block=32 args=i32[32]
K called_bad(int* out) {
    put(out, threadIdx.x * 2, 1);                   //! out-of-bounds
}
// launch: grid=1 block=64 args=i32[64]
K arrive_bad(int* out) {
    __shared__ int tile[32];
    int t = threadIdx.x;
    if (t < 32) {
        asm volatile("bar.arrive 1, 64;" ::: "memory");
        tile[t] = t;                                //! race
    } else {
        asm volatile("bar.sync 1, 64;" ::: "memory");
        out[t] = tile[t - 32];                      //! race //? uninitialised
    }
}
// launch: grid=4 block=64 args=i32[64]
K boundary_bad(int* out) {
    int i = blockIdx.x * 16 + threadIdx.x;          // blocks overlap
    if (i < 64) out[i] = i + blockIdx.x;            //! race
}
// launch: grid=1 block=32 args=i32[32],i32[32]
K reset_bad(const int* in, int* out) {
    __shared__ int total;
    if (threadIdx.x == 0) total = 0;                //! race
    atomicAdd(&total, in[threadIdx.x]);             //! race //? uninitialised
    __syncthreads();
    out[threadIdx.x] = total;
}
// launch: grid=1 block=32 args=i32[32]
K stale_ballot_bad(int* out) {
    int t = threadIdx.x;
    unsigned m = __ballot_sync(~0u, t < 20);
    if (t < 24)
        out[t] = __shfl_sync(m, t, 0);              //! sync-mask
}
// launch: grid=1 block=64 shared=64 args=i32[64]
K generic_bad(int* out) {
    extern __shared__ int d[];
    int* p = threadIdx.x & 1 ? out : d;
    p[threadIdx.x] = 5;                             //! out-of-bounds
}
