// The kernels of benchmarks/ptx.py, as anybody would write them.  kernels.ptx is what nvcc makes of them:
//     nvcc -ptx -O3 -arch=sm_80 kernels.cu -o kernels.ptx

extern "C" __global__ void vector_add(const float *a, const float *b, float *c, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) c[i] = a[i] + b[i];
}

// One block of 256 threads per row.
extern "C" __global__ void softmax(const float *x, float *y, int columns) {
    __shared__ float part[256];
    const float *row = x + (size_t)blockIdx.x * columns;
    float *out = y + (size_t)blockIdx.x * columns;
    int t = threadIdx.x;
    float m = -INFINITY;
    for (int j = t; j < columns; j += 256) m = fmaxf(m, row[j]);
    part[t] = m;
    __syncthreads();
    for (int s = 128; s > 0; s >>= 1) {
        if (t < s) part[t] = fmaxf(part[t], part[t + s]);
        __syncthreads();
    }
    m = part[0];
    __syncthreads();
    float total = 0;
    for (int j = t; j < columns; j += 256) total += expf(row[j] - m);
    part[t] = total;
    __syncthreads();
    for (int s = 128; s > 0; s >>= 1) {
        if (t < s) part[t] += part[t + s];
        __syncthreads();
    }
    total = part[0];
    for (int j = t; j < columns; j += 256) out[j] = expf(row[j] - m) / total;
}

// 16 × 16 tiles in shared memory.
extern "C" __global__ void sgemm(const float *a, const float *b, float *c, int n) {
    __shared__ float as[16][16], bs[16][16];
    int tx = threadIdx.x, ty = threadIdx.y, row = blockIdx.y * 16 + ty, column = blockIdx.x * 16 + tx;
    float sum = 0;
    for (int k = 0; k < n; k += 16) {
        as[ty][tx] = a[row * n + k + tx];
        bs[ty][tx] = b[(k + ty) * n + column];
        __syncthreads();
        for (int j = 0; j < 16; j++) sum += as[ty][j] * bs[j][tx];
        __syncthreads();
    }
    c[row * n + column] = sum;
}

// Each block sums 1024 elements by a tree in shared memory.
extern "C" __global__ void tree_sum(const float *x, float *sums) {
    __shared__ float part[256];
    int t = threadIdx.x;
    const float *p = x + (size_t)blockIdx.x * 1024 + t;
    part[t] = (p[0] + p[256]) + (p[512] + p[768]);
    __syncthreads();
    for (int s = 128; s > 0; s >>= 1) {
        if (t < s) part[t] += part[t + s];
        __syncthreads();
    }
    if (t == 0) sums[blockIdx.x] = part[0];
}

extern "C" __global__ void mandelbrot(int *out, int width, int height, int limit) {
    int px = blockIdx.x * blockDim.x + threadIdx.x, py = blockIdx.y * blockDim.y + threadIdx.y;
    if (px >= width || py >= height) return;
    float cx = -2.0f + 3.0f * px / width, cy = -1.5f + 3.0f * py / height, x = 0, y = 0;
    int k = 0;
    while (k < limit && x * x + y * y < 4.0f) {
        float next = x * x - y * y + cx;
        y = 2 * x * y + cy;
        x = next;
        k++;
    }
    out[py * width + px] = k;
}

// 256 bins per block in shared memory, then added to the result.
extern "C" __global__ void histogram(const unsigned char *data, unsigned *bins, int n) {
    __shared__ unsigned local[256];
    local[threadIdx.x] = 0;
    __syncthreads();
    for (int i = blockIdx.x * 256 + threadIdx.x; i < n; i += gridDim.x * 256) atomicAdd(&local[data[i]], 1u);
    __syncthreads();
    atomicAdd(&bins[threadIdx.x], local[threadIdx.x]);
}

// Each block sums 1024 elements by shuffles.
extern "C" __global__ void shuffle_sum(const float *x, float *sums) {
    __shared__ float part[8];
    int t = threadIdx.x;
    const float *p = x + (size_t)blockIdx.x * 1024 + t;
    float v = (p[0] + p[256]) + (p[512] + p[768]);
    for (int s = 16; s > 0; s >>= 1) v += __shfl_xor_sync(0xffffffffu, v, s);
    if ((t & 31) == 0) part[t >> 5] = v;
    __syncthreads();
    if (t < 32) {
        v = t < 8 ? part[t] : 0;
        for (int s = 4; s > 0; s >>= 1) v += __shfl_xor_sync(0xffffffffu, v, s);
        if (t == 0) sums[blockIdx.x] = v;
    }
}

// Decoupled look-back: one pass.  A status word is (flag << 32 | value): 0 nothing yet, 1 this block's sum, 2 the sum of all up to it.
// status[gridDim.x] hands out the blocks' numbers in the order in which they start.
extern "C" __global__ void lookback_scan(const unsigned *x, unsigned *y, unsigned long long *status) {
    __shared__ unsigned warps[8];
    __shared__ unsigned number, before;
    int t = threadIdx.x, lane = t & 31, w = t >> 5;
    if (t == 0) number = (unsigned)atomicAdd(&status[gridDim.x], 1ull);
    __syncthreads();
    unsigned b = number;
    const uint4 v = reinterpret_cast<const uint4 *>(x)[(size_t)b * 256 + t];
    unsigned s0 = v.x, s1 = s0 + v.y, s2 = s1 + v.z, s3 = s2 + v.w, sum = s3;
    for (int d = 1; d < 32; d <<= 1) {
        unsigned other = __shfl_up_sync(0xffffffffu, sum, d);
        if (lane >= d) sum += other;
    }
    if (lane == 31) warps[w] = sum;
    __syncthreads();
    unsigned offset = 0, all = 0;
    for (int k = 0; k < 8; k++) {
        if (k < w) offset += warps[k];
        all += warps[k];
    }
    if (t == 0) {
        volatile unsigned long long *state = status;
        unsigned prefix = 0;
        if (b > 0) {
            state[b] = 1ull << 32 | all;
            for (int k = (int)b - 1; k >= 0;) {
                unsigned long long seen = state[k];
                if (seen >> 32 == 0) continue;
                prefix += (unsigned)seen;
                if (seen >> 32 == 2) break;
                k--;
            }
        }
        __threadfence();
        state[b] = 2ull << 32 | (prefix + all);
        before = prefix;
    }
    __syncthreads();
    unsigned base = before + offset + sum - s3;
    reinterpret_cast<uint4 *>(y)[(size_t)b * 256 + t] = make_uint4(base + s0, base + s1, base + s2, base + s3);
}
