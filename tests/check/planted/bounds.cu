// Accesses outside of every array.
#define K extern "C" __global__ void

// launch: grid=2 block=32 args=f32[64],f32[64]
K neighbour_bad(const float* in, float* out) {
    int i = blockIdx.x * 32 + threadIdx.x;
    out[i] = in[i + 1];  //! out-of-bounds
}
// launch: grid=2 block=32 args=f32[64],f32[64]
K neighbour_ok(const float* in, float* out) {
    int i = blockIdx.x * 32 + threadIdx.x;
    out[i] = in[i < 63 ? i + 1 : 63];
}
// launch: grid=1 block=64 args=i32[50],50
K guard_bad(int* out, int n) {
    int i = threadIdx.x;
    out[i] = i * n;  //! out-of-bounds
}
// launch: grid=1 block=64 args=i32[50],50
K guard_ok(int* out, int n) {
    int i = threadIdx.x;
    if (i < n) out[i] = i * n;
}
// launch: grid=1 block=32 args=0
K null_bad(int* out) {
    out[threadIdx.x] = 1;  //! out-of-bounds
}
// launch: grid=1 block=32 args=0
K null_ok(int* out) {
    if (out) out[threadIdx.x] = 1;
}
extern __shared__ int dynamic[];
// launch: grid=1 block=64 shared=128 args=i32[64]
K shared_bad(int* out) {
    int t = threadIdx.x;
    if (t >= 32) out[t] = 0;
    dynamic[t] = t;  //! out-of-bounds
    __syncthreads();
    if (t < 32) out[t] = dynamic[31 - t];
}
// launch: grid=1 block=64 shared=256 args=i32[64]
K shared_ok(int* out) {
    int t = threadIdx.x;
    if (t >= 32) out[t] = 0;
    dynamic[t] = t;
    __syncthreads();
    if (t < 32) out[t] = dynamic[31 - t];
}
// launch: grid=1 block=32 args=i32[32],9
K local_bad(int* out, int k) {
    int a[8];
    for (int j = 0; j < 8; j++) a[j] = out[j] + j;
    __syncwarp();
    out[threadIdx.x] = a[threadIdx.x % 8 + k];  //! out-of-bounds  //? uninitialised
}
// launch: grid=1 block=32 args=i32[32],0
K local_ok(int* out, int k) {
    int a[8];
    for (int j = 0; j < 8; j++) a[j] = out[j] + j;
    __syncwarp();
    out[threadIdx.x] = a[threadIdx.x % 8 + k];
}
__constant__ int table[4] = {1, 2, 3, 4};
// launch: grid=1 block=32 args=i32[32]
K const_bad(int* out) {
    out[threadIdx.x] = table[threadIdx.x];  //! out-of-bounds
}
// launch: grid=1 block=32 args=i32[32]
K const_ok(int* out) {
    out[threadIdx.x] = table[threadIdx.x % 4];
}
