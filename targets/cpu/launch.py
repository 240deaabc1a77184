"""Launching kernels of threads on the CPU: grid, blocks, shared memory, and what a launch that went wrong says.

The code is `targets/llvm/dispatch.py`'s, the records are `layout.py`'s; this module fills the launch record, gives memory to the resident blocks, and
reads the frames of a launch that ended in a deadlock or a trap.  Memory of a kernel that waits for other blocks is reserved for as many as may be
resident, and the system gives it where it is touched.
"""
from __future__ import annotations

import ctypes
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...ir.analysis import in_cycles
from ...ir.errors import BugError, DeviceError, ResourceError, UserError
from ...ir.instr import Instr
from ...ir.kernel import Kernel
from ...ir.passes import kernel_pipeline
from ...ir.printf import format_c
from ..llvm.dispatch import Dispatch
from ..llvm.lanes import FORMS, form_of
from ..llvm.layout import HEAP, LAUNCH, PRINTF_RECORD, PRINTF_RECORDS, WATCH, YIELD
from .link import Artifact
from .load import LINUX_X86, load
from .pool import POOL, RUN, TASK, interruptible

MAX_THREADS, MAX_SHARED = 1024, 228 << 10
LIMIT = 4 << 30  # bytes of frames that are resident at once
RESIDENT = 132 * 32  # blocks of a grid that are resident at once where they wait for each other, as on a card of 132 multiprocessors with 32 blocks each
STATES = {1: "has exited", 2: "waits for the other lanes of its mask", 3: "waits for its warp", 4: "waits at a barrier", 5: "spins",
          6: "waits at the barrier of the cluster"}  # fmt: skip
BUFFERS, BLOCK_ALIGN = 64, 1024
# What a launch and its code tell each other, as words of 8 bytes from the launch record on; what threads take tickets from has cache lines of its own.
# Behind the table of regions come the claims, and the arguments.
DESK = {"stop": 40, "error": 41, "where": 42, "free": 48, "ticket": 56, "table": 64}
assert len(LAUNCH) <= DESK["stop"]
_NONE = [0] * (DESK["free"] - DESK["stop"])
READY, MUCH = 4, 64 << 20  # launches of a kernel that are kept prepared, and bytes from which on memory is not kept
QUICK = 0.02  # seconds up to which the next launch of that size runs on the calling thread, where Ctrl-C waits for its end
SMALL = 8192  # threads of a grid below which it runs on one thread of ours


class Code:
    """A kernel of threads, compiled and loaded.

    frame   bytes of a thread's frame      shared   bytes of static shared memory      prints   whether it calls vprintf
    points  where a thread can wait: (state, op, place)       accesses   places of the tested accesses (`bounds`)
    facts   of the entry, as its owner needs them (JSON)       mode       how it was compiled, and why
    """

    def __init__(self, head: dict[str, Any], artifact: Artifact, text: str = "") -> None:
        self.head, self.artifact, self.text = head, artifact, text
        self.name, self.frame, self.shared, self.prints = head["name"], head["frame"], head["shared"], head["prints"]
        self.points, self.accesses, self.facts, self.mode = head["points"], head["accesses"], head["facts"], head["mode"]
        self.per: int = head["per"]
        self.cancels: bool = head["cancels"]
        self.loaded = load(artifact)
        self.address, self.task = self.loaded.address(self.name), self.loaded.address(TASK)
        self.fn = RUN(self.address)
        self.spare: list[tuple[Any, int, int]] = []
        self.ready: dict[Any, Launch] = {}  # launches that were made before
        self.sites: tuple[Instr, ...] = ()  # the tested accesses themselves, where it was compiled just now
        self.waits: bool = head["waits"]  # for other blocks, in loops
        self.spins: bool = any(kind == YIELD for kind, _, _ in self.points)  # in loops that may not end
        self.quick = 0  # threads of a grid up to which a launch was done before anybody would end it
        self.loops: list[int] = head["loops"]  # lanes of loops that run a part of a warp at a time
        self.share: dict[str, int] = head["share"]  # instructions by how they are computed
        self.level: int = head["level"]  # of LLVM's optimiser
        self.short: bool = head["short"]  # no loops: a small grid is done before anybody could end it
        self.form: str = head["form"]  # of the blocks that it is for; '' for all
        self.again: Callable[[str], Code] | None = None  # compiles for another mode
        self.asked: str = head["asked"]
        self.others: dict[str, Code] = {}

    def fitting(self, grid: tuple[int, int, int], block: tuple[int, int, int]) -> Code:
        """The code for such a launch."""
        form = form_of(grid, block)
        if self.form in ("", form):
            return self
        found = self.others.get(form)
        if found is None:
            if self.again is None:
                raise BugError(f"{self.name} was compiled for blocks in {self.form}, and is launched with {form}")
            found = self.others[form] = self.again(f"{self.asked}, {form}")
        return found

    @staticmethod
    def compile(kernel: Kernel, device: Any, machine: Any, facts: dict[str, Any], bounds: bool, mode: str = "auto") -> Code:
        from ..llvm.compile import compile_object, level_of
        from .link import link

        """`mode`: 'auto' or 'dispatch', or 'auto:16' for 16 lanes at a time where that is possible; then, where the code is for a form of blocks
        that is not the usual one, a comma and the form."""
        kernel = legal(kernel, device)
        asked, _, form = mode.partition(", ")
        mode, _, width = asked.partition(":")
        if not form:
            need = facts.get("limits", {}).get("reqntid", ())
            form = form_of((1, 1, 1), (*need, 1, 1, 1)[:3]) if need else FORMS[0]
        module = Dispatch(kernel, machine.triple, bounds, mode, form=form, wide=device.vector_bits == 512, width=int(width or 0))
        obj = compile_object(module.text, machine)
        artifact = link(obj) if LINUX_X86 else Artifact("object", obj, {module.name: 0, TASK: 0})
        prints = any(i.op.name == "printf" for f in (kernel, *kernel.functions) for i in f.instrs())
        cancels = any(i.op.name == "cancel" for f in (kernel, *kernel.functions) for i in f.instrs())
        head = {"name": module.name, "frame": module.frame, "shared": kernel.shared, "prints": prints, "cancels": cancels, "facts": facts,
                "mode": module.mode, "asked": asked, "per": module.per, "loops": module.loops, "form": module.form, "share": module.share, "waits": module.waits,
                "level": level_of(module.text),
                "short": not kernel.functions and not in_cycles(kernel),
                "points": [[k, n, str(loc) if loc else ""] for k, n, loc in module.points], "accesses": [str(i.loc) if i.loc else "" for i in module.sites]}  # fmt: skip
        code = Code(head, artifact, module.text)
        code.sites = module.sites
        return code

    def borrow(self, size: int) -> tuple[Any, int]:
        """Memory for the frames of a launch: that of an earlier one, if it is large enough."""
        while self.spare:
            memory, base, have = self.spare.pop()
            if have >= size:
                return memory, base
        return aligned(size)

    def give_back(self, memory: Any, base: int, size: int, used: int) -> None:
        if len(self.spare) < 2 and used < MUCH:
            self.spare.append((memory, base, size))

    def to_bytes(self) -> bytes:
        head = json.dumps(self.head).encode()
        return len(head).to_bytes(8, "little") + head + self.artifact.to_bytes()

    @staticmethod
    def from_bytes(data: bytes) -> Code:
        """Raises ValueError if the bytes are not what `to_bytes` made."""
        n = int.from_bytes(data[:8], "little")
        return Code(json.loads(data[8 : 8 + n]), Artifact.from_bytes(data[8 + n :]))


def legal(kernel: Kernel, device: Any) -> Kernel:
    """The kernel, and the functions that it calls, over ops that the device has."""
    pipeline = kernel_pipeline(device)
    functions = tuple(pipeline.run(f) for f in kernel.functions)
    kernel = pipeline.run(kernel)
    if functions:
        kernel = Kernel(kernel.name, kernel.params, kernel.blocks, shared=kernel.shared, local=kernel.local, functions=functions, meta=kernel.meta)
    return kernel


def aligned(size: int) -> tuple[Any, int]:
    """Memory of that size, and its address, a multiple of BLOCK_ALIGN."""
    memory = np.empty(size + BLOCK_ALIGN, np.uint8)
    start = memory.__array_interface__["data"][0]
    return memory, -(-start // BLOCK_ALIGN) * BLOCK_ALIGN


def _words(count: int) -> tuple[Any, int]:
    """An array of that many words, zero, at the start of a cache line, and its address."""
    room = ctypes.create_string_buffer(8 * count + 64)
    offset = -ctypes.addressof(room) % 64
    return (ctypes.c_int64 * count).from_buffer(room, offset), ctypes.addressof(room) + offset


_grids = iter(range(1, 1 << 62))


def launch(code: Code, values: Sequence[int], grid: tuple[int, int, int], block: tuple[int, int, int], shared: int,
           cooperative: bool, cluster: tuple[int, int, int], const: tuple[int, int] = (0, 0), regions: Sequence[tuple[int, int]] = (),
           watch: int = 0) -> None:  # fmt: skip
    """Runs a grid and returns when it is done.  `values` are the parameters as 64-bit words, `const` address and size of the constant bank;
    `regions` (address, bytes) of what the kernel may touch, where it was compiled with `bounds`; `watch` is the address of a record of what lay outside
    (`layout.WATCH`), and then nothing of that ends the launch."""
    code = code.fitting(grid, block)
    key = grid, block, shared, cooperative, cluster, const, len(values), POOL.threads
    plain = not (regions or watch or code.prints or code.cancels)
    ready = code.ready.pop(key, None) if plain else None  # nobody else has it meanwhile
    if ready is None:
        ready = Launch(code, len(values), grid, block, shared, cooperative, cluster, const, regions, watch)
    if ready.groups:
        ready.run(values)
    if not plain or not ready.groups or ready.used() > MUCH:
        ready.give_back()
        return
    while len(code.ready) >= READY:
        code.ready.pop(next(iter(code.ready))).give_back()
    code.ready[key] = ready


class Launch:
    """A launch of one shape, prepared: what its code reads (`DESK`), but for the arguments, and the memory of its blocks."""

    def __init__(self, code: Code, count: int, grid: tuple[int, int, int], block: tuple[int, int, int], shared: int, cooperative: bool,
                 cluster: tuple[int, int, int], const: tuple[int, int], regions: Sequence[tuple[int, int]], watch: int) -> None:  # fmt: skip
        self.code, self.threads = code, block[0] * block[1] * block[2]
        self.arena, blocks = code.shared + shared, grid[0] * grid[1] * grid[2]
        if self.threads > MAX_THREADS or self.threads == 0:
            raise ResourceError(f"a block has 1 to {MAX_THREADS} threads, not {self.threads}", hint="use more, smaller blocks")
        if self.arena > MAX_SHARED:
            raise ResourceError(f"{code.name} asks for {self.arena} bytes of shared memory; a block has {MAX_SHARED}")
        if any(g % c for g, c in zip(grid, cluster)):
            raise UserError(f"the grid {grid} is not a multiple of the cluster {cluster}")
        self.count = cluster[0] * cluster[1] * cluster[2]
        self.groups, self.work, self.size = blocks // self.count, blocks * self.threads, 0
        if not self.groups:
            return
        if cooperative and cluster != (1, 1, 1):
            raise DeviceError("a cooperative launch of clusters is not supported on the CPU")
        frames = -(-self.threads // code.per) * code.frame
        self.stride = -(-(BLOCK_ALIGN + -(-self.arena // 64) * 64 + frames) // BLOCK_ALIGN) * BLOCK_ALIGN
        self.pieces = min(POOL.threads, self.groups, BUFFERS)
        self.printed = _Printf(code.prints)
        slots = self._reserve(cooperative)
        self.taken = np.zeros(slots if code.waits else 0, np.uint8)
        table = [w for r in sorted(regions) for w in r]
        claims_at = DESK["table"] + len(table)  # how many may be free, then who is taken, a byte for each group
        words_at = claims_at + 1 + (-(-self.groups // 8) if code.cancels else 0)
        self.desk, self.record = _words(words_at + count + 1)
        self.args, self.words = self.record + 8 * words_at, slice(words_at, words_at + count)
        at = {name: self.record + 8 * n for name, n in DESK.items()}
        self.desk[: len(LAUNCH)] = [
            *grid, *block, self.threads, self.arena, self.base, self.stride, self.stride * self.count, at["free"], self.count, *cluster, *cluster,
            at["stop"], at["where"], self.printed.address, shared, 0, *const, at["table"], len(table) // 2, watch, self.record + 8 * claims_at, self.groups,
            at["ticket"], _at(self.taken), slots]  # fmt: skip
        self.desk[DESK["table"] : claims_at] = table
        self.desk[claims_at], self.desk[words_at + count] = 0 if cooperative else self.groups, at["error"]

    def _reserve(self, cooperative: bool) -> int:
        """Memory for the groups that are resident at once; how many these are."""
        code, each = self.code, self.stride * self.count
        slots = self.pieces
        if cooperative:
            slots = self.groups if code.waits else slots
            if each * self.groups > LIMIT:
                raise ResourceError(f"{self.groups} blocks must be resident together and need {each * self.groups >> 20} MiB; the limit is {LIMIT >> 20} MiB",
                                    hint="launch fewer blocks or threads")  # fmt: skip
        elif code.waits:
            slots = max(slots, min(self.groups, RESIDENT // self.count, LIMIT // each))
        if each * slots > LIMIT:
            raise ResourceError(f"{self.count} blocks must be resident together and need {each >> 20} MiB for each thread; the limit is {LIMIT >> 20} MiB",
                                hint="launch fewer blocks or threads")  # fmt: skip
        while True:
            self.size = each * slots + 4096
            try:
                self.memory, self.base = code.borrow(self.size)
                return slots
            except MemoryError:  # a system that reserves no more than it has
                if cooperative or slots == self.pieces:
                    raise ResourceError(f"{slots * self.count} blocks must be resident together and need {each * slots >> 20} MiB, which the system does not give",
                                        hint="launch fewer blocks or threads") from None  # fmt: skip
                slots = max(self.pieces, slots // 2)

    def give_back(self) -> None:
        if self.size:
            self.code.give_back(self.memory, self.base, self.size, self.used())

    def used(self) -> int:
        """Bytes of the memory that were touched."""
        return self.stride * self.count * int(np.count_nonzero(self.taken)) if self.code.waits else self.size

    def run(self, values: Sequence[int]) -> None:
        """Raises DeviceError or ResourceError for what the code reports; then the launch is not used again."""
        code, desk = self.code, self.desk
        desk[self.words] = values
        desk[DESK["stop"] : DESK["free"]] = _NONE
        desk[DESK["free"]], desk[DESK["ticket"]], desk[LAUNCH["gridid"]] = (1 << self.pieces) - 1, 0, next(_grids)
        if code.waits:
            self.taken[:] = 0
        start = time.perf_counter()
        if code.short and self.work < SMALL or self.work <= code.quick:
            self._go()
        else:
            try:
                interruptible(self._go, self._halt)
            except KeyboardInterrupt as e:
                if code.waits and hasattr(e, "add_note"):  # Python 3.11
                    e.add_note(f"{code.name} was ended" + _listed(self.stands()))
                raise
        if time.perf_counter() - start > QUICK:
            code.quick = 0
        elif not code.spins:  # a kernel that waits for others may take any time
            code.quick = max(code.quick, 2 * self.work)
        self.printed.show()
        if desk[DESK["error"]] or desk[DESK["where"]]:
            self._fail(desk[DESK["where"]] & 0xFFFFFFFF, desk[DESK["error"]] & 0xFFFFFFFF)

    def _go(self) -> None:
        code = self.code
        tasks = self.pieces if code.waits else self.groups  # a thread that runs groups in turn takes them by itself
        if self.work < SMALL:
            code.fn(self.args, 0, tasks, self.record)
        else:
            POOL.run(code.fn, code.task, code.address, tasks, self.args, self.record)

    def _halt(self) -> None:
        self.desk[DESK["stop"]] = 1

    def stands(self) -> list[tuple[str, str]]:
        """Where the threads of the groups that are resident stand, those of the group that ended the launch first."""
        starts = [self.base + int(k) * self.stride * self.count for k in np.flatnonzero(self.taken & 1)]
        failed = self.desk[DESK["where"] + 2]
        starts = [failed, *(a for a in starts if a != failed)] if failed else starts
        return _stands(self.code, [a + k * self.stride for a in starts for k in range(self.count)], self.arena, self.threads)

    def _fail(self, status: int, error: int) -> None:
        code = self.code
        if error == 3:
            raise ResourceError(f"{code.name}: calls are nested too deeply", hint="the limit is 2000")
        if error == 5:
            raise ResourceError(f"{code.name}: a thread asks for more memory by alloca than it has", hint=f"the limit is {HEAP} bytes")
        if error == 6:
            raise UserError(f"{code.name}: cvta.to.local, in a function that calls itself or is called by address, of a pointer to memory of the kernel itself",
                            hint="pass it as a generic pointer and access it without cvta.to.local, or let the function be inlined")  # fmt: skip
        if status == 3:
            raise _trap(code, self.desk[DESK["where"] + 2], error, self.count, self.stride, self.arena, self.threads)
        if status:
            found = self.stands()
            raise DeviceError(f"{code.name}: deadlock, no thread can go on{_listed(found)}", place=next((loc for loc, _ in found if loc), None))


class Record:
    """What a launch notes of accesses out of bounds: 64 zeros for loads, 64 bytes for stores, then for each tested access the first and how many."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self.bytes = np.zeros(WATCH["head"] + WATCH["site"] * len(code.sites) + 64, np.uint8)
        self.address = -(-_at(self.bytes) // 64) * 64

    def seen(self, block: tuple[int, int, int]) -> list[tuple[Instr, int, int, tuple[int, int, int], tuple[int, int, int]]]:
        """(instruction, times, address, block, thread) of each access that was out of bounds."""
        out = []
        for n, i in enumerate(self.code.sites):
            at = self.address + WATCH["head"] + n * WATCH["site"]
            count = ctypes.c_uint32.from_address(at + WATCH["count"]).value
            if count:
                x, y, z, t = (ctypes.c_int32 * 4).from_address(at + WATCH["x"])
                address = ctypes.c_uint64.from_address(at + WATCH["address"]).value
                out.append((i, count, address, (x, y, z), (t % block[0], t // block[0] % block[1], t // (block[0] * block[1]))))
        return out


def _at(a: Any) -> int:
    return int(a.__array_interface__["data"][0])


def _trap(code: Code, base: int, error: int, count: int, stride: int, arena: int, threads: int) -> DeviceError:
    """What the group that trapped says."""
    for k in range(count):
        block = base + k * stride
        head = (ctypes.c_int32 * 8).from_address(block)
        t = head[7]  # −1 in the others
        if t < 0:
            continue
        at = f"block ({head[0]}, {head[1]}, {head[2]})"
        frames = block + BLOCK_ALIGN + -(-arena // 64) * 64
        pc = (ctypes.c_int32 * 2).from_address(frames + t // code.per * code.frame)[1]
        after = f" after {code.points[pc - 1][2]}" if 0 < pc <= len(code.points) and code.points[pc - 1][2] else ""
        if error >= 16:
            address = (ctypes.c_int64 * 6).from_address(block)[5]
            return DeviceError(f"{code.name}: access out of bounds at address {address & (2**64 - 1):#x} in {at}, thread {t}",
                               place=code.accesses[error - 16], hint="`ptxjit check` shows every fault of a kernel")  # fmt: skip
        if error == 4:
            return DeviceError(f"{code.name}: deadlock: in {at}, warp {t // 32}, a member mask names lanes that went another way{after}")
        return DeviceError(f"{code.name}: {'assertion failed' if error == 2 else 'trap'} in {at}, thread {t}{after}")
    raise BugError(f"{code.name}: a trap in no block")


def _stands(code: Code, blocks: Sequence[int], arena: int, threads: int) -> list[tuple[str, str]]:
    """(place, what it does) of the warps of some blocks, by what their frames say; lanes of a warp that stand together are one row."""
    out: list[tuple[str, str]] = []
    for block in blocks:
        head = (ctypes.c_int32 * 8).from_address(block)
        at = f"block ({head[0]}, {head[1]}, {head[2]})"
        frames = block + BLOCK_ALIGN + -(-arena // 64) * 64
        where: dict[tuple[int, int, int], list[int]] = {}
        for n in range(-(-threads // code.per)):
            state, pc = (ctypes.c_int32 * 2).from_address(frames + n * code.frame)
            if state != 1 and head[3]:
                if state == 0 and 0 < pc <= len(code.points) and code.points[pc - 1][0] == YIELD:
                    state = YIELD
                for t in range(n * code.per, min((n + 1) * code.per, threads)):
                    where.setdefault((t // 32, state, pc), []).append(t % 32)
        for (warp, state, pc), lanes in sorted(where.items()):
            name, loc = (code.points[pc - 1][1], code.points[pc - 1][2]) if 0 < pc <= len(code.points) else ("start", "")
            some = "all lanes" if len(lanes) == 32 else "lanes " + _ranges(lanes)
            out.append((loc, f"{at}, warp {warp}, {some}: {STATES.get(state, 'runs')} ({name}{f' at {loc}' if loc else ''})"))
    return out


def _listed(found: list[tuple[str, str]]) -> str:
    lines = [text for _, text in found]
    return "".join(f"\n  {line}" for line in lines[:16] + ([f"… and {len(lines) - 16} more"] if len(lines) > 16 else []))


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

    def __init__(self, used: bool) -> None:
        self.size, self.count = PRINTF_RECORD, PRINTF_RECORDS
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
