// The kernels of kernels.cu in OpenCL C, as anybody would write them for PoCL, which has no sub-group shuffles: those go through local memory.
#pragma OPENCL EXTENSION cl_khr_int64_base_atomics : enable

kernel void vector_add(global const float *a, global const float *b, global float *c, int n) {
    int i = get_global_id(0);
    if (i < n) c[i] = a[i] + b[i];
}

kernel void softmax(global const float *x, global float *y, int columns) {
    local float part[256];
    global const float *row = x + (size_t)get_group_id(0) * columns;
    global float *out = y + (size_t)get_group_id(0) * columns;
    int t = get_local_id(0);
    float m = -INFINITY;
    for (int j = t; j < columns; j += 256) m = fmax(m, row[j]);
    part[t] = m;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int s = 128; s > 0; s >>= 1) {
        if (t < s) part[t] = fmax(part[t], part[t + s]);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    m = part[0];
    barrier(CLK_LOCAL_MEM_FENCE);
    float total = 0;
    for (int j = t; j < columns; j += 256) total += exp(row[j] - m);
    part[t] = total;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int s = 128; s > 0; s >>= 1) {
        if (t < s) part[t] += part[t + s];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    total = part[0];
    for (int j = t; j < columns; j += 256) out[j] = exp(row[j] - m) / total;
}

kernel void sgemm(global const float *a, global const float *b, global float *c, int n) {
    local float as[16][16], bs[16][16];
    int tx = get_local_id(0), ty = get_local_id(1), row = get_group_id(1) * 16 + ty, column = get_group_id(0) * 16 + tx;
    float sum = 0;
    for (int k = 0; k < n; k += 16) {
        as[ty][tx] = a[row * n + k + tx];
        bs[ty][tx] = b[(k + ty) * n + column];
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int j = 0; j < 16; j++) sum = fma(as[ty][j], bs[j][tx], sum);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    c[row * n + column] = sum;
}

kernel void tree_sum(global const float *x, global float *sums) {
    local float part[256];
    int t = get_local_id(0);
    global const float *p = x + (size_t)get_group_id(0) * 1024 + t;
    part[t] = (p[0] + p[256]) + (p[512] + p[768]);
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int s = 128; s > 0; s >>= 1) {
        if (t < s) part[t] += part[t + s];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    if (t == 0) sums[get_group_id(0)] = part[0];
}

kernel void mandelbrot(global int *out, int width, int height, int limit) {
    int px = get_global_id(0), py = get_global_id(1);
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

kernel void histogram(global const uchar *data, global uint *bins, int n) {
    local uint own[256];
    int t = get_local_id(0), step = get_num_groups(0) * 256;
    own[t] = 0;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i = get_group_id(0) * 256 + t; i < n; i += step) atomic_add(&own[data[i]], 1u);
    barrier(CLK_LOCAL_MEM_FENCE);
    atomic_add(&bins[t], own[t]);
}

kernel void shuffle_sum(global const float *x, global float *sums) {
    local float lanes[256];
    int t = get_local_id(0);
    global const float *p = x + (size_t)get_group_id(0) * 1024 + t;
    float v = (p[0] + p[256]) + (p[512] + p[768]);
    for (int s = 16; s > 0; s >>= 1) {
        lanes[t] = v;
        barrier(CLK_LOCAL_MEM_FENCE);
        v += lanes[t ^ s];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    if ((t & 31) == 0) lanes[t >> 5] = v;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (t == 0) {
        float sum = 0;
        for (int k = 0; k < 8; k++) sum += lanes[k];
        sums[get_group_id(0)] = sum;
    }
}

kernel void lookback_scan(global const uint4 *x, global uint4 *y, global volatile ulong *status) {
    local uint sums[256];
    local uint number, before;
    int t = get_local_id(0);
    if (t == 0) number = (uint)atom_add(&status[get_num_groups(0)], 1ul);
    barrier(CLK_LOCAL_MEM_FENCE);
    uint b = number;
    uint4 v = x[(size_t)b * 256 + t];
    uint s0 = v.x, s1 = s0 + v.y, s2 = s1 + v.z, s3 = s2 + v.w, sum = s3;
    sums[t] = sum;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int d = 1; d < 256; d <<= 1) {
        uint other = t >= d ? sums[t - d] : 0;
        barrier(CLK_LOCAL_MEM_FENCE);
        sum += other;
        sums[t] = sum;
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    if (t == 0) {
        uint all = sums[255], prefix = 0;
        if (b > 0) {
            status[b] = 1ul << 32 | all;
            for (int k = (int)b - 1; k >= 0;) {
                ulong seen = status[k];
                if (seen >> 32 == 0) continue;
                prefix += (uint)seen;
                if (seen >> 32 == 2) break;
                k--;
            }
        }
        mem_fence(CLK_GLOBAL_MEM_FENCE);
        status[b] = 2ul << 32 | (prefix + all);
        before = prefix;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    uint base = before + sum - s3;
    y[(size_t)b * 256 + t] = (uint4)(base + s0, base + s1, base + s2, base + s3);
}
