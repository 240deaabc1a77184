// Member masks that do not name who comes, or name who does not.
#define K extern "C" __global__ void

// launch: grid=1 block=32 args=i32[32]
K half_shuffle_bad(int* out) {
    int t = threadIdx.x, x = t;
    if (t < 16)
        x = __shfl_xor_sync(0xffffffff, x, 1);  //! sync-mask
    out[t] = x;
}
// launch: grid=1 block=32 args=i32[32]
K half_shuffle_ok(int* out) {
    int t = threadIdx.x, x = t;
    if (t < 16)
        x = __shfl_xor_sync(0x0000ffff, x, 1);
    out[t] = x;
}
// launch: grid=1 block=32 args=i32[32]
K not_named_bad(int* out) {
    int t = threadIdx.x;
    out[t] = __ballot_sync(0x0000ffff, t & 1);  //! sync-mask
}
// launch: grid=1 block=32 args=i32[32]
K not_named_ok(int* out) {
    int t = threadIdx.x;
    out[t] = __ballot_sync(t < 16 ? 0x0000ffff : 0xffff0000, t & 1);
}
// launch: grid=1 block=32 args=i32[32]
K elsewhere_bad(int* out) {
    int t = threadIdx.x;
    if (t < 8) {
        out[t] = 1;
        __syncwarp();  //! sync-mask
    } else {
        out[t] = 2;
        out[t] += __any_sync(0xffffff00, t == 9);
        __syncwarp();  //! sync-mask
        out[t] += 2;
    }
}
// launch: grid=1 block=32 args=i32[32]
K elsewhere_ok(int* out) {
    int t = threadIdx.x;
    if (t < 8) {
        out[t] = 1;
        __syncwarp(0xff);
    } else {
        out[t] = 2;
        out[t] += __any_sync(0xffffff00, t == 9);
        __syncwarp(0xffffff00);
        out[t] += 2;
    }
}
// launch: grid=1 block=32 args=i32[32],20
K exited_ok(int* out, int n) {
    int t = threadIdx.x;
    if (t >= n) return;
    out[t] = __shfl_sync(0xffffffff, t, 3);
}
