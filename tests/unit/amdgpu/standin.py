"""A HIP runtime that is none: it records every call, checks the arguments, and keeps device memory on the host.

Launches call `kernel(name, grid, block, words)` of the test, where `words` are the addresses that `kernelParams` leads to.
"""
from __future__ import annotations

import ctypes

from ptxjit.targets.amdgpu import runtime


class StandIn:
    def __init__(self, cards=(("AMD Radeon RX 7900 XTX", "gfx1100"),), properties_at=1160):
        self.cards, self.properties_at = cards, properties_at
        self.calls, self.fails, self.memory, self.modules, self.handles = [], {}, {}, {}, {}
        self.kernel = lambda name, grid, block, words: None
        self.attributes = {63: 96, 16: 0, 19: 6 << 20, 87: 32}
        self.made = 0x1000
        self.pending = set()
        self.f = {}

    def __getattr__(self, name):
        if not name.startswith("hip"):
            raise AttributeError(name)
        found = self.f.get(name)
        if found is None:
            body = getattr(type(self), "do_" + name, None)
            if body is None:
                raise AttributeError(name)

            def call(*args):
                if name in runtime.FUNCTIONS:
                    assert len(args) == len(runtime.FUNCTIONS[name]), (name, args)
                    for a, t in zip(args, runtime.FUNCTIONS[name]):
                        t.from_param(a)  # ctypes would take it
                if name not in ("hipGetErrorName", "hipGetErrorString"):
                    self.calls.append((name, *args))
                status = self.fails.get(name, 0)
                return status or body(self, *args) or 0

            found = self.f[name] = call
        return found

    def names(self):
        return [c[0] for c in self.calls]

    def handle(self, out, kind):
        self.made += 16
        self.handles[self.made] = kind
        out._obj.value = self.made

    # ---- what it does

    def do_hipInit(self, flags):
        return 0 if self.cards else 100

    def do_hipRuntimeGetVersion(self, out):
        out._obj.value = 60342133

    def do_hipGetDeviceCount(self, out):
        out._obj.value = len(self.cards)

    def do_hipSetDevice(self, n):
        assert 0 <= n < len(self.cards)

    def do_hipDeviceGetName(self, out, size, n):
        out.value = self.cards[n][0].encode()[: size - 1]

    def do_hipDeviceGetAttribute(self, out, which, n):
        out._obj.value = self.attributes[which]

    def do_hipGetDevicePropertiesR0600(self, out, n):
        name, arch = self.cards[n]
        if arch is None:
            return 999
        ctypes.memmove(out, name.encode(), len(name))
        ctypes.memmove(ctypes.addressof(out) + self.properties_at, arch.encode(), len(arch))

    def do_hipGetErrorName(self, status):
        return f"hipError{status}".encode()

    def do_hipGetErrorString(self, status):
        return {2: b"out of memory", 700: b"an illegal memory access was encountered"}.get(status, b"something")

    def do_hipMalloc(self, out, size):
        block = ctypes.create_string_buffer(size + 256)
        address = ctypes.addressof(block) + 255 & ~255
        self.memory[address] = (block, size)
        out._obj.value = address

    def do_hipFree(self, address):
        del self.memory[address]

    def inside(self, address, size):
        assert any(a <= address and address + size <= a + n for a, (_, n) in self.memory.items()), "not memory of the device"

    def do_hipMemcpyHtoDAsync(self, dst, src, size, stream):
        self.inside(dst, size)
        assert self.handles[stream] == "stream"
        ctypes.memmove(dst, src, size)

    def do_hipMemcpyDtoHAsync(self, dst, src, size, stream):
        self.inside(src, size)
        assert self.handles[stream] == "stream"
        ctypes.memmove(dst, src, size)

    def do_hipMemcpyDtoDAsync(self, dst, src, size, stream):
        self.inside(dst, size)
        self.inside(src, size)
        ctypes.memmove(dst, src, size)

    def fill(self, dst, value, count, width):
        self.inside(dst, count * width)
        ctypes.memmove(dst, (value & (1 << 8 * width) - 1).to_bytes(width, "little") * count, count * width)

    def do_hipMemsetD8Async(self, dst, value, count, stream):
        self.fill(dst, value, count, 1)

    def do_hipMemsetD16Async(self, dst, value, count, stream):
        self.fill(dst, value, count, 2)

    def do_hipMemsetD32Async(self, dst, value, count, stream):
        self.fill(dst, value, count, 4)

    def do_hipModuleLoadData(self, out, image):
        self.handle(out, "module")
        self.modules[self.made] = image

    def do_hipModuleUnload(self, module):
        assert self.handles.pop(module) == "module"

    def do_hipModuleGetFunction(self, out, module, name):
        assert self.handles[module] == "module"
        self.handle(out, ("function", name.decode()))

    def do_hipModuleLaunchKernel(self, function, gx, gy, gz, bx, by, bz, shared, stream, params, extra):
        kind, name = self.handles[function]
        assert kind == "function" and self.handles[stream] == "stream" and extra is None and min(gx, gy, gz, bx, by, bz) > 0
        self.shared = shared
        self.kernel(name, (gx, gy, gz), (bx, by, bz), params)

    def do_hipModuleLaunchCooperativeKernel(self, *args):
        self.do_hipModuleLaunchKernel(*args, None)

    def do_hipStreamCreateWithFlags(self, out, flags):
        self.handle(out, "stream")

    def do_hipStreamSynchronize(self, stream):
        assert self.handles[stream] == "stream"

    def do_hipStreamWaitEvent(self, stream, event, flags):
        assert self.handles[stream] == "stream" and self.handles[event] == "event"

    def do_hipEventCreateWithFlags(self, out, flags):
        self.handle(out, "event")

    def do_hipEventDestroy(self, event):
        assert self.handles.pop(event) == "event"

    def do_hipEventRecord(self, event, stream):
        assert self.handles[event] == "event" and self.handles[stream] == "stream"

    def do_hipEventQuery(self, event):
        return 600 if event in self.pending else 0

    def do_hipEventSynchronize(self, event):
        assert self.handles[event] == "event"
        self.pending.discard(event)

    def do_hipEventElapsedTime(self, out, first, last):
        assert self.handles[first] == self.handles[last] == "event"
        out._obj.value = 1.5
