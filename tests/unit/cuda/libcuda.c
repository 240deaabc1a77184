/* A libcuda.so.1 that writes down what the bindings hand to it: one line per call, on standard error.  Handles are small numbers. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#define F(name, ...) static int name(__VA_ARGS__)
#define SAY(...) (fprintf(stderr, __VA_ARGS__), fputc('\n', stderr), 0)
typedef unsigned long long P;
typedef struct { unsigned id; char pad[4]; union { char raw[64]; unsigned u[16]; int i[16]; } value; } Attribute;
typedef struct { unsigned gx, gy, gz, bx, by, bz, shared; void *stream; Attribute *attrs; unsigned n; } Config;

F(init, unsigned flags) { return SAY("cuInit %u", flags); }
F(version, int *v) { *v = 13000; return 0; }
F(count, int *n) { *n = 1; return 0; }
F(get, int *d, int n) { *d = n; return 0; }
F(name, char *s, int n, int d) { snprintf(s, n, "a card of paper"); return 0; }
F(memory, size_t *n, int d) { *n = (size_t)8 << 30; return 0; }
F(attribute, int *v, int which, int d) {
    switch (which) {
    case 75: *v = 9; break; case 76: *v = 0; break; case 16: *v = 2; break; case 10: *v = 32; break; case 1: *v = 1024; break;
    case 39: *v = 2048; break; case 8: *v = 49152; break; case 97: *v = 232448; break; case 95: case 120: *v = 1; break; default: *v = 0;
    }
    return 0;
}
F(retain, void **c, int d) { *c = (void *)7; return SAY("cuDevicePrimaryCtxRetain %d", d); }
F(release, int d) { return SAY("cuDevicePrimaryCtxRelease %d", d); }
static void *current;
F(current_is, void **c) { *c = current; return 0; }
F(make_current, void *c) { current = c; return SAY("cuCtxSetCurrent %p", c); }
F(wait_all, void) { return 0; }
F(alloc, P *p, size_t n) { static P next = 0x7000000000; *p = next; next += (n + 255) / 256 * 256; return n >> 40 ? 2 : SAY("cuMemAlloc %zu", n); }
F(info, size_t *f, size_t *t) { *f = 1 << 20; *t = (size_t)8 << 30; return 0; }
F(release_memory, P p) { return SAY("cuMemFree %llx", p); }
static char pinned[1 << 25]; static size_t used;
F(host, void **p, size_t n, unsigned flags) { *p = pinned + used; used += n; return SAY("cuMemHostAlloc %zu %u", n, flags); }
F(host_free, void *p) { return 0; }
F(up, P d, const void *s, size_t n, void *q) { return SAY("cuMemcpyHtoDAsync %llx %zu stream %p first %d", d, n, q, ((const unsigned char *)s)[0]); }
F(down, void *d, P s, size_t n, void *q) { memset(d, 5, n); return SAY("cuMemcpyDtoHAsync %llx %zu stream %p", s, n, q); }
F(across, P d, P s, size_t n, void *q) { return SAY("cuMemcpyDtoDAsync %llx %llx %zu stream %p", d, s, n, q); }
F(set8, P d, unsigned char v, size_t n, void *q) { return SAY("cuMemsetD8Async %llx %u %zu", d, v, n); }
F(set16, P d, unsigned short v, size_t n, void *q) { return SAY("cuMemsetD16Async %llx %u %zu", d, v, n); }
F(set32, P d, unsigned v, size_t n, void *q) { return SAY("cuMemsetD32Async %llx %u %zu", d, v, n); }
F(set2d, P d, size_t pitch, unsigned v, size_t w, size_t h, void *q) { return SAY("cuMemsetD2D32Async %llx %zu %u %zu %zu", d, pitch, v, w, h); }
F(stream, void **s, unsigned flags) { *s = (void *)11; return SAY("cuStreamCreate %u", flags); }
F(stream_done, void *s) { return SAY("cuStreamSynchronize %p", s); }
F(one, void *s) { return 0; }
F(stream_wait, void *s, void *e, unsigned flags) { return SAY("cuStreamWaitEvent %p %p %u", s, e, flags); }
F(event, void **e, unsigned flags) { static uintptr_t next = 100; *e = (void *)next++; return SAY("cuEventCreate %u", flags); }
F(event_record, void *e, void *s) { return SAY("cuEventRecord %p %p", e, s); }
F(event_time, float *ms, void *a, void *b) { *ms = 2.5; return 0; }
F(module, void **m, const void *image, unsigned n, int *options, void **values) {
    fprintf(stderr, "cuModuleLoadDataEx %zu bytes", strlen(image));
    for (unsigned k = 0; k < n; k++) {
        if (options[k] == 3) strcpy(values[k], "ptxas info : 12 registers");
        if (options[k] == 5) strcpy(values[k], "line 2; error : wrong");
        if (options[k] == 4 || options[k] == 6 || options[k] == 12) fprintf(stderr, " option %d = %ld", options[k], (long)values[k]);
    }
    fputc('\n', stderr);
    *m = (void *)13;
    return strstr(image, "wrong") ? 218 : 0;
}
F(function, void **f, void *m, const char *s) { *f = (void *)17; return SAY("cuModuleGetFunction %p %s", m, s); }
F(global, P *p, size_t *n, void *m, const char *s) { *p = 0x9000; *n = 4; return SAY("cuModuleGetGlobal %p %s", m, s); }
F(of_function, int *v, int which, void *f) { *v = which == 0 ? 1024 : which; return 0; }
F(set_function, void *f, int which, int v) { return SAY("cuFuncSetAttribute %p %d %d", f, which, v); }
F(occupancy, int *n, void *f, int threads, size_t shared) { *n = 3; return SAY("cuOccupancyMaxActiveBlocksPerMultiprocessor %p %d %zu", f, threads, shared); }
F(launch, void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void *q, void **params, void **extra) {
    return SAY("cuLaunchKernel %p grid %u %u %u block %u %u %u shared %u stream %p first %llx second %llx extra %p", f, gx, gy, gz, bx, by, bz, shared, q,
               *(P *)params[0], *(P *)params[1], (void *)extra);
}
F(launch_ex, Config *c, void *f, void **params, void **extra) {
    fprintf(stderr, "cuLaunchKernelEx %p grid %u %u %u block %u %u %u shared %u stream %p", f, c->gx, c->gy, c->gz, c->bx, c->by, c->bz, c->shared, c->stream);
    for (unsigned k = 0; k < c->n; k++) {
        Attribute *a = c->attrs + k;
        if (a->id == 2) fprintf(stderr, " cooperative %d", a->value.i[0]);
        if (a->id == 4) fprintf(stderr, " cluster %u %u %u", a->value.u[0], a->value.u[1], a->value.u[2]);
    }
    return SAY(" first %llx", *(P *)params[0]);
}
F(capture, void *s, int mode) { return SAY("cuStreamBeginCapture %p %d", s, mode); }
F(captured, void *s, void **g) { *g = (void *)19; return SAY("cuStreamEndCapture %p", s); }
F(instantiate, void **e, void *g, P flags) { *e = (void *)23; return SAY("cuGraphInstantiate %p %llu", g, flags); }
F(update, void *e, void *g, void *info) { return SAY("cuGraphExecUpdate %p %p", e, g); }
F(graph_launch, void *e, void *s) { return SAY("cuGraphLaunch %p %p", e, s); }
static const char *words(int code) { return code == 218 ? "CUDA_ERROR_INVALID_PTX" : code == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_SUCCESS"; }
F(error_name, int code, const char **s) { *s = words(code); return 0; }
F(error_text, int code, const char **s) { *s = "words of the driver"; return 0; }

static const struct { const char *name; void *f; } table[] = {
    {"cuInit", init}, {"cuDriverGetVersion", version}, {"cuDeviceGetCount", count}, {"cuDeviceGet", get}, {"cuDeviceGetName", name}, {"cuDeviceTotalMem", memory},
    {"cuDeviceGetAttribute", attribute}, {"cuDevicePrimaryCtxRetain", retain}, {"cuDevicePrimaryCtxRelease", release}, {"cuCtxGetCurrent", current_is},
    {"cuCtxSetCurrent", make_current}, {"cuCtxSynchronize", wait_all}, {"cuMemAlloc", alloc}, {"cuMemGetInfo", info}, {"cuMemFree", release_memory},
    {"cuMemHostAlloc", host}, {"cuMemFreeHost", host_free}, {"cuMemcpyHtoDAsync", up}, {"cuMemcpyDtoHAsync", down}, {"cuMemcpyDtoDAsync", across},
    {"cuMemsetD8Async", set8}, {"cuMemsetD16Async", set16}, {"cuMemsetD32Async", set32}, {"cuMemsetD2D32Async", set2d}, {"cuStreamCreate", stream},
    {"cuStreamSynchronize", stream_done}, {"cuStreamDestroy", one}, {"cuStreamWaitEvent", stream_wait}, {"cuEventCreate", event}, {"cuEventRecord", event_record},
    {"cuEventSynchronize", one}, {"cuEventQuery", one}, {"cuEventDestroy", one}, {"cuEventElapsedTime", event_time}, {"cuModuleLoadDataEx", module},
    {"cuModuleUnload", one}, {"cuModuleGetFunction", function}, {"cuModuleGetGlobal", global}, {"cuFuncGetAttribute", of_function},
    {"cuFuncSetAttribute", set_function}, {"cuOccupancyMaxActiveBlocksPerMultiprocessor", occupancy}, {"cuLaunchKernel", launch},
    {"cuLaunchKernelEx", launch_ex}, {"cuStreamBeginCapture", capture}, {"cuStreamEndCapture", captured}, {"cuGraphInstantiate", instantiate}, {"cuGraphInstantiateWithFlags", instantiate},
    {"cuGraphExecUpdate", update}, {"cuGraphLaunch", graph_launch}, {"cuGraphDestroy", one}, {"cuGraphExecDestroy", one}, {"cuGetErrorName", error_name},
    {"cuGetErrorString", error_text}, {0, 0}};

int cuGetProcAddress_v2(const char *symbol, void **f, int version, uint64_t flags, int *status) {
    *f = strcmp(symbol, "cuGetProcAddress") ? 0 : (void *)cuGetProcAddress_v2; /* older bindings ask for it in this way */
    for (int k = 0; table[k].name; k++)
        if (!strcmp(table[k].name, symbol)) *f = table[k].f;
    if (status) *status = *f ? 0 : 1;
    return *f ? 0 : 500;
}
int cuGetProcAddress(const char *symbol, void **f, int version, uint64_t flags) { return cuGetProcAddress_v2(symbol, f, version, flags, 0); }
int cuInit(unsigned flags) { return 0; }
int cuDeviceGetCount(int *n) { return count(n); }
int cuGetErrorName(int code, const char **s) { return error_name(code, s); }
