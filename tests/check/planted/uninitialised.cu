// Reads of what nobody has written.
#define K extern "C" __global__ void

// launch: grid=1 block=64 args=i32[64]
K tile_bad(int* out) {
    __shared__ int tile[64];
    int t = threadIdx.x;
    if (t < 60) tile[t] = t;
    __syncthreads();
    out[t] = tile[63 - t];  //! uninitialised
}
// launch: grid=1 block=64 args=i32[64]
K tile_ok(int* out) {
    __shared__ int tile[64];
    int t = threadIdx.x;
    tile[t] = t < 60 ? t : 0;
    __syncthreads();
    out[t] = tile[63 - t];
}
// launch: grid=1 block=64 args=i32[64],i32[64]
K counter_bad(const int* in, int* out) {
    __shared__ int bins[8];
    int t = threadIdx.x;
    atomicAdd(&bins[in[t] & 7], 1);  //! uninitialised
    __syncthreads();
    if (t < 8) out[t] = bins[t];  //! uninitialised
}
// launch: grid=1 block=64 args=i32[64],i32[64]
K counter_ok(const int* in, int* out) {
    __shared__ int bins[8];
    int t = threadIdx.x;
    if (t < 8) bins[t] = 0;
    __syncthreads();
    atomicAdd(&bins[in[t] & 7], 1);
    __syncthreads();
    if (t < 8) { atomicAdd(&bins[t], 0); out[t] = bins[t]; }
}
// launch: grid=1 block=32 args=i32[32],3
K local_bad(int* out, int k) {
    int a[16];
    for (int j = 0; j < k; j++) a[j] = out[0] + j;
    __syncwarp();
    out[threadIdx.x] = a[threadIdx.x & 15];  //! uninitialised
}
// launch: grid=1 block=32 args=i32[32],16
K local_ok(int* out, int k) {
    int a[16];
    for (int j = 0; j < k; j++) a[j] = out[0] + j;
    __syncwarp();
    out[threadIdx.x] = a[threadIdx.x & 15];
}
extern __shared__ float dynamic[];
// launch: grid=1 block=32 shared=256 args=f32[32]
K dynamic_bad(float* out) {
    int t = threadIdx.x;
    dynamic[t] = t;
    __syncthreads();
    out[t] = dynamic[t] + dynamic[t + 32];  //! uninitialised
}
// launch: grid=1 block=32 shared=256 args=f32[32]
K dynamic_ok(float* out) {
    int t = threadIdx.x;
    dynamic[t] = t; dynamic[t + 32] = 1;
    __syncthreads();
    out[t] = dynamic[t] + dynamic[t + 32];
}
