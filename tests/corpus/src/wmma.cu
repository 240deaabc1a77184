// The C++ interface to matrix multiplication.
// build: sm_80 O3 O0 lineinfo; sm_90 O3
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <mma.h>
using namespace nvcuda;

template <int M, int N, int K, class In, class Out, class LA, class LB, class Frag = In>
__device__ void product(const In* a, const In* b, const Out* c, Out* d, int lda, int ldb) {
    wmma::fragment<wmma::matrix_a, M, N, K, Frag, LA> fa;
    wmma::fragment<wmma::matrix_b, M, N, K, Frag, LB> fb;
    wmma::fragment<wmma::accumulator, M, N, K, Out> fc;
    wmma::load_matrix_sync(fa, a, lda);
    wmma::load_matrix_sync(fb, b, ldb);
    wmma::load_matrix_sync(fc, c, N, wmma::mem_row_major);
    wmma::mma_sync(fc, fa, fb, fc);
    wmma::store_matrix_sync(d, fc, N, wmma::mem_row_major);
}

extern "C" __global__ void wmma_f16_f32(const __half* a, const __half* b, const float* c, float* d) { product<16, 16, 16, __half, float, wmma::row_major, wmma::row_major>(a, b, c, d, 16, 16); }
extern "C" __global__ void wmma_f16_f16(const __half* a, const __half* b, const __half* c, __half* d) { product<32, 8, 16, __half, __half, wmma::row_major, wmma::col_major>(a, b, c, d, 16, 16); }
extern "C" __global__ void wmma_bf16(const __nv_bfloat16* a, const __nv_bfloat16* b, const float* c, float* d) { product<8, 32, 16, __nv_bfloat16, float, wmma::col_major, wmma::row_major>(a, b, c, d, 8, 32); }
extern "C" __global__ void wmma_tf32(const float* a, const float* b, const float* c, float* d) { product<16, 16, 8, float, float, wmma::row_major, wmma::col_major, wmma::precision::tf32>(a, b, c, d, 8, 8); }
extern "C" __global__ void wmma_f64(const double* a, const double* b, const double* c, double* d) { product<8, 8, 4, double, double, wmma::row_major, wmma::row_major>(a, b, c, d, 4, 8); }
extern "C" __global__ void wmma_s8(const signed char* a, const signed char* b, const int* c, int* d) { product<16, 16, 16, signed char, int, wmma::row_major, wmma::col_major>(a, b, c, d, 16, 16); }
extern "C" __global__ void wmma_u8(const unsigned char* a, const unsigned char* b, const int* c, int* d) { product<16, 16, 16, unsigned char, int, wmma::col_major, wmma::row_major>(a, b, c, d, 16, 16); }

extern "C" __global__ void wmma_tiles(const __half* a, const __half* b, float* c, int n, int k) {      // a block tile of 32 × 32 by four warps, scaled elementwise
    int warp = threadIdx.x >> 5, row = (blockIdx.y * 2 + warp / 2) * 16, column = (blockIdx.x * 2 + warp % 2) * 16;
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> sum;
    wmma::fill_fragment(sum, 0.0f);
    for (int t = 0; t < k; t += 16) {
        wmma::fragment<wmma::matrix_a, 16, 16, 16, __half, wmma::row_major> fa;
        wmma::fragment<wmma::matrix_b, 16, 16, 16, __half, wmma::row_major> fb;
        wmma::load_matrix_sync(fa, a + row * k + t, k);
        wmma::load_matrix_sync(fb, b + t * n + column, n);
        wmma::mma_sync(sum, fa, fb, sum);
    }
    for (int e = 0; e < sum.num_elements; e++) sum.x[e] *= 0.5f;
    wmma::store_matrix_sync(c + row * n + column, sum, n, wmma::mem_row_major);
}
