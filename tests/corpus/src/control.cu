// Control flow: branches, loops, jump tables, early returns.
// build: sm_80 O3 O0 lineinfo; sm_75 O3; sm_90 O3
#define I (blockIdx.x * blockDim.x + threadIdx.x)

extern "C" __global__ void collatz(const unsigned* a, int* out, int n) {
    int i = I;
    if (i >= n) return;
    unsigned x = a[i];
    int steps = 0;
    while (x != 1) {
        x = x & 1 ? 3 * x + 1 : x >> 1;
        steps++;
    }
    out[i] = steps;
}

extern "C" __global__ void gcd(const unsigned* a, const unsigned* b, unsigned* out, int n) {
    int i = I;
    if (i >= n) return;
    unsigned x = a[i], y = b[i];
    while (y) { unsigned t = x % y; x = y; y = t; }
    out[i] = x;
}

extern "C" __global__ void lower_bound(const float* sorted, int m, const float* keys, int* out, int n) {
    int i = I;
    if (i >= n) return;
    int low = 0, high = m;
    while (low < high) {
        int middle = (low + high) / 2;
        if (sorted[middle] < keys[i]) low = middle + 1; else high = middle;
    }
    out[i] = low;
}

extern "C" __global__ void nested_if(const int* a, int* out, int n) {
    int i = I;
    if (i >= n) return;
    int x = a[i], r;
    if (x < 0) {
        if (x < -100) r = -3;
        else if (x & 1) r = x > -50 ? -1 : -2;
        else { r = 0; for (int k = x; k < 0; k += 7) r += k; }
    } else if (x == 0) {
        out[i] = 77;
        return;
    } else {
        r = x;
        if (x % 3 == 0 && x % 5 == 0) r = 15;
        else if (x % 3 == 0 || x == 41) r = 3;
        if (r > 50 && !(x & 4)) r -= 1000;
    }
    out[i] = r;
}

extern "C" __global__ void break_continue(const int* a, int* out, int n) {
    int i = I;
    if (i >= n) return;
    int s = 0;
    for (int k = 0; k < 64; k++) {
        int v = a[(i * 7 + k) % n];
        if (v < 0) continue;
        if (v == 99) break;
        for (int j = 0; j < v; j++) {
            if (j * j > v) break;
            if (j % 3 == 1) continue;
            s += j;
        }
        s ^= v << (k & 7);
    }
    out[i] = s;
}

extern "C" __global__ void jump_table(const int* code, const int* a, int* out, int n) {        // a small stack of operations, brx.idx
    int i = I;
    if (i >= n) return;
    int x = a[i], pc = i % 5;
    for (int step = 0; step < 12; step++) {
        switch (code[(pc + step) % 40]) {
            case 0: x += 3; break;
            case 1: x = (int)(x * 5u); break;
            case 2: x ^= 0x55; break;
            case 3: x = -x;      // falls through
            case 4: x >>= 1; break;
            case 5: pc += x & 3; break;
            case 6: x = x % 1000; break;
            case 7: if (x & 1) goto done; break;
            case 8: x -= a[(i + step) % n]; break;
            case 9: x = __popc(x); break;
            case 10: x |= i; break;
            default: x += 1;
        }
    }
done:
    out[i] = x + pc;
}

extern "C" __global__ void mandelbrot(int* out, int width, int height, int limit) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    float cr = -2.0f + x * 0.0625f, ci = -1.0f + y * 0.0625f, zr = 0.0f, zi = 0.0f;
    int k = 0;
    while (k < limit) {
        float rr = __fmul_rn(zr, zr), ii = __fmul_rn(zi, zi);
        if (__fadd_rn(rr, ii) > 4.0f) break;
        zi = __fadd_rn(__fmul_rn(__fmul_rn(2.0f, zr), zi), ci);
        zr = __fadd_rn(__fsub_rn(rr, ii), cr);
        k++;
    }
    out[y * width + x] = k;
}

extern "C" __global__ void do_while(const unsigned* a, int* out, int n) {      // two exits, a loop entered in the middle
    int i = I;
    if (i >= n) return;
    unsigned x = a[i];
    int k = 0;
    if (x & 1) goto middle;
top:
    x = x * 1664525u + 1013904223u;
    k += 2;
middle:
    k++;
    if (k > 40) { out[i] = -k; return; }
    if (x >> 28 != 7) goto top;
    out[i] = k;
}

extern "C" __global__ void grid_stride(const int* a, long long* out, int n) {
    long long s = 0;
    for (int i = I; i < n; i += gridDim.x * blockDim.x) s += (long long)a[i] * (i + 1);
    out[I] = s;
}

extern "C" __global__ void divergent_loops(const int* trips, int* out) {       // lanes leave one by one, meet again for the vote
    int t = threadIdx.x, s = 0;
    for (int k = 0; k < trips[t]; k++) {
        if (k % (t + 1) == t) s += 10;
        else s += k & 1;
    }
    __syncwarp();
    out[t] = s * 64 + __popc(__ballot_sync(~0u, s & 1));
}
