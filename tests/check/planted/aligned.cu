// Addresses that are no multiples of the access size.
#define K extern "C" __global__ void

// launch: grid=1 block=8 args=f32[40],f32[8]
K vector_bad(const float* in, float* out) {
    float4 v = *(const float4*)(in + 4 * threadIdx.x + 1);  //! misaligned
    out[threadIdx.x] = v.x + v.w;
}
// launch: grid=1 block=8 args=f32[40],f32[8]
K vector_ok(const float* in, float* out) {
    float4 v = *(const float4*)(in + 4 * threadIdx.x);
    out[threadIdx.x] = v.x + v.w;
}
// launch: grid=1 block=8 args=u8[64]
K store_bad(unsigned char* out) {
    *(double*)(out + 8 * threadIdx.x + 4 * (threadIdx.x < 7)) = 1.0;  //! misaligned
}
// launch: grid=1 block=8 args=u8[64]
K store_ok(unsigned char* out) {
    *(double*)(out + 8 * threadIdx.x) = 1.0;
}
// launch: grid=1 block=8 args=i32[8]
K shared_bytes_bad(int* out) {
    __shared__ unsigned char bytes[64];
    for (int k = 0; k < 8; k++) bytes[8 * threadIdx.x + k] = k;
    __syncwarp(0xff);
    out[threadIdx.x] = *(int*)(bytes + 5 * threadIdx.x);  //! misaligned
}
// launch: grid=1 block=8 args=i32[8]
K shared_bytes_ok(int* out) {
    __shared__ __align__(8) unsigned char bytes[64];
    for (int k = 0; k < 8; k++) bytes[8 * threadIdx.x + k] = k;
    __syncwarp(0xff);
    out[threadIdx.x] = *(int*)(bytes + 4 * threadIdx.x);
}
// launch: grid=1 block=4 args=u8[64]
K atomic_bad(unsigned char* out) {
    atomicAdd((unsigned long long*)(out + 4), 1ull);  //! misaligned
}
// launch: grid=1 block=4 args=u8[64]
K atomic_ok(unsigned char* out) {
    atomicAdd((unsigned long long*)(out + 8), 1ull);
}
