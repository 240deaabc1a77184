// Features of sm_90a.
// build: sm_90a O3 O0
extern "C" __global__ void __launch_bounds__(256, 1) register_counts(const int* a, int* out) {        // two warp groups trade registers
    int t = threadIdx.x, x = a[t];
    if (t < 128) {
        asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
        x = x * 3;
    } else {
        asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
        for (int k = 0; k < 5; k++) x = x * 2 + k;
    }
    out[t] = x;
}
