// nvcc -ptx -arch=sm_80 -lineinfo kernels.cu: what `ptxjit run` and `ptxjit check` in the README are shown on.
extern "C" __global__ void saxpy(float a, const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] += a * x[i];
}

// Sums of blocks of 128, by halving.
extern "C" __global__ void block_sum(const float* x, float* out) {
    __shared__ float part[128];
    int t = threadIdx.x;
    part[t] = x[blockIdx.x * 128 + t];
    __syncthreads();
    for (int half = 64; half > 0; half /= 2) {
        if (t < half) part[t] += part[t + half];
        __syncthreads();
    }
    if (t == 0) out[blockIdx.x] = part[0];
}

// The same with its second barrier forgotten.
extern "C" __global__ void block_sum_racy(const float* x, float* out) {
    __shared__ float part[128];
    int t = threadIdx.x;
    part[t] = x[blockIdx.x * 128 + t];
    __syncthreads();
#pragma unroll 1
    for (int half = 64; half > 0; half /= 2)
        if (t < half) part[t] += part[t + half];
    if (t == 0) out[blockIdx.x] = part[0];
}
