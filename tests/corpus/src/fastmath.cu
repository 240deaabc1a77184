// What -use_fast_math makes of ordinary code.
// build: sm_80 fast; sm_90 fast
extern "C" __global__ void fast_math(const float* a, const float* b, float* out, int n) {      // b > 0
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float x = a[i], y = b[i];
    out[i] = x / y;
    out[n + i] = sqrtf(y);
    out[2 * n + i] = expf(x);
    out[3 * n + i] = logf(y);
    out[4 * n + i] = sinf(x);
    out[5 * n + i] = __powf(y, 0.75f);
    out[6 * n + i] = rsqrtf(y) + __saturatef(x);
    out[7 * n + i] = tanhf(x);
}
