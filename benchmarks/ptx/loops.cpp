// The same computations as plain loops, for orientation: g++ -O3 -march=native, one thread.
#include <cmath>
#include <cstdint>
#include <cstring>

extern "C" {
void vector_add(const float *a, const float *b, float *c, int n) {
    for (int i = 0; i < n; i++) c[i] = a[i] + b[i];
}

void softmax(const float *x, float *y, int rows, int columns) {
    for (int r = 0; r < rows; r++, x += columns, y += columns) {
        float m = -INFINITY, total = 0;
        for (int j = 0; j < columns; j++) m = x[j] > m ? x[j] : m;
        for (int j = 0; j < columns; j++) total += y[j] = expf(x[j] - m);
        for (int j = 0; j < columns; j++) y[j] /= total;
    }
}

void sgemm(const float *a, const float *b, float *c, int n) {
    memset(c, 0, sizeof(float) * n * n);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < n; k++)
            for (int j = 0; j < n; j++) c[i * n + j] += a[i * n + k] * b[k * n + j];
}

void block_sums(const float *x, float *sums, int blocks) {
    for (int r = 0; r < blocks; r++, x += 1024) {
        float s = 0;
        for (int j = 0; j < 1024; j++) s += x[j];
        sums[r] = s;
    }
}

void mandelbrot(int *out, int width, int height, int limit) {
    for (int py = 0; py < height; py++)
        for (int px = 0; px < width; px++) {
            float cx = -2.0f + 3.0f * px / width, cy = -1.5f + 3.0f * py / height, x = 0, y = 0;
            int k = 0;
            for (; k < limit && x * x + y * y < 4.0f; k++) {
                float next = x * x - y * y + cx;
                y = 2 * x * y + cy;
                x = next;
            }
            out[py * width + px] = k;
        }
}

void histogram(const unsigned char *data, unsigned *bins, int n) {
    for (int i = 0; i < n; i++) bins[data[i]]++;
}

void scan(const unsigned *x, unsigned *y, int n) {
    unsigned s = 0;
    for (int i = 0; i < n; i++) y[i] = s += x[i];
}
}
