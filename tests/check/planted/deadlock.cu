// Waits that never end.
#define K extern "C" __global__ void
typedef volatile int vint;
#define S(p) ((unsigned)__cvta_generic_to_shared(p))

// launch: grid=1 block=64 args=i32[64]
K count_bad(int* out) {
    int t = threadIdx.x;
    out[t] = t;
    if (t < 32)
        asm volatile("bar.sync 1, 64;" ::: "memory");  //! deadlock
    out[t] += 1;
}
// launch: grid=1 block=64 args=i32[64]
K count_ok(int* out) {
    int t = threadIdx.x;
    out[t] = t;
    if (t < 32)
        asm volatile("bar.sync 1, 32;" ::: "memory");
    out[t] += 1;
}
// launch: grid=1 block=64 args=i32[64]
K crossed_bad(int* out) {
    int t = threadIdx.x;
    if (t < 32) {
        asm volatile("bar.sync 1, 64;" ::: "memory");  //! deadlock
        asm volatile("bar.sync 2, 64;" ::: "memory");
    } else {
        asm volatile("bar.sync 2, 64;" ::: "memory");  //! deadlock
        asm volatile("bar.sync 1, 64;" ::: "memory");
    }
    out[t] = t;
}
// launch: grid=1 block=64 args=i32[64]
K crossed_ok(int* out) {
    int t = threadIdx.x;
    asm volatile("bar.sync 1, 64;" ::: "memory");
    asm volatile("bar.sync 2, 64;" ::: "memory");
    out[t] = t;
}
// launch: grid=2 block=32 args=i32[2]
K flag_bad(int* flag) {
    if (threadIdx.x == 0)
        while (*(vint*)(flag + 1 - blockIdx.x) == 0) {}  //! deadlock
    __syncwarp();  //! deadlock
    if (threadIdx.x == 0) *(vint*)(flag + blockIdx.x) = 1;
}
// launch: grid=2 block=32 args=i32[2]
K flag_ok(int* flag) {
    if (threadIdx.x == 0) *(vint*)(flag + blockIdx.x) = 1;
    if (threadIdx.x == 0)
        while (*(vint*)(flag + 1 - blockIdx.x) == 0) {}
    __syncwarp();
}
// launch: grid=1 block=1 args=i32[1],i32[1]
K twice_bad(int* lock, int* data) {
    for (int k = 0; k < 2; k++) {
        while (atomicCAS(lock, 0, 1) != 0) {}  //! deadlock
        *data += 1;
    }
}
// launch: grid=1 block=1 args=i32[1],i32[1]
K twice_ok(int* lock, int* data) {
    for (int k = 0; k < 2; k++) {
        while (atomicCAS(lock, 0, 1) != 0) {}
        *data += 1;
        atomicExch(lock, 0);
    }
}
// launch: grid=1 block=32 args=i32[32]
K phase_bad(int* out) {
    __shared__ unsigned long long bar;
    unsigned done = 0;
    if (threadIdx.x == 0) asm volatile("mbarrier.init.shared.b64 [%0], 33;" :: "r"(S(&bar)) : "memory");
    __syncthreads();
    asm volatile("mbarrier.arrive.shared.b64 _, [%0];" :: "r"(S(&bar)) : "memory");
    while (!done)
        asm volatile("{ .reg .pred p; mbarrier.test_wait.parity.shared.b64 p, [%1], 0; selp.u32 %0, 1, 0, p; }" : "=r"(done) : "r"(S(&bar)) : "memory");  //! deadlock
    out[threadIdx.x] = done;
}
// launch: grid=1 block=32 args=i32[32]
K phase_ok(int* out) {
    __shared__ unsigned long long bar;
    unsigned done = 0;
    if (threadIdx.x == 0) asm volatile("mbarrier.init.shared.b64 [%0], 32;" :: "r"(S(&bar)) : "memory");
    __syncthreads();
    asm volatile("mbarrier.arrive.shared.b64 _, [%0];" :: "r"(S(&bar)) : "memory");
    while (!done)
        asm volatile("{ .reg .pred p; mbarrier.test_wait.parity.shared.b64 p, [%1], 0; selp.u32 %0, 1, 0, p; }" : "=r"(done) : "r"(S(&bar)) : "memory");
    out[threadIdx.x] = done;
}
