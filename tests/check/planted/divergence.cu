// Aligned barriers that only a part of a warp reaches.
#define K extern "C" __global__ void

// launch: grid=1 block=64 args=i32[64]
K half_bad(int* out) {
    int t = threadIdx.x;
    if (t % 32 < 16) {
        out[t] = t;
        __syncthreads();  //! barrier-divergence
    }
    out[t] = 2 * t + out[t];
}
// launch: grid=1 block=64 args=i32[64]
K half_ok(int* out) {
    int t = threadIdx.x;
    if (t % 32 < 16) out[t] = t;
    __syncthreads();
    out[t] = 2 * t + out[t];
}
// launch: grid=1 block=64 args=i32[64]
K two_bad(int* out) {
    int t = threadIdx.x;
    if (t % 2) {
        out[t] = 1;
        __syncthreads();  //! barrier-divergence
        out[t] += t;
    } else {
        out[t] = 2;
        __syncthreads();  //! barrier-divergence
        out[t] -= t;
    }
}
// launch: grid=1 block=64 args=i32[64]
K two_ok(int* out) {
    int t = threadIdx.x;
    out[t] = t % 2 ? 1 : 2;
    __syncthreads();
    if (t % 2) out[t] += t; else out[t] -= t;
}
// launch: grid=1 block=32 args=i32[32]
K loop_bad(int* out) {
    int t = threadIdx.x, x = 0;
    for (int k = 0; k < t % 4 + 1; k++) {
        x += out[t];
        __syncthreads();  //! barrier-divergence
    }
    out[t] = x;
}
// launch: grid=1 block=32 args=i32[32]
K loop_ok(int* out) {
    int t = threadIdx.x, x = 0;
    for (int k = 0; k < 4; k++) {
        if (k < t % 4 + 1) x += out[t];
        __syncthreads();
    }
    out[t] = x;
}
// launch: grid=1 block=64 args=i32[64],50
K early_ok(int* out, int n) {
    int t = threadIdx.x;
    if (t >= n) return;
    out[t] = t;
    __syncthreads();
    out[t] += 1;
}
