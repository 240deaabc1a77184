// Accesses that nothing orders.
#define K extern "C" __global__ void
typedef volatile int vint;

// launch: grid=1 block=64 args=i32[64]
K neighbour_bad(int* out) {
    __shared__ int tile[64];
    int t = threadIdx.x;
    tile[t] = t * t;           //! race
    out[t] = tile[63 - t];     //! race //? uninitialised
}
// launch: grid=1 block=64 args=i32[64]
K neighbour_ok(int* out) {
    __shared__ int tile[64];
    int t = threadIdx.x;
    tile[t] = t * t;
    __syncthreads();
    out[t] = tile[63 - t];
}
// launch: grid=4 block=32 args=i32[32]
K blocks_bad(int* out) {
    out[threadIdx.x] = blockIdx.x;  //! race
}
// launch: grid=4 block=32 args=i32[32]
K blocks_ok(int* out) {
    atomicMax(out + threadIdx.x, blockIdx.x);
}
// launch: grid=1 block=64 args=i32[64]
K same_value_bad(int* out) {
    out[0] = 7;  //! race
}
// launch: grid=1 block=64 args=i32[64]
K same_value_ok(int* out) {
    if (threadIdx.x == 0) out[0] = 7;
}
// launch: grid=1 block=32 args=i32[32]
K warp_bad(int* out) {
    __shared__ int tile[32];
    int t = threadIdx.x;
    tile[t] = out[t];            //! race
    out[t] = tile[t ^ 1] + 1;    //! race //? uninitialised
}
// launch: grid=1 block=32 args=i32[32]
K warp_ok(int* out) {
    __shared__ int tile[32];
    int t = threadIdx.x;
    tile[t] = out[t];
    __syncwarp();
    out[t] = tile[t ^ 1] + 1;
}
// launch: grid=1 block=128 args=i32[128],i32[4]
K second_barrier_bad(const int* in, int* out) {
    __shared__ int tile[128];
    int t = threadIdx.x;
    for (int k = 0; k < 4; k++) {
        tile[t] = in[t] + k;           //! race
        __syncthreads();
        if (t == 0) {
            int sum = 0;
            for (int j = 0; j < 128; j++)
                sum += tile[j];        //! race
            out[k] = sum;
        }
    }
}
// launch: grid=1 block=128 args=i32[128],i32[4]
K second_barrier_ok(const int* in, int* out) {
    __shared__ int tile[128];
    int t = threadIdx.x;
    for (int k = 0; k < 4; k++) {
        tile[t] = in[t] + k;
        __syncthreads();
        if (t == 0) {
            int sum = 0;
            for (int j = 0; j < 128; j++)
                sum += tile[j];
            out[k] = sum;
        }
        __syncthreads();
    }
}
// launch: grid=2 block=32 args=i32[1],i32[1],i32[1]
K hand_over_bad(int* data, int* flag, int* out) {
    if (threadIdx.x) return;
    if (blockIdx.x == 0) {
        *data = 42;                     //! race
        *(vint*)flag = 1;
    } else {
        while (*(vint*)flag == 0) {}
        __threadfence();
        *out = *data;                   //! race
    }
}
// launch: grid=2 block=32 args=i32[1],i32[1],i32[1]
K hand_over_ok(int* data, int* flag, int* out) {
    if (threadIdx.x) return;
    if (blockIdx.x == 0) {
        *data = 42;
        __threadfence();
        *(vint*)flag = 1;
    } else {
        while (*(vint*)flag == 0) {}
        __threadfence();
        *out = *data;
    }
}
// launch: grid=2 block=32 args=i32[1],i32[1],i32[1]
K scope_bad(int* data, int* flag, int* out) {
    if (threadIdx.x) return;
    if (blockIdx.x == 0) {
        *data = 42;                     //! race
        __threadfence_block();
        atomicExch(flag, 1);
    } else {
        while (atomicAdd(flag, 0) == 0) {}
        __threadfence();
        *out = *data;                   //! race
    }
}
// launch: grid=2 block=32 args=i32[1],i32[1],i32[1]
K scope_ok(int* data, int* flag, int* out) {
    if (threadIdx.x) return;
    if (blockIdx.x == 0) {
        *data = 42;
        __threadfence();
        atomicExch(flag, 1);
    } else {
        while (atomicAdd(flag, 0) == 0) {}
        __threadfence();
        *out = *data;
    }
}
// launch: grid=4 block=32 args=i32[1],i32[1]
K lock_bad(int* lock, int* data) {
    if (threadIdx.x) return;
    while (atomicCAS(lock, 0, 1) != 0) {}
    *data += 1;                          //! race
    atomicExch(lock, 0);
}
// launch: grid=4 block=32 args=i32[1],i32[1]
K lock_ok(int* lock, int* data) {
    if (threadIdx.x) return;
    while (atomicCAS(lock, 0, 1) != 0) {}
    __threadfence();
    *data += 1;
    __threadfence();
    atomicExch(lock, 0);
}
// launch: grid=1 block=64 args=i32[64]
K plain_and_atomic_bad(int* out) {
    int t = threadIdx.x;
    atomicAdd(out, 1);                   //! race
    if (t == 5) out[1] = out[0];         //! race
}
// launch: grid=1 block=64 args=i32[64]
K plain_and_atomic_ok(int* out) {
    int t = threadIdx.x;
    atomicAdd(out, 1);
    __syncthreads();
    if (t == 5) out[1] = out[0];
}
