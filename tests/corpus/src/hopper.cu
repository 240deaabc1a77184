// sm_90: clusters, bulk copies, barrier objects with transactions, vector and 128-bit atomics.
// build: sm_90 O3 O0 lineinfo; sm_100 O3; sm_120 O3
#include <cooperative_groups.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
namespace cg = cooperative_groups;
#define S(p) ((unsigned)__cvta_generic_to_shared(p))
#define I (blockIdx.x * blockDim.x + threadIdx.x)

__device__ void wait_parity(unsigned bar, unsigned parity) {
    asm volatile("{\n\t.reg .pred done;\nAGAIN:\n\tmbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n\t@done bra READY;\n\tbra AGAIN;\nREADY:\n\t}" :: "r"(bar), "r"(parity) : "memory");
}

extern "C" __global__ void bulk_copy(const int* a, int* out) {                 // global → shared, twice 128 words; shared → global
    __shared__ __align__(128) int tile[128];
    __shared__ unsigned long long bar;
    int t = threadIdx.x;
    if (t == 0) {
        asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;\n\tfence.mbarrier_init.release.cluster;" :: "r"(S(&bar)) : "memory");
        asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    }
    __syncthreads();
    for (int r = 0; r < 2; r++) {
        if (t == 0) {
            asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], 512;" :: "r"(S(&bar)) : "memory");
            asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], 256, [%2];" :: "r"(S(tile)), "l"(a + r * 128), "r"(S(&bar)) : "memory");
            asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], 256, [%2];" :: "r"(S(tile + 64)), "l"(a + r * 128 + 64), "r"(S(&bar)) : "memory");
        }
        wait_parity(S(&bar), r);
        int x = tile[127 - t];
        __syncthreads();
        tile[t] = x * 2 + r;
        asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
        __syncthreads();
        if (t == 0) {
            asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], 512;" :: "l"(out + r * 128), "r"(S(tile)) : "memory");
            asm volatile("cp.async.bulk.commit_group;\n\tcp.async.bulk.wait_group.read 0;" ::: "memory");
        }
        __syncthreads();
    }
    if (t == 0) asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
}

extern "C" __global__ void bulk_reduce(const int* a, int* out, unsigned* least) {      // every block adds its tile to the same numbers
    __shared__ __align__(16) int tile[64];
    tile[threadIdx.x] = a[I];
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    __syncthreads();
    if (threadIdx.x == 0) {
        asm volatile("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.s32 [%0], [%1], 256;" :: "l"(out), "r"(S(tile)) : "memory");
        asm volatile("cp.reduce.async.bulk.global.shared::cta.bulk_group.min.u32 [%0], [%1], 256;" :: "l"(least), "r"(S(tile)) : "memory");
        asm volatile("cp.async.bulk.commit_group;\n\tcp.async.bulk.wait_group 0;" ::: "memory");
    }
}

extern "C" __global__ void transactions(const int* a, int* out) {              // expect_tx and complete_tx by hand, try_wait with a state
    __shared__ unsigned long long bar;
    __shared__ int tile[64];
    int t = threadIdx.x;
    if (t == 0) asm volatile("mbarrier.init.shared::cta.b64 [%0], 64;" :: "r"(S(&bar)) : "memory");
    __syncthreads();
    tile[t] = a[t];
    unsigned long long state;
    if (t == 0) asm volatile("mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%0], 48;\n\tmbarrier.complete_tx.relaxed.cta.shared::cta.b64 [%0], 16;" :: "r"(S(&bar)) : "memory");
    asm volatile("mbarrier.arrive.release.cta.shared::cta.b64 %0, [%1];" : "=l"(state) : "r"(S(&bar)) : "memory");
    if (t == 33) asm volatile("mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [%0], 32;" :: "r"(S(&bar)) : "memory");
    unsigned done = 0;
    while (!done) asm volatile("{ .reg .pred p; mbarrier.try_wait.acquire.cta.shared::cta.b64 p, [%1], %2, 1000; selp.u32 %0, 1, 0, p; }" : "=r"(done) : "r"(S(&bar)), "l"(state) : "memory");
    out[t] = tile[63 - t];
}

extern "C" __global__ void __cluster_dims__(4, 1, 1) cluster_exchange(const int* a, int* out) {       // reads the next block's shared memory, writes the one before
    __shared__ int tile[32], inbox[32];
    unsigned rank, count, r;
    int t = threadIdx.x, x;
    asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    asm("mov.u32 %0, %%cluster_nctarank;" : "=r"(count));
    tile[t] = a[I];
    asm volatile("barrier.cluster.arrive.release.aligned;\n\tbarrier.cluster.wait.acquire.aligned;" ::: "memory");
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(r) : "r"(S(tile + (t ^ 1))), "r"((rank + 1) % count));
    asm volatile("ld.shared::cluster.s32 %0, [%1];" : "=r"(x) : "r"(r) : "memory");
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(r) : "r"(S(inbox + t)), "r"((rank + count - 1) % count));
    asm volatile("st.shared::cluster.s32 [%0], %1;" :: "r"(r), "r"(x * 10 + (int)rank) : "memory");
    asm volatile("barrier.cluster.arrive;\n\tbarrier.cluster.wait;" ::: "memory");
    out[I] = inbox[t];
}

extern "C" __global__ void cluster_histogram(const unsigned char* a, int* out, int n) {               // bins spread over a cluster of any size
    __shared__ int bins[16];
    cg::cluster_group cluster = cg::this_cluster();
    int t = threadIdx.x, size = cluster.num_blocks();
    if (t < 16) bins[t] = 0;
    cluster.sync();
    for (int i = I; i < n; i += gridDim.x * blockDim.x) {
        int b = a[i] % (16 * size);
        atomicAdd(cluster.map_shared_rank(bins, b / 16) + b % 16, 1);
    }
    cluster.sync();
    if (t < 16) atomicAdd(&out[cluster.block_rank() * 16 + t], bins[t]);
}

extern "C" __global__ void __cluster_dims__(2, 2, 1) cluster_registers(unsigned* out) {
    unsigned* o = out + 16 * (blockIdx.y * gridDim.x + blockIdx.x), r;
    if (threadIdx.x) return;
#define R(k, name) asm("mov.u32 %0, %%" name ";" : "=r"(r)); o[k] = r;
    R(0, "cluster_ctaid.x") R(1, "cluster_ctaid.y") R(2, "cluster_ctaid.z") R(3, "cluster_nctaid.x") R(4, "cluster_nctaid.y") R(5, "cluster_nctaid.z")
    R(6, "cluster_ctarank") R(7, "cluster_nctarank") R(8, "clusterid.x") R(9, "clusterid.y") R(10, "nclusterid.x") R(11, "nclusterid.y")
    asm("{ .reg .pred p; mov.pred p, %%is_explicit_cluster; selp.u32 %0, 1, 0, p; }" : "=r"(r)); o[12] = r;
    __shared__ int here;
    unsigned long long generic;
    asm("mapa.u64 %0, %1, 3;" : "=l"(generic) : "l"(&here));
    asm("getctarank.u64 %0, %1;" : "=r"(r) : "l"(generic)); o[13] = r;
    asm("mapa.shared::cluster.u32 %0, %1, 2; getctarank.shared::cluster.u32 %0, %0;" : "=r"(r) : "r"(S(&here))); o[14] = r;
    o[15] = __isShared(&here) ? 1 : 0;
}

extern "C" __global__ void __cluster_dims__(2, 1, 1) cluster_mbarrier(const int* a, int* out) {       // data and arrival sent to the other block
    __shared__ unsigned long long bar;
    __shared__ int inbox[32];
    unsigned rank, to, to_bar;
    int t = threadIdx.x;
    asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    if (t == 0) {
        asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" :: "r"(S(&bar)) : "memory");
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
        asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], 128;" :: "r"(S(&bar)) : "memory");
    }
    asm volatile("barrier.cluster.arrive.release.aligned;\n\tbarrier.cluster.wait.acquire.aligned;" ::: "memory");
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(to) : "r"(S(inbox + t)), "r"(rank ^ 1));
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(to_bar) : "r"(S(&bar)), "r"(rank ^ 1));
    asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.s32 [%0], %1, [%2];" :: "r"(to), "r"(a[I] * 3), "r"(to_bar) : "memory");
    wait_parity(S(&bar), 0);
    out[I] = inbox[31 - t];
    asm volatile("barrier.cluster.arrive.aligned;\n\tbarrier.cluster.wait.aligned;" ::: "memory");
}

extern "C" __global__ void vector_atomics(float* sums, unsigned* halves, float* got) {
    float x, y;
    asm volatile("red.global.v4.f32.add [%0], {%1, %2, %3, %4};" :: "l"(sums), "f"(1.0f), "f"(2.0f), "f"((float)threadIdx.x), "f"(-1.0f) : "memory");
    asm volatile("red.relaxed.gpu.global.v2.f32.add [%0], {%1, %2};" :: "l"(sums + 4), "f"(0.5f), "f"(4.0f) : "memory");
    asm volatile("red.global.v2.f16x2.add.noftz [%0], {%1, %1};" :: "l"(halves), "r"(0x3c003c00) : "memory");
    asm volatile("atom.global.v2.f32.add {%0, %1}, [%2], {%3, %4};" : "=f"(x), "=f"(y) : "l"(sums + 6), "f"(1.0f), "f"(2.0f) : "memory");
    got[I] = y - 2.0f * x;
}

extern "C" __global__ void atomics128(unsigned long long* cell, unsigned long long* got, unsigned long long* counter) {
    unsigned long long a = I + 1, b = ~a, x, y;
    asm volatile("{ .reg .b128 s, d; mov.b128 s, {%2, %3}; atom.global.b128.exch d, [%4], s; mov.b128 {%0, %1}, d; }" : "=l"(x), "=l"(y) : "l"(a), "l"(b), "l"(cell) : "memory");
    got[2 * I] = x;
    got[2 * I + 1] = y;
    unsigned long long low = 0, high = 0;                     // a 128-bit counter by compare and swap, from a guess of zero
    for (;;) {
        unsigned long long l = low + (1ull << 63), h = high + (l < low);
        asm volatile("{ .reg .b128 e, s, d; mov.b128 e, {%2, %3}; mov.b128 s, {%4, %5}; atom.global.b128.cas d, [%6], e, s; mov.b128 {%0, %1}, d; }"
            : "=l"(x), "=l"(y) : "l"(low), "l"(high), "l"(l), "l"(h), "l"(counter) : "memory");
        if (x == low && y == high) break;
        low = x;
        high = y;
    }
}

extern "C" __global__ void elect(int* out) {                                   // some one lane is elected
    unsigned leader, chosen;
    asm volatile("{ .reg .pred p; elect.sync %0|p, -1; selp.u32 %1, 1, 0, p; }" : "=r"(leader), "=r"(chosen));
    out[I] = (int)chosen;
    out[64 + I] = leader == __shfl_sync(~0u, leader, 0) && (chosen != 0) == ((threadIdx.x & 31) == leader);
}

extern "C" __global__ void stmatrix_all(const unsigned* a, unsigned* out) {    // seven matrices of 8 × 8 halves from registers
    __shared__ __align__(16) unsigned tile[7 * 32];
    int l = threadIdx.x;
    unsigned x = a[l], y = a[32 + l], z = a[64 + l], w = a[96 + l];
    asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1,%2,%3,%4};" :: "r"(S(tile + 4 * l)), "r"(x), "r"(y), "r"(z), "r"(w) : "memory");
    asm volatile("stmatrix.sync.aligned.m8n8.x2.trans.shared.b16 [%0], {%1,%2};" :: "r"(S(tile + 128 + 4 * (l & 15))), "r"(x), "r"(y) : "memory");
    asm volatile("stmatrix.sync.aligned.m8n8.x1.trans.shared.b16 [%0], {%1};" :: "r"(S(tile + 192 + 4 * (l & 7))), "r"(w) : "memory");
    __syncwarp();
    for (int k = 0; k < 7; k++) out[32 * k + l] = tile[32 * k + l];
}

extern "C" __global__ void mma_f64_k8(const double* a, const double* b, const double* c, double* d) {     // m16n8k8: 16 × 8, Bᵗ 8 × 8
    int g = threadIdx.x >> 2, t = threadIdx.x & 3;
    double r[4] = {c[g * 8 + 2 * t], c[g * 8 + 2 * t + 1], c[(g + 8) * 8 + 2 * t], c[(g + 8) * 8 + 2 * t + 1]};
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f64.f64.f64.f64 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+d"(r[0]), "+d"(r[1]), "+d"(r[2]), "+d"(r[3])
        : "d"(a[g * 8 + t]), "d"(a[(g + 8) * 8 + t]), "d"(a[g * 8 + t + 4]), "d"(a[(g + 8) * 8 + t + 4]), "d"(b[g * 8 + t]), "d"(b[g * 8 + t + 4]));
    d[g * 8 + 2 * t] = r[0]; d[g * 8 + 2 * t + 1] = r[1]; d[(g + 8) * 8 + 2 * t] = r[2]; d[(g + 8) * 8 + 2 * t + 1] = r[3];
}

extern "C" __global__ void dependents(const int* a, int* out, int n) {         // griddepcontrol and proxies change nothing here
    asm volatile("griddepcontrol.wait;" ::: "memory");
    int i = I;
    if (i < n) out[i] = a[i] + 1;
    asm volatile("fence.proxy.alias;\n\tfence.proxy.async;\n\tfence.acq_rel.cluster;\n\tgriddepcontrol.launch_dependents;" ::: "memory");
}
