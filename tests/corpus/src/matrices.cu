// mma.sync, ldmatrix, movmatrix. Rows of A and columns of B are words along k: a thread takes words t and t + 4 of rows g and g + 8.
// build: sm_80 O3 O0 lineinfo; sm_90 O3
#define G (threadIdx.x >> 2)
#define T (threadIdx.x & 3)

// Whole shapes: A is 16 × 8 words, Bᵗ is 8 × 8 words, C is 16 × 8.
#define MMA(name, op, type, reg)                                                                                       \
    extern "C" __global__ void name(const unsigned* a, const unsigned* b, const type* c, type* d) {                    \
        type r[4] = {c[G * 8 + 2 * T], c[G * 8 + 2 * T + 1], c[(G + 8) * 8 + 2 * T], c[(G + 8) * 8 + 2 * T + 1]};      \
        asm volatile(op " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"                                       \
            : "+" reg(r[0]), "+" reg(r[1]), "+" reg(r[2]), "+" reg(r[3])                                               \
            : "r"(a[G * 8 + T]), "r"(a[(G + 8) * 8 + T]), "r"(a[G * 8 + T + 4]), "r"(a[(G + 8) * 8 + T + 4]), "r"(b[G * 8 + T]), "r"(b[G * 8 + T + 4])); \
        d[G * 8 + 2 * T] = r[0]; d[G * 8 + 2 * T + 1] = r[1]; d[(G + 8) * 8 + 2 * T] = r[2]; d[(G + 8) * 8 + 2 * T + 1] = r[3];                              \
    }

// Half shapes: A is 16 × 4 words, Bᵗ is 8 × 4 words.
#define MMA_HALF(name, op, type, reg)                                                                                  \
    extern "C" __global__ void name(const unsigned* a, const unsigned* b, const type* c, type* d) {                    \
        type r[4] = {c[G * 8 + 2 * T], c[G * 8 + 2 * T + 1], c[(G + 8) * 8 + 2 * T], c[(G + 8) * 8 + 2 * T + 1]};      \
        asm volatile(op " {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"                                                \
            : "+" reg(r[0]), "+" reg(r[1]), "+" reg(r[2]), "+" reg(r[3])                                               \
            : "r"(a[G * 4 + T]), "r"(a[(G + 8) * 4 + T]), "r"(b[G * 4 + T]));                                          \
        d[G * 8 + 2 * T] = r[0]; d[G * 8 + 2 * T + 1] = r[1]; d[(G + 8) * 8 + 2 * T] = r[2]; d[(G + 8) * 8 + 2 * T + 1] = r[3];                              \
    }

MMA(mma_f16_k16, "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", float, "f")
MMA(mma_bf16_k16, "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", float, "f")
MMA(mma_tf32_k8, "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32", float, "f")
MMA(mma_s8_k32, "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32", int, "r")
MMA(mma_u8s8_k32, "mma.sync.aligned.m16n8k32.row.col.satfinite.s32.u8.s8.s32", int, "r")
MMA(mma_s4_k64, "mma.sync.aligned.m16n8k64.row.col.s32.s4.u4.s32", int, "r")
MMA(mma_b1_xor, "mma.sync.aligned.m16n8k256.row.col.s32.b1.b1.s32.xor.popc", int, "r")
MMA(mma_b1_and, "mma.sync.aligned.m16n8k256.row.col.s32.b1.b1.s32.and.popc", int, "r")
MMA_HALF(mma_f16_k8, "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32", float, "f")
MMA_HALF(mma_bf16_k8, "mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32", float, "f")
MMA_HALF(mma_tf32_k4, "mma.sync.aligned.m16n8k4.row.col.f32.tf32.tf32.f32", float, "f")
MMA_HALF(mma_s8_k16, "mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32", int, "r")

extern "C" __global__ void mma_f16_f16(const unsigned* a, const unsigned* b, const unsigned* c, unsigned* d) {         // C of halves: 16 × 4 words
    unsigned r[2] = {c[G * 4 + T], c[(G + 8) * 4 + T]};
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {%0,%1}, {%2,%3,%4,%5}, {%6,%7}, {%0,%1};" : "+r"(r[0]), "+r"(r[1])
        : "r"(a[G * 8 + T]), "r"(a[(G + 8) * 8 + T]), "r"(a[G * 8 + T + 4]), "r"(a[(G + 8) * 8 + T + 4]), "r"(b[G * 8 + T]), "r"(b[G * 8 + T + 4]));
    d[G * 4 + T] = r[0];
    d[(G + 8) * 4 + T] = r[1];
}

extern "C" __global__ void mma_f64(const double* a, const double* b, const double* c, double* d) {                     // 8 × 4, Bᵗ 8 × 4, 8 × 8
    double r[2] = {c[G * 8 + 2 * T], c[G * 8 + 2 * T + 1]};
    asm volatile("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0,%1}, {%2}, {%3}, {%0,%1};" : "+d"(r[0]), "+d"(r[1]) : "d"(a[G * 4 + T]), "d"(b[G * 4 + T]));
    d[G * 8 + 2 * T] = r[0];
    d[G * 8 + 2 * T + 1] = r[1];
}

extern "C" __global__ void mma_s8_k16_m8(const unsigned* a, const unsigned* b, const int* c, int* d) {                 // m8n8k16: 8 × 4 words each
    int r[2] = {c[G * 8 + 2 * T], c[G * 8 + 2 * T + 1]};
    asm volatile("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0,%1}, {%2}, {%3}, {%0,%1};" : "+r"(r[0]), "+r"(r[1]) : "r"(a[G * 4 + T]), "r"(b[G * 4 + T]));
    d[G * 8 + 2 * T] = r[0];
    d[G * 8 + 2 * T + 1] = r[1];
}

extern "C" __global__ void mma_sparse(const unsigned* a, const unsigned* b, const float* c, float* d, unsigned where) {    // Bᵗ is 8 × 16 words (k = 32)
    float r[4] = {c[G * 8 + 2 * T], c[G * 8 + 2 * T + 1], c[(G + 8) * 8 + 2 * T], c[(G + 8) * 8 + 2 * T + 1]};
    asm volatile("mma.sp::ordered_metadata.sync.aligned.m16n8k32.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9,%10,%11}, {%0,%1,%2,%3}, %12, 0x0;"
        : "+f"(r[0]), "+f"(r[1]), "+f"(r[2]), "+f"(r[3])
        : "r"(a[G * 8 + T]), "r"(a[(G + 8) * 8 + T]), "r"(a[G * 8 + T + 4]), "r"(a[(G + 8) * 8 + T + 4]),
          "r"(b[G * 16 + T]), "r"(b[G * 16 + T + 4]), "r"(b[G * 16 + T + 8]), "r"(b[G * 16 + T + 12]), "r"(where));
    d[G * 8 + 2 * T] = r[0]; d[G * 8 + 2 * T + 1] = r[1]; d[(G + 8) * 8 + 2 * T] = r[2]; d[(G + 8) * 8 + 2 * T + 1] = r[3];
}

extern "C" __global__ void ldmatrix_all(const unsigned* a, unsigned* out) {            // four matrices of 8 × 8 halves
    __shared__ __align__(16) unsigned tile[128];
    int l = threadIdx.x;
    for (int k = 0; k < 4; k++) tile[l + 32 * k] = a[l + 32 * k];
    __syncwarp();
    unsigned r[14], at = (unsigned)__cvta_generic_to_shared(tile + 4 * l), at1 = (unsigned)__cvta_generic_to_shared(tile + 4 * (l & 7)),
             at2 = (unsigned)__cvta_generic_to_shared(tile + 4 * (l & 15) + 64);
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];" : "=r"(r[0]) : "r"(at1) : "memory");
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];" : "=r"(r[1]), "=r"(r[2]) : "r"(at2) : "memory");
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[3]), "=r"(r[4]), "=r"(r[5]), "=r"(r[6]) : "r"(at) : "memory");
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];" : "=r"(r[7]) : "r"(at1) : "memory");
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];" : "=r"(r[8]), "=r"(r[9]) : "r"(at2) : "memory");
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[10]), "=r"(r[11]), "=r"(r[12]), "=r"(r[13]) : "r"(at) : "memory");
    for (int k = 0; k < 14; k++) out[32 * k + l] = r[k];
}

#if __CUDA_ARCH__ >= 800
extern "C" __global__ void movmatrix_trans(const unsigned* a, unsigned* out) {
    unsigned r;
    asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(r) : "r"(a[threadIdx.x]));
    out[threadIdx.x] = r;
}
#endif

// C = A·B, 64 × 32 × 48 by four warps with ldmatrix and mma: rows of A (m × k), rows of B (k × n).
extern "C" __global__ void matmul_mma(const unsigned short* a, const unsigned short* b, float* c, int n, int k) {
    __shared__ __align__(16) unsigned short as[64][24], bs[16][40];
    int t = threadIdx.x, warp = t >> 5, l = t & 31;
    float acc[4][4] = {};
    for (int base = 0; base < k; base += 16) {
        for (int e = t; e < 64 * 16; e += 128) as[e / 16][e % 16] = a[(e / 16) * k + base + e % 16];
        for (int e = t; e < 16 * 32; e += 128) bs[e / 32][e % 32] = b[(base + e / 32) * n + e % 32];
        __syncthreads();
        unsigned fa[4], fb[2], at = (unsigned)__cvta_generic_to_shared(&as[warp * 16 + (l & 15)][(l >> 4) * 8]);
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(fa[0]), "=r"(fa[1]), "=r"(fa[2]), "=r"(fa[3]) : "r"(at) : "memory");
        for (int j = 0; j < 4; j++) {
            at = (unsigned)__cvta_generic_to_shared(&bs[l & 15][j * 8]);
            asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];" : "=r"(fb[0]), "=r"(fb[1]) : "r"(at) : "memory");
            asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                : "+f"(acc[j][0]), "+f"(acc[j][1]), "+f"(acc[j][2]), "+f"(acc[j][3]) : "r"(fa[0]), "r"(fa[1]), "r"(fa[2]), "r"(fa[3]), "r"(fb[0]), "r"(fb[1]));
        }
        __syncthreads();
    }
    for (int j = 0; j < 4; j++)
        for (int e = 0; e < 4; e++) c[(warp * 16 + (l >> 2) + (e >> 1) * 8) * n + j * 8 + (l & 3) * 2 + (e & 1)] = acc[j][e];
}
