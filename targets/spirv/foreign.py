"""Kernels of other origin on OpenCL: what of them a device can honour, their code, and launches.

A thread is a work-item, a block a work-group.  Addresses in such kernels are integers.  Devices in main memory see the host's at its addresses, and
arrays are used in place.  For a device with memory of its own every array, variable and by-value structure is copied there, and its kernels get
each 64-bit parameter as a buffer and an offset (`ir/passes/bases.py`); addresses that lie *in* arrays stay what they are.  OpenCL promises less than a card does, and what a kernel needs beyond that is
refused with the instruction before anything runs:

    a warp            a sub-group of 32, where the device has those and the threads of a warp go together; else lanes exchange through local memory
                      where all threads of a block take the instruction; elsewhere refused
    a barrier         in code that only some threads of a block reach: work-items would not meet
    another thread    a loop that waits for one: work-items of a group need not run side by side
    resident blocks   cooperative launches and clusters
"""
from __future__ import annotations

import json
import struct
import threading
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...ir.analysis import Uniform, spins, warp_needs
from ...ir.analysis.uniform import BLOCK, WARP
from ...ir.errors import DeviceError, ResourceError, UnsupportedError
from ...ir.instr import Instr
from ...ir.kernel import Kernel
from ..driver import Copies

BARRIERS = frozenset(("bar", "named_barrier", "cluster_barrier"))


def refuse(k: Kernel, where: str, subgroups: bool, flat: bool) -> None:
    """UnsupportedError with the instruction that OpenCL cannot honour.  `subgroups`: warps are sub-groups.  `flat`: an address can be one of global,
    shared or local memory alike (SPIR-V's generic pointers, or memory that is all the host's)."""

    def no(i: Instr, why: str) -> UnsupportedError:
        return UnsupportedError(f"{i.op.name} on {where}: {why}", place=i.loc, hint="device='cpu' runs every kernel")

    waits = spins(k)
    if waits is not None:
        raise no(waits, "a loop waits there for another thread, and work-items need not run side by side")
    for i in k.instrs():
        if not flat and i.op.name in ("to_generic", "from_generic", "is_space") and i.attr("space") not in ("global", "const", "param"):
            raise no(i, f"OpenCL C has no generic addresses of {i.attr('space')} memory, and the device has memory of its own")
    first, barriers = warp_needs(k), [i for i in k.instrs() if i.op.name in BARRIERS]
    if first is None and not barriers:
        return
    uniform = Uniform(k)
    for n, b in enumerate(k.blocks):
        for i in b.instrs:
            if uniform.block[n] and i.op.name in BARRIERS:
                raise no(i, "not every thread of the block reaches it, and work-items would not meet")
            if i.op.kind == "warp" and uniform.block[n] > (WARP if subgroups else BLOCK):
                raise no(i, f"it needs a warp of 32 in code that only some threads of the {'warp' if subgroups else 'block'} reach")


class Code:
    """A kernel of threads, compiled for one device.  `head` is JSON: what the driver loads, the signature, the owner's facts, what a launch checks."""

    def __init__(self, driver: Any, head: dict[str, Any], binary: bytes) -> None:
        self.driver, self.head = driver, head
        self.name, self.facts, self.mode, self.shared = head["name"], head["facts"], head["mode"], head["signature"]["shared"]
        self.per, self.frame, self.points = 1, 0, ()
        with driver.guarded():
            self.module, self.binary = driver.load(head["code"], binary)
        self._lock = threading.Lock()
        self._kernel: Any = None

    def to_bytes(self) -> bytes:
        head = json.dumps(self.head).encode()
        return struct.pack("<Q", len(head)) + head + bytes(self.binary)

    @staticmethod
    def from_bytes(driver: Any, data: bytes) -> Code:
        """Raises ValueError if the bytes are not what `to_bytes` made."""
        if len(data) < 8:
            raise ValueError("too short")
        n = struct.unpack_from("<Q", data)[0]
        return Code(driver, json.loads(data[8 : 8 + n]), data[8 + n :])

    # ---- launches

    def launch(self, values: Sequence[int], grid: tuple[int, int, int], block: tuple[int, int, int], shared: int,
               regions: Sequence[tuple[int, Any]]) -> None:  # fmt: skip
        """Runs a grid and returns when it is done.  `regions`: (address, bytes) of all that the kernel may reach, for devices with memory of their own."""
        import pyopencl as cl

        driver, signature = self.driver, self.head["signature"]
        device = driver.on.device
        threads, arena = block[0] * block[1] * block[2], signature["shared"] + shared
        most = min(1024, device.max_work_group_size)
        if not 1 <= threads <= most or any(b > m for b, m in zip(block, device.max_work_item_sizes)):
            raise ResourceError(f"a block has 1 to {most} threads on {driver.name}, not {threads}", hint="use more, smaller blocks")
        if arena > driver.on.facts.shared_bytes:
            raise ResourceError(f"{self.name} asks for {arena} bytes of shared memory; {driver.name} has {driver.on.facts.shared_bytes}")
        if self.head["warps"] and threads % 32:
            raise UnsupportedError(f"{self.head['warps']} on {driver.name}: a block of {threads} threads has a warp that is not whole",
                                   hint="use a multiple of 32, or device='cpu'")  # fmt: skip
        if self.head["subgroups"] and block[0] % 32 and block[1] * block[2] > 1:
            raise UnsupportedError(f"{self.head['warps']} on {driver.name}: a warp lies across rows of the block {block}, a sub-group does not",
                                   hint="use a multiple of 32 threads along x, or device='cpu'")  # fmt: skip
        if not all(grid):
            return
        word = np.zeros(1, np.uint32)
        size = tuple(g * b for g, b in zip(grid, block))
        with driver.guarded(), Copies(driver, regions) as copies, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            args = self._arguments(values, copies)
            if signature["arena"]:
                args += [cl.LocalMemory(max(arena, 16)), np.uint32(arena)]
            error = None
            if signature["reports"]:
                error = cl.Buffer(driver.context, cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR, hostbuf=word)
                args.append(error)
            with self._lock:
                if self._kernel is None:
                    self._kernel = cl.Kernel(self.module, signature["name"])
                self._kernel.set_args(*args)
                cl.enqueue_nd_range_kernel(driver.queue, self._kernel, size, block)
            if error is not None:
                cl.enqueue_copy(driver.queue, word, error)
            driver.await_stream(driver.queue)
        if word[0]:
            what = {1: "trap", 2: "assertion failed"}.get(int(word[0]), f"error {int(word[0])}")
            raise DeviceError(f"{self.name}: {what} on {driver.name}", hint="device='cpu' names the block and the thread")


    def _arguments(self, values: Sequence[int], copies: Copies) -> list[Any]:
        """A value per parameter; for 'pointer' and the offset after it, the buffer that holds an address, or null and the number."""
        args: list[Any] = []
        words, params = iter(values), iter(self.head["signature"]["params"])
        for t in params:
            word = next(words)
            if t != "pointer":
                args.append(TYPES[t](word & MASKS[t]))
                continue
            next(params)
            found = copies.find(word & MASKS["i64"])
            args += [None, np.uint64(word & MASKS["i64"])] if found is None else [found[0].raw, np.uint64(found[1])]
        return args


TYPES: dict[str, Any] = {"i1": np.uint8, "i8": np.uint8, "i16": np.uint16, "i32": np.uint32, "i64": np.uint64,
                         "f32": lambda v: np.array(v, np.uint32).view(np.float32)[()], "f64": lambda v: np.array(v, np.uint64).view(np.float64)[()]}  # fmt: skip
MASKS = {"i1": 1, "i8": 2**8 - 1, "i16": 2**16 - 1, "i32": 2**32 - 1, "i64": 2**64 - 1, "f32": 2**32 - 1, "f64": 2**64 - 1}
