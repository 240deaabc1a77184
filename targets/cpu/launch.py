"""Launching kernels of threads on the CPU: grid, blocks, shared memory, and what a launch that went wrong says.

The code is `targets/llvm/dispatch.py`'s; this module fills its launch record, gives it memory for the resident blocks, and reads the frames
of a launch that ended in a deadlock or a trap.
"""
from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...ir.errors import DeviceError, ResourceError, UserError
from ...ir.kernel import Kernel
from ...ir.passes import kernel_pipeline
from ...ir.printf import format_c
from .load import LINUX_X86, load
from .pool import POOL, RUN, TASK

MAX_THREADS, MAX_SHARED = 1024, 228 << 10
LIMIT = 4 << 30  # bytes of frames that are resident at once
STATES = {1: "has exited", 2: "waits for the other lanes of its mask", 3: "waits for its warp", 4: "waits at a barrier", 5: "spins",
          6: "waits at the barrier of the cluster"}  # fmt: skip
BUFFERS, BLOCK_ALIGN = 64, 1024


class Code:
    """A kernel compiled in dispatch mode, loaded."""

    def __init__(self, kernel: Kernel, facts: Any) -> None:
        from ..llvm.compile import compile_object, host
        from ..llvm.dispatch import Dispatch
        from .link import Artifact, link

        pipeline = kernel_pipeline(facts)
        functions = tuple(pipeline.run(f) for f in kernel.functions)
        kernel = pipeline.run(kernel)
        if functions:
            kernel = Kernel(kernel.name, kernel.params, kernel.blocks, shared=kernel.shared, local=kernel.local, functions=functions, meta=kernel.meta)
        module = Dispatch(kernel, host().triple)
        self.text, self.name, self.frame, self.points = module.text, module.name, module.frame, module.points
        obj = compile_object(module.text)
        artifact = link(obj) if LINUX_X86 else Artifact("object", obj, {module.name: 0, TASK: 0})
        self.loaded = load(artifact)
        self.address, self.task = self.loaded.address(module.name), self.loaded.address(TASK)
        self.fn = RUN(self.address)


def aligned(size: int) -> tuple[Any, int]:
    """Memory of that size, and its address, a multiple of BLOCK_ALIGN."""
    memory = np.empty(size + BLOCK_ALIGN, np.uint8)
    start = memory.__array_interface__["data"][0]
    return memory, -(-start // BLOCK_ALIGN) * BLOCK_ALIGN


def three(value: Any, what: str) -> tuple[int, int, int]:
    """A grid, block or cluster: an int or up to three of them."""
    items = (value,) if isinstance(value, (int, np.integer)) else tuple(value)
    if not 1 <= len(items) <= 3 or any(isinstance(i, bool) or int(i) != i or i < 0 for i in items):
        raise UserError(f"{what} is an int or a tuple of one to three, not {value!r}")
    return tuple(int(i) for i in (*items, 1, 1)[:3])  # type: ignore[return-value]


_grids = iter(range(1, 1 << 62))


def launch(code: Code, kernel: Kernel, values: Sequence[int], grid: tuple[int, int, int], block: tuple[int, int, int], shared: int,
           cooperative: bool, cluster: tuple[int, int, int], const: tuple[int, int] = (0, 0)) -> None:  # fmt: skip
    """Runs a grid and returns when it is done.  `values` are the parameters as 64-bit words, `const` address and size of the constant bank."""
    threads, blocks = block[0] * block[1] * block[2], grid[0] * grid[1] * grid[2]
    if threads > MAX_THREADS or threads == 0:
        raise ResourceError(f"a block has 1 to {MAX_THREADS} threads, not {threads}", hint="use more, smaller blocks")
    arena = kernel.shared + shared
    if arena > MAX_SHARED:
        raise ResourceError(f"{kernel.name} asks for {arena} bytes of shared memory; a block has {MAX_SHARED}")
    if any(g % c for g, c in zip(grid, cluster)):
        raise UserError(f"the grid {grid} is not a multiple of the cluster {cluster}")
    if blocks == 0:
        return
    explicit = cluster != (1, 1, 1)
    if cooperative and explicit:
        raise DeviceError("a cooperative launch of clusters is not supported on the CPU")
    group = grid if cooperative else cluster
    count = group[0] * group[1] * group[2]
    stride = -(-(BLOCK_ALIGN + -(-arena // 64) * 64 + threads * code.frame) // BLOCK_ALIGN) * BLOCK_ALIGN
    pieces = 1 if cooperative else min(POOL.threads, -(-blocks // count), BUFFERS)
    total = stride * count * pieces
    if total > LIMIT:
        raise ResourceError(f"{count} blocks must be resident together and need {total >> 20} MiB; the limit is {LIMIT >> 20} MiB",
                            hint="launch fewer blocks or threads")  # fmt: skip
    memory, base = aligned(total + 4096)
    record = np.zeros(32, np.int64)
    free = np.array([(1 << pieces) - 1], np.uint64).view(np.int64)
    stop, where = np.zeros(4, np.int32), np.zeros(4, np.int64)
    printed = _Printf(kernel)
    record[:26] = [*grid, *block, threads, arena, base, stride, stride * count, _at(free), count, *group, *cluster, _at(stop), _at(where),
                   printed.address, shared, next(_grids), *const]  # fmt: skip
    error = np.zeros(4, np.int32)
    words = np.array([*(v & (2**64 - 1) for v in values), _at(error)], np.uint64)
    groups = blocks // count
    _interruptible(lambda: POOL.run(code.fn, code.task, code.address, groups, _at(words), _at(record)), stop, groups * count * threads)
    printed.show()
    status = int(where.view(np.int32)[0])
    if error[0] == 3:
        raise ResourceError(f"{kernel.name}: calls are nested too deeply", hint="the limit is 2000")
    if status:
        raise _failure(code, kernel, status, int(where[1]), int(where[2]), int(error[0]), grid, group, count, stride, arena, threads)


def _at(a: Any) -> int:
    return int(a.__array_interface__["data"][0])


def _interruptible(run: Any, stop: Any, size: int) -> None:
    """Runs a launch such that Ctrl-C ends it: the main thread waits in Python while another one runs."""
    if threading.current_thread() is not threading.main_thread():
        run()
        return
    failed: list[BaseException] = []
    done = threading.Event()

    def work() -> None:
        try:
            run()
        except BaseException as e:
            failed.append(e)
        finally:
            done.set()

    worker = threading.Thread(target=work, name="ptxjit launch", daemon=True)
    worker.start()
    try:
        while not done.wait(0.2):
            pass
    except KeyboardInterrupt:
        stop[0] = 1
        done.wait()
        raise
    if failed:
        raise failed[0]


def _failure(code: Code, kernel: Kernel, status: int, group_number: int, base: int, error: int, grid: tuple[int, int, int],
             group: tuple[int, int, int], count: int, stride: int, arena: int, threads: int) -> DeviceError:  # fmt: skip
    """What the frames say."""
    lines: list[str] = []
    place = None
    for k in range(count):
        block = base + k * stride
        head = (ctypes.c_int32 * 8).from_address(block)
        at = f"block ({head[0]}, {head[1]}, {head[2]})"
        frames = block + BLOCK_ALIGN + -(-arena // 64) * 64
        if status == 3:
            t = head[7]
            if head[3] == 0 and count > 1:
                continue
            pc = (ctypes.c_int32 * 2).from_address(frames + t * code.frame)[1]
            after = f" after {code.points[pc - 1][2]}" if pc > 0 else ""
            what = "assertion failed" if error == 2 else "trap"
            return DeviceError(f"{kernel.name}: {what} in {at}, thread {t}{after}")
        where: dict[tuple[int, int, int], list[int]] = {}
        for t in range(threads):
            state, pc = (ctypes.c_int32 * 2).from_address(frames + t * code.frame)
            if state != 1:
                where.setdefault((t // 32, state, pc), []).append(t % 32)
        for (warp, state, pc), lanes in sorted(where.items()):
            name, loc = (code.points[pc - 1][1], code.points[pc - 1][2]) if pc > 0 else ("start", None)
            place = place or loc
            some = "all lanes" if len(lanes) == 32 else "lanes " + _ranges(lanes)
            lines.append(f"{at}, warp {warp}, {some}: {STATES.get(state, 'runs')} ({name}{f' at {loc}' if loc else ''})")
    shown = lines[:16] + ([f"… and {len(lines) - 16} more"] if len(lines) > 16 else [])
    return DeviceError(f"{kernel.name}: deadlock, no thread can go on\n  " + "\n  ".join(shown), place=place)


def _ranges(lanes: list[int]) -> str:
    out: list[str] = []
    start = previous = lanes[0]
    for n in [*lanes[1:], -1]:
        if n != previous + 1:
            out.append(str(start) if start == previous else f"{start}–{previous}")
            start = n
        previous = n
    return ", ".join(out)


# ---- printf ---------------------------------------------------------------------------------------------------------

class _Printf:
    """The buffer of a launch's `vprintf` records, and their formatting as C has it."""

    def __init__(self, kernel: Kernel) -> None:
        from ..llvm.dispatch import PRINTF_RECORD, PRINTF_RECORDS

        self.size, self.count = PRINTF_RECORD, PRINTF_RECORDS
        used = any(i.op.name == "printf" for f in (kernel, *kernel.functions) for i in f.instrs())
        self.buffer = np.zeros((64 + PRINTF_RECORD * PRINTF_RECORDS) if used else 0, np.uint8)
        self.address = _at(self.buffer) if used else 0

    def show(self) -> None:
        if not self.address:
            return
        n = int(self.buffer[:8].view(np.int64)[0])
        out = []
        for k in range(min(n, self.count)):
            record = self.buffer[64 + k * self.size : 64 + (k + 1) * self.size].tobytes()
            fmt = ctypes.string_at(int.from_bytes(record[:8], "little"))
            out.append(format_c(fmt, record[8:], ctypes.string_at))
        sys.stdout.write(b"".join(out).decode("utf-8", "replace"))
        if n > self.count:
            sys.stdout.write(f"\n[{n - self.count} more lines of printf did not fit its buffer]\n")
        sys.stdout.flush()
