// Asynchronous copies that are not waited for.
#define K extern "C" __global__ void
#define S(p) ((unsigned)__cvta_generic_to_shared(p))

// launch: grid=1 block=32 args=i32[32],i32[32]
K group_bad(const int* in, int* out) {
    __shared__ int tile[32];
    int t = threadIdx.x;
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;\n\tcp.async.commit_group;" :: "r"(S(tile + t)), "l"(in + t) : "memory");
    __syncthreads();
    out[t] = tile[31 - t];  //! missing-wait //? uninitialised
}
// launch: grid=1 block=32 args=i32[32],i32[32]
K group_ok(const int* in, int* out) {
    __shared__ int tile[32];
    int t = threadIdx.x;
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;\n\tcp.async.commit_group;\n\tcp.async.wait_group 0;" :: "r"(S(tile + t)), "l"(in + t) : "memory");
    __syncthreads();
    out[t] = tile[31 - t];
}
// launch: grid=1 block=32 args=i32[64],i32[64]
K stages_bad(const int* in, int* out) {
    __shared__ int tile[2][32];
    int t = threadIdx.x;
    for (int k = 0; k < 2; k++)
        asm volatile("cp.async.ca.shared.global [%0], [%1], 4;\n\tcp.async.commit_group;" :: "r"(S(tile[k] + t)), "l"(in + 32 * k + t) : "memory");
    asm volatile("cp.async.wait_group 1;" ::: "memory");
    __syncthreads();
    out[t] = tile[0][31 - t];
    out[t + 32] = tile[1][31 - t];  //! missing-wait //? uninitialised
}
// launch: grid=1 block=32 args=i32[64],i32[64]
K stages_ok(const int* in, int* out) {
    __shared__ int tile[2][32];
    int t = threadIdx.x;
    for (int k = 0; k < 2; k++)
        asm volatile("cp.async.ca.shared.global [%0], [%1], 4;\n\tcp.async.commit_group;" :: "r"(S(tile[k] + t)), "l"(in + 32 * k + t) : "memory");
    asm volatile("cp.async.wait_group 1;" ::: "memory");
    __syncthreads();
    out[t] = tile[0][31 - t];
    asm volatile("cp.async.wait_group 0;" ::: "memory");
    __syncthreads();
    out[t + 32] = tile[1][31 - t];
}
// launch: grid=1 block=32 args=i32[32],i32[32]
K bulk_bad(const int* in, int* out) {
    __shared__ __align__(16) int tile[32];
    __shared__ unsigned long long bar;
    int t = threadIdx.x;
    if (t == 0) asm volatile("mbarrier.init.shared.b64 [%0], 1;" :: "r"(S(&bar)) : "memory");
    __syncthreads();
    if (t == 0) {
        asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], 128;" :: "r"(S(&bar)) : "memory");
        asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], 128, [%2];" :: "r"(S(tile)), "l"(in), "r"(S(&bar)) : "memory");
    }
    __syncthreads();
    out[t] = tile[31 - t];  //! missing-wait //? uninitialised
}
// launch: grid=1 block=32 args=i32[32],i32[32]
K bulk_ok(const int* in, int* out) {
    __shared__ __align__(16) int tile[32];
    __shared__ unsigned long long bar;
    int t = threadIdx.x;
    unsigned done = 0;
    if (t == 0) asm volatile("mbarrier.init.shared.b64 [%0], 1;" :: "r"(S(&bar)) : "memory");
    __syncthreads();
    if (t == 0) {
        asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], 128;" :: "r"(S(&bar)) : "memory");
        asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], 128, [%2];" :: "r"(S(tile)), "l"(in), "r"(S(&bar)) : "memory");
    }
    while (!done)
        asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared.b64 p, [%1], 0; selp.u32 %0, 1, 0, p; }" : "=r"(done) : "r"(S(&bar)) : "memory");
    out[t] = tile[31 - t];
}
// launch: grid=1 block=32 args=i32[32]
K source_bad(int* out) {
    __shared__ __align__(16) int tile[32];
    int t = threadIdx.x;
    tile[t] = t;
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    __syncthreads();
    if (t == 0)
        asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], 128;\n\tcp.async.bulk.commit_group;" :: "l"(out), "r"(S(tile)) : "memory");
    __syncthreads();
    tile[t] = 0;  //! missing-wait //? race
    __syncthreads();
}
// launch: grid=1 block=32 args=i32[32]
K source_ok(int* out) {
    __shared__ __align__(16) int tile[32];
    int t = threadIdx.x;
    tile[t] = t;
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    __syncthreads();
    if (t == 0)
        asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], 128;\n\tcp.async.bulk.commit_group;\n\tcp.async.bulk.wait_group 0;" :: "l"(out), "r"(S(tile)) : "memory");
    __syncthreads();
    ((volatile int*)tile)[t] = 0;
    __syncthreads();
}
