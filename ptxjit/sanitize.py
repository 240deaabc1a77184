"""`check`: a PTX kernel is run on the interpreter and every fault of it is told, with its place in the PTX and in the source that it came from.

    report = pj.check("scan.ptx", "scan", grid=4, block=128, shared=512, args=[x, y, np.int32(1000)])
    assert report, report

Arguments lie in buffers of their own, 256-byte-aligned and with nothing around them, and are copied back.  A fault of the kernel never raises:
a load out of bounds gives 0, such a store is dropped, and the run goes on.  Same-value writes count as races unless both are atomic.
"""
from __future__ import annotations

import ctypes
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .ir.errors import DeviceError, ResourceError, UserError
from .ptx import Module, _extent, _low, load_ptx

FIRST, GAP, ALIGN = 1 << 32, 1 << 20, 256


class Report:
    """What `check` found.  True where nothing; prints readably.

    findings   `Finding`s, in the order in which they were met        error   why the run ended early (a trap, a limit), or None
    """

    def __init__(self, entry: str, findings: list[Any], error: str | None, folder: Path | None) -> None:
        self.entry, self.findings, self.error, self.folder = entry, findings, error, folder

    @property
    def ok(self) -> bool:
        return not self.findings and self.error is None

    def __bool__(self) -> bool:
        return self.ok

    def to_json(self) -> str:
        return json.dumps({"entry": self.entry, "ok": self.ok, "error": self.error, "findings": [f.to_json() for f in self.findings]}, indent=2)

    def __str__(self) -> str:
        if self.ok:
            return f"{self.entry}: nothing found"
        n = len(self.findings)
        lines = [f"{self.entry}: {n} finding{'s' * (n != 1)}"]
        for f in self.findings:
            lines += ["", f"{f.kind}: {f.message}" + (f"  ({f.count} times)" if f.count > 1 else ""), *self._place(f)]
            if f.other is not None:
                lines += [f"  and {f.other.op}, {_who(f.other)}", *self._place(f.other, False)]
        if self.error:
            lines += ["", f"ended early: {self.error}"]
        return "\n".join(lines)

    __repr__ = __str__

    def _place(self, f: Any, who: bool = True) -> list[str]:
        out = [f"  {f.source}, {_who(f)}" if who else f"  {f.source}"]
        file, _, line = f.source.rpartition(":")
        for name, number in dict.fromkeys([(file, int(line or 0)), (f.file, f.line)]):
            text = self._line(name, number)
            if text is not None:
                out.append(f"    {Path(name).name}:{number} | {text}")
        if len(f.stack) > 1:
            out.append("    inlined: " + " ← ".join(f.stack))
        return out

    def _line(self, file: str, number: int) -> str | None:
        """A line of a file, where it was compiled or beside the PTX."""
        for p in (Path(file), (self.folder or Path()) / Path(file).name):
            try:
                return p.read_text(errors="replace").splitlines()[number - 1].strip()
            except (OSError, IndexError):
                continue
        return None


def _who(f: Any) -> str:
    return f"block {f.block}, thread {f.thread}"


class _Buffers:
    """Arguments at addresses of their own; those that share memory share a buffer.  `real`: in memory of the host, as compiled code needs it."""

    def __init__(self, names: Sequence[str], args: Sequence[Any], real: bool = False) -> None:
        from .ir.interp.memory import Region, host_bytes

        spans = sorted((_low(a), _low(a) + _extent(a), n) for n, a in enumerate(args) if _is_array(a) and a.size)
        self.parts: list[tuple[int, Any, Region, bool]] = []  # host address, bytes as they were, region, may be written
        self.at: dict[int, int] = {}
        self.keep: Any = ()  # memory of arguments that are passed by address
        at, k = FIRST, 0
        while k < len(spans):
            low, high, mine = spans[k][0], spans[k][1], [spans[k]]
            while k + 1 < len(spans) and spans[k + 1][0] < high:
                k += 1
                high, mine = max(high, spans[k][1]), [*mine, spans[k]]
            k += 1
            raw = host_bytes(low, high - low).copy()
            before = raw.copy()
            if real:
                room = np.empty(raw.size + 2 * GAP + ALIGN, np.uint8)  # untouched pages cost nothing
                at = -(-(_low(room) + GAP) // ALIGN) * ALIGN
                inside = room[at - _low(room) :][: raw.size]
                inside[:] = raw
                raw = inside
            for start, _, n in mine:
                self.at[n] = at + start - low
            r = Region(", ".join(dict.fromkeys(names[n] for _, _, n in mine)), at, raw)
            self.parts.append((low, before, r, all(args[n].flags.writeable for _, _, n in mine)))
            at = -(-(at + raw.size) // ALIGN) * ALIGN + GAP
        self.args = [self.at.get(n, FIRST - GAP) if _is_array(a) else a for n, a in enumerate(args)]
        self.regions = [p[2] for p in self.parts]

    def back(self) -> None:
        for low, before, region, writeable in self.parts:
            if writeable and not np.array_equal(before, region.data):
                ctypes.memmove(low, region.data.ctypes.data, region.data.size)


def _is_array(a: Any) -> bool:
    return isinstance(a, np.ndarray) and not (a.ndim == 0 and a.dtype.kind == "V")


def check(ptx: Any, entry: str, *, grid: Any, block: Any, shared: int = 0, args: Sequence[Any] = (), cluster: Any = None,
          cooperative: bool = False, fast: bool = False, progress: Callable[[int, int], None] | None = None) -> Report:  # fmt: skip
    """Runs an entry of `ptx` (text, a path, or a module of `load_ptx`) and reports its faults.

    Kinds: out-of-bounds, misaligned, uninitialised, race, barrier-divergence, deadlock, sync-mask, missing-wait.  `fast` runs compiled code and finds
    accesses out of bounds only, some hundred times faster.  `progress` is called with how many blocks are done, of how many (not with `fast`).
    """
    module = ptx if isinstance(ptx, Module) else load_ptx(ptx, device="interp")
    launch = module[entry], args, grid, block, shared, cluster, cooperative
    findings, error = _outside(*launch) if fast else _everything(*launch, progress)
    name = Path(module.tree.name)
    return Report(entry, findings, error, name.parent if name.is_file() else None)


def _everything(kernel: Any, args: Sequence[Any], grid: Any, block: Any, shared: int, cluster: Any, cooperative: bool,
                progress: Callable[[int, int], None] | None) -> tuple[list[Any], str | None]:  # fmt: skip
    """On the interpreter."""
    from .ir.interp.checker import Checker
    from .ir.interp.launch import show
    from .ir.interp.machine import Machine, Stopped

    m, buffers = prepared(kernel, args, grid, block, shared, cluster, cooperative, Machine)
    m.watch, m.tell = (checker := Checker(m)), progress
    error = None
    try:
        if m.shape.blocks:
            m.run()
    except Stopped as e:
        checker.deadlock(e.stands, e.why)
    except (DeviceError, ResourceError) as e:
        error = str(e)
    finally:
        checker.finish()
        show(m)
        buffers.back()
    return checker.findings, error


def _outside(kernel: Any, args: Sequence[Any], grid: Any, block: Any, shared: int, cluster: Any, cooperative: bool) -> tuple[list[Any], str | None]:
    """Accesses out of bounds, by compiled code that tests each."""
    from . import targets
    from .ir.interp.findings import Finding, spot
    from .ir.interp.memory import Memory

    buffers, values, regions, (grid3, block3, cluster3) = _arguments(kernel, args, grid, block, cluster, cooperative, real=True)
    places = [(r.start, r.data.size) for r in regions]
    error: str | None = None
    seen: list[Any] = []
    try:
        seen = targets.target("cpu:host").outside(kernel.entry.kernel, kernel.facts, values, grid3, block3, int(shared), cooperative, cluster3,
                                                  kernel.module.memory.const, places)  # fmt: skip
    except (DeviceError, ResourceError) as e:
        error = str(e)
    finally:
        buffers.back()
    memory = Memory(regions, 0, 1, 0, 1)
    found: dict[Any, Any] = {}
    for i, times, address, at, thread in seen:
        space = i.attr("space") if i.attr("space") in ("shared", "local") else None  # whose addresses are offsets
        name = f"{space} memory, byte {address - (address >> 63 << 64)}" if space else memory.name(address)
        if name == "no array of the launch":
            name += ", nor shared or local memory"
        f = Finding("out-of-bounds", i, at, thread, f"{i.op} at {address:#x}: {name}", address)
        f.count = times
        if spot(i) in found:
            found[spot(i)].count += times
        else:
            found[spot(i)] = f
    return list(found.values()), error


def prepared(kernel: Any, args: Sequence[Any], grid: Any, block: Any, shared: int, cluster: Any, cooperative: bool, make: Any) -> tuple[Any, _Buffers]:
    """An interpreter of class `make` for a launch of a module's kernel, over copies of its arguments."""
    from .ir.interp.launch import machine

    buffers, values, regions, (grid3, block3, cluster3) = _arguments(kernel, args, grid, block, cluster, cooperative)
    m = machine(kernel.entry.kernel, values, regions, grid3, block3, int(shared), cluster3, cooperative, kernel.module.memory.const, make=make)
    return m, buffers


def _arguments(kernel: Any, args: Sequence[Any], grid: Any, block: Any, cluster: Any, cooperative: bool,
               real: bool = False) -> tuple[_Buffers, list[int], list[Any], Any]:  # fmt: skip
    """Copies of the arguments, the parameters as words, all memory that the kernel may reach, and the shape of the launch."""
    entry = kernel.name
    if len(args) != len(kernel.entry.params):
        raise UserError(f"{entry} takes {len(kernel.entry.params)} arguments, got {len(args)}", hint=repr(kernel.signature))
    shape = kernel.shape(grid, block, cluster)
    buffers = _Buffers([p[0] for p in kernel.entry.params], args, real)
    values, keep = kernel._values(tuple(buffers.args))
    values += kernel._hidden(kernel.entry.symbols, keep, cooperative)
    buffers.keep = keep
    return buffers, values, [*buffers.regions, *kernel._host((), keep)], shape
