"""Anybody's PTX on a card: the module's bytes go to the driver as they are; nothing is lifted, so what only the driver knows runs too.

Arrays of the host are copied to the card before a launch and back after it.  Arrays that overlap share memory there as they do here, and an
array that may not be written is not copied back.  Module variables live on the card; one that was asked for is copied around each launch.
"""
from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ...ir.errors import DeviceError, PtxjitError, UnsupportedError
from ...ir.interp.memory import host_bytes
from .modules import Function, Module
from .runtime import CudaDriver

OTHERS = ("CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "CUDA_ERROR_JIT_COMPILER_NOT_FOUND")  # where ptxas, if it is here, may know more


def span(a: Any) -> tuple[int, int]:
    """First and last address (exclusive) of an array of any strides."""
    start = int(a.__array_interface__["data"][0])
    low = start + int(sum((n - 1) * s for n, s in zip(a.shape, a.strides) if s < 0))
    return low, low + int(sum((n - 1) * abs(s) for n, s in zip(a.shape, a.strides)) + a.itemsize)


def joined(arrays: Sequence[Any]) -> list[tuple[int, int, bool]]:
    """Ranges of the host's memory that the arrays cover, overlapping ones as one: (start, end, whether one of them may be written)."""
    out: list[tuple[int, int, bool]] = []
    for low, high, write in sorted((*span(a), bool(a.flags.writeable)) for a in arrays if a.size):
        if out and low < out[-1][1]:
            out[-1] = out[-1][0], max(out[-1][1], high), out[-1][2] or write
        else:
            out.append((low, high, write))
    return out


class Variables(Mapping[str, Any]):
    """Memory of a module's variables by name, as bytes on the host."""

    def __init__(self, of: Foreign) -> None:
        self.of = of

    def __getitem__(self, name: str) -> Any:
        if name not in list(self):
            raise KeyError(name)
        return self.of.mirror(name)

    def __iter__(self) -> Iterator[str]:
        return iter([n for n, d in self.of.tree.variables.items() if d.space in ("global", "const")])

    def __len__(self) -> int:
        return len(list(iter(self)))


class Foreign:
    """A PTX module on a card.  `source` is its bytes; it is loaded when a kernel or a variable is first asked for."""

    def __init__(self, driver: CudaDriver, tree: Any, source: bytes, bounds: bool) -> None:
        if bounds:
            raise UnsupportedError(f"bounds=True tests accesses on the CPU; on {driver.name} the PTX runs as it is", hint="device='cpu', or `ptxjit check`")
        self.driver, self.tree, self.source = driver, tree, source
        self.arrays = Variables(self)
        self._lock = threading.Lock()
        self._module: Module | None = None
        self._functions: dict[str, Function] = {}
        self._mirrors: dict[str, tuple[int, Any]] = {}

    @property
    def module(self) -> Module:
        with self._lock:
            if self._module is None:
                with self.driver.guarded():
                    self._module = self._loaded()
            return self._module

    def _loaded(self) -> Module:
        from .tools import assemble, available

        try:
            return Module(self.driver, self.source, "the driver")
        except PtxjitError as e:
            if getattr(e, "code", "") not in OTHERS or not available("ptxas"):
                raise
        binary, _ = assemble(self.source.rstrip(b"\0").decode("utf-8", "surrogateescape"), self.driver.on.arch)
        return Module(self.driver, binary, "ptxas")

    def function(self, name: str) -> Function:
        found = self._functions.get(name)
        if found is None:
            module = self.module
            with self.driver.guarded():
                found = self._functions[name] = module.function(name)
        return found

    def stats(self, name: str, threads: int = 128) -> dict[str, Any]:
        f = self.function(name)
        with self.driver.guarded():
            return {"mode": f"compiled by {self.module.made_by}", **f.stats(min(threads, f.threads))}

    # ---- variables

    def mirror(self, name: str) -> Any:
        if name not in self._mirrors:
            module = self.module
            with self.driver.guarded():
                at, size = module.variable(name)
            memory = np.empty(size, np.uint8)
            if size:
                with self.driver.guarded():
                    self.driver.download(memory, at)
            self._mirrors[name] = at, memory
        return self._mirrors[name][1]

    # ---- launches

    @contextmanager
    def placed(self, arrays: Sequence[Any], wait: bool = True) -> Iterator[Callable[[Any], int]]:
        """The host's arrays on the card, for one launch: a function from an array to its address there.  Then they come back; where there are none,
        `wait` decides whether the launch is waited for."""
        d = self.driver
        ranges = []
        for low, high, write in joined(arrays):
            host = host_bytes(low, high - low)
            ranges.append((low, high, write, host, d.from_host(host)))

        def place(a: Any) -> int:
            start = int(a.__array_interface__["data"][0])
            for low, high, _, _, memory in ranges:
                if low <= start < high:
                    return int(memory.raw) + start - low
            return 0 if a.size == 0 else self._nowhere(a)

        with d.guarded():
            for at, memory in self._mirrors.values():
                if memory.size:
                    d.upload(at, memory)
        yield place
        if not (wait or ranges or self._mirrors):
            return
        with d.guarded():
            d.await_stream(d.queue)
            for _, _, write, host, memory in ranges:
                if write:
                    d.download(host, memory.raw)
            for at, memory in self._mirrors.values():
                if memory.size:
                    d.download(memory, at)

    def _nowhere(self, a: Any) -> int:
        raise DeviceError(f"an array of {a.nbytes} bytes was not copied to {self.driver.name}")

    def launch(self, name: str, words: Sequence[bytes], grid: Sequence[int], block: Sequence[int], shared: int, cooperative: bool,
               cluster: Sequence[int] | None) -> None:  # fmt: skip
        """Enqueues a launch; `words` are the parameters' bytes."""
        f = self.function(name)
        with self.driver.guarded():
            f.launch(words, grid, block, shared, self.driver.queue.raw, cooperative, cluster)
