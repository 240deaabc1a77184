// State spaces: vectors, constants, variables with initialisers, shared tiles, local arrays, parameters by value.
// build: sm_80 O3 O0 lineinfo G; sm_75 O3; sm_90 O3
#define I (blockIdx.x * blockDim.x + threadIdx.x)

extern "C" __global__ void vectors(const float2* a, const float4* b, const short4* c, const uchar4* d, const double2* e,
                                   float4* out, double2* wide, int4* ints, int n) {
    int i = I;
    if (i >= n) return;
    float2 x = a[i];
    float4 y = b[i];
    out[i] = make_float4(x.x + y.x, x.y - y.y, y.z, y.w * 2.0f);
    wide[i] = make_double2(e[i].y, e[i].x + x.x);
    ints[i] = make_int4(c[i].x + d[i].x, c[i].y - d[i].y, c[i].z * d[i].z, c[i].w ^ d[i].w);
}

__constant__ int table[8] = {2, 3, 5, 7, 11, 13, 17, 19};
__constant__ float coefficients[3][2] = {{1.5f, -2.0f}, {0.25f, 8.0f}, {-1.0f, 3.0f}};
struct Record { char tag; short half; int whole; double real; const int* to; };
__device__ int numbers[5] = {10, -20, 30, -40, 50};
__device__ int* second = &numbers[1];
__device__ Record record = {'x', -7, 123456, 2.5, numbers + 3};
__device__ const char text[] = "ptx";
__device__ unsigned long long big = 0x123456789abcdef0ull;
__constant__ Record fixed[2] = {{'a', 1, 2, 3.0, numbers}, {'b', -1, -2, -3.0, numbers + 4}};

extern "C" __global__ void constants(const int* at, double* out, int n) {
    int i = I;
    if (i >= n) return;
    int k = at[i];
    out[i] = table[k] * coefficients[k % 3][k & 1] + second[k & 1] + record.tag + record.half + record.whole * record.real + *record.to
           + text[k & 3] + (double)(big >> (k * 8) & 255) + fixed[k & 1].half * fixed[k & 1].real + *fixed[k & 1].to;
}

__device__ int counter = 40;
__device__ float grid_sum[4];
extern "C" __global__ void variables(int* out, float* sums) {       // one block: writes and reads module variables
    int t = threadIdx.x;
    if (t < 4) grid_sum[t] = t * 1.5f;
    if (t == 0) counter = counter * 0 + 41;
    __syncthreads();
    if (t < 4) sums[t] = grid_sum[3 - t];
    out[t] = counter + t;
}

extern "C" __global__ void transpose(const float* a, float* out, int rows, int columns) {
    __shared__ float tile[16][17];
    int x = blockIdx.x * 16 + threadIdx.x, y = blockIdx.y * 16 + threadIdx.y;
    if (x < columns && y < rows) tile[threadIdx.y][threadIdx.x] = a[y * columns + x];
    __syncthreads();
    x = blockIdx.y * 16 + threadIdx.x;
    y = blockIdx.x * 16 + threadIdx.y;
    if (x < rows && y < columns) out[y * rows + x] = tile[threadIdx.x][threadIdx.y];
}

extern "C" __global__ void matmul_tile(const float* a, const float* b, float* c, int m, int n, int k) {
    __shared__ float as[8][8], bs[8][8];
    int row = blockIdx.y * 8 + threadIdx.y, column = blockIdx.x * 8 + threadIdx.x;
    float sum = 0.0f;
    for (int t = 0; t < k; t += 8) {
        as[threadIdx.y][threadIdx.x] = row < m && t + threadIdx.x < k ? a[row * k + t + threadIdx.x] : 0.0f;
        bs[threadIdx.y][threadIdx.x] = column < n && t + threadIdx.y < k ? b[(t + threadIdx.y) * n + column] : 0.0f;
        __syncthreads();
        for (int j = 0; j < 8; j++) sum += as[threadIdx.y][j] * bs[j][threadIdx.x];
        __syncthreads();
    }
    if (row < m && column < n) c[row * n + column] = sum;
}

extern "C" __global__ void dynamic_shared(const int* a, int* out, int n) {     // reverse within a block; two arrays in one allocation
    extern __shared__ int pool[];
    int* first = pool;
    short* other = (short*)(pool + blockDim.x);
    int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
    first[t] = i < n ? a[i] : -1;
    other[t] = (short)(i * 3);
    __syncthreads();
    int r = blockDim.x - 1 - t;
    if (i < n) out[i] = first[r] + other[r];
}

extern "C" __global__ void local_array(const int* a, int* out, int n) {        // insertion sort of 9 numbers in local memory
    int i = I, v[9];
    if (i >= n) return;
    for (int k = 0; k < 9; k++) v[k] = a[9 * i + k];
    for (int k = 1; k < 9; k++) {
        int x = v[k], j = k - 1;
        while (j >= 0 && v[j] > x) { v[j + 1] = v[j]; j--; }
        v[j + 1] = x;
    }
    for (int k = 0; k < 9; k++) out[9 * i + k] = v[k];
}

extern "C" __global__ void dynamic_stack(const int* size, int* out, int n) {   // alloca
    int i = I;
    if (i >= n) return;
    int m = size[i], *v = (int*)__builtin_alloca(m * sizeof(int));
    for (int k = 0; k < m; k++) v[k] = k ? v[k - 1] * 3 + k : 1;
    unsigned s = 0;
    for (int k = m - 1; k >= 0; k--) s = s * 7 + v[k];
    out[i] = s;
}

struct Pair { int a; double b; };
struct Nested { char c; Pair p[2]; unsigned short s[3]; float f; };
extern "C" __global__ void struct_parameter(Nested v, char small, bool flag, const int* at, double* out, int n) {
    int i = I;
    if (i < n) out[i] = v.c + v.p[at[i] & 1].a * v.p[~at[i] & 1].b + v.s[at[i] % 3] + v.f + small + (flag ? 1000 : 0);
}

struct Large { int v[1200]; };
extern "C" __global__ void large_parameter(const __grid_constant__ Large p, const int* at, int* out, int n) {    // 4800 bytes
    int i = I;
    if (i < n) out[i] = p.v[at[i]] + p.v[1199 - i];
}

extern "C" __global__ void grid3(int* out) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y, z = blockIdx.z * blockDim.z + threadIdx.z;
    int nx = gridDim.x * blockDim.x, ny = gridDim.y * blockDim.y;
    out[(z * ny + y) * nx + x] = x + 100 * y + 10000 * z + 1000000 * (int)(blockIdx.x + 2 * blockIdx.y + 4 * blockIdx.z);
}

union Word { unsigned u; float f; short s[2]; unsigned char c[4]; };
extern "C" __global__ void unions(const float* a, unsigned* out, int n) {
    int i = I;
    if (i >= n) return;
    Word w, v;
    w.f = a[i];
    for (int k = 0; k < 4; k++) v.c[k] = w.c[(k + i) & 3];
    out[i] = v.u ^ (unsigned)w.s[i & 1];
}

extern "C" __global__ void small_types(const bool* a, const signed char* b, const unsigned char* c, const unsigned short* d, bool* out, signed char* narrow, unsigned short* wide, int n) {
    int i = I;
    if (i >= n) return;
    out[i] = a[i] != (b[i] > 0);
    narrow[i] = a[i] ? -b[i] : b[i] / 2;
    wide[i] = d[i] * 3 + c[i];
}

extern "C" __global__ void spaces(int* data, int* out) {             // isspacep and generic addresses
    __shared__ int tile[32];
    int t = threadIdx.x, mine[2] = {t, 2 * t};
    tile[t] = t;
    __syncthreads();
    int* p = t % 3 == 0 ? data + t : t % 3 == 1 ? tile + (t ^ 1) : mine + (t & 1);
    out[t] = (__isGlobal(p) ? 1 : 0) | (__isShared(p) ? 2 : 0) | (__isLocal(p) ? 4 : 0) | (__isConstant(p) ? 8 : 0) | *p << 4;
}

extern "C" __global__ void misaligned_copy(const unsigned char* a, unsigned char* out, int n) {       // bytes, odd lengths, memcpy and memset
    int i = I;
    if (i >= n) return;
    unsigned char v[13];
    memcpy(v, a + 13 * i, 13);
    memset(v + 3, i, 5);
    memcpy(out + 13 * i, v, 13);
}
