"""Programs on a card: several kernels as one submission.

The steps of a program whose course does not depend on values (no check, no `while`) are launches, copies and fills.  The first call with given
buffers runs them one by one; the second records them in a CUDA graph; later ones launch the graph, one call for the whole program.  The memory
pool hands out the same blocks again, so this is what a repeated call is.  Other buffers update the graph that is there, which costs less than a
new one; only where CUDA refuses that is one made.
"""
from __future__ import annotations

import threading
from typing import Any

import numpy as np

from ...ir.errors import DeviceError
from ..driver import DeviceProgram, Memory, as_bytes
from ..plan import Run
from .runtime import CudaDriver, Handle

MOST = 4096  # submissions in a graph
KEPT = 4  # graphs of a program
SEEN = 16  # sets of buffers that are remembered
ERROR = "ptxjit_error"  # the variable that a kernel's `report` writes


def submissions(steps: list[Any]) -> int | None:
    """How many launches, copies and fills the steps make, or None where values decide."""
    total = 0
    for s in steps:
        if s[0] == "check" or s[0] == "loop" and (s[3] is not None and s[2] is None or s[4] is not None or s[2] is None):
            return None
        if s[0] == "loop":
            inner = submissions(s[1])
            if inner is None:
                return None
            total += s[2] * (inner + (s[3] is not None))
        else:
            total += 1
    return total


class CudaProgram(DeviceProgram):
    """`code`: `ptx`, `arch`, `kernels` (name → signature; `error`: it writes the error variable)."""

    magic = b"pjcuda01"
    driver: CudaDriver

    def __init__(self, driver: CudaDriver, plan: dict[str, Any], constants: bytes, code: dict[str, Any], binary: bytes = b"",
                 like: DeviceProgram | None = None) -> None:  # fmt: skip
        super().__init__(driver, plan, constants, code, binary, like)
        self._errors = [n for n, k in code["kernels"].items() if k["error"]]
        count = submissions(plan["steps"]) if self.symbolic is None else None
        self.graphs: Graphs | None = None
        if count is not None and 2 <= count <= MOST:
            self.graphs = Graphs(driver, self._steps)
            self._steps = [self.graphs]

    def _count(self, n: int) -> Run:
        """A fill: it needs no memory of the host, and can be recorded."""
        dtype, d = self._meta[n][1], self.driver
        return lambda memory, words, turn: d.fill(memory[n].raw, as_bytes(np.array([turn], dtype)), dtype.itemsize)

    def _run(self, inputs: Any, outputs: dict[int, Memory]) -> list[Any]:
        memory = super()._run(inputs, outputs)
        if self._errors:
            with self.driver.guarded():
                at, size = self.module.variable(ERROR)
                word = np.zeros(1, np.uint32)
                self.driver.download(word, at)
                if word[0]:
                    self.driver.fill(at, np.zeros(4, np.uint8), 4)
                    raise DeviceError(f"{' or '.join(self._errors)} reported error {int(word[0])}")
        return memory


class Graphs:
    """The steps of a program, as one step."""

    def __init__(self, driver: CudaDriver, steps: list[Run]) -> None:
        self.driver, self.steps = driver, steps
        self.lock = threading.Lock()
        self.graphs: dict[tuple[int, ...], Handle] = {}  # the oldest first
        self.seen: dict[tuple[int, ...], None] = {}

    def __call__(self, memory: list[Any], words: Any) -> None:
        key = tuple([m.raw for m in memory])
        driver = self.driver
        driver.enter()
        queue = driver.queue.raw
        with self.lock:
            found = self.graphs.pop(key, None)
            if found is None and key in self.seen:
                found = self.recorded(memory, words, queue)
            if found is not None:
                self.graphs[key] = found
                driver.ok(driver.d.cuGraphLaunch(found.raw, queue), f"{driver.name}: launching a graph")
                return
            self.seen[key] = None
            if len(self.seen) > SEEN:
                del self.seen[next(iter(self.seen))]
        for step in self.steps:
            step(memory, words)

    def recorded(self, memory: list[Any], words: Any, queue: Any) -> Handle:
        driver, what = self.driver, f"{self.driver.name}: recording a graph"
        d, ok = driver.d, driver.ok
        with driver.recording():
            ok(d.cuStreamBeginCapture(queue, d.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL), what)
            try:
                for step in self.steps:
                    step(memory, words)
            except BaseException:
                out = d.cuStreamEndCapture(queue)
                if not out[0] and int(out[1]):
                    d.cuGraphDestroy(out[1])
                raise
            graph = Handle(driver, ok(d.cuStreamEndCapture(queue), what), d.cuGraphDestroy)
        if len(self.graphs) >= KEPT:
            oldest = self.graphs.pop(next(iter(self.graphs)))
            if not d.cuGraphExecUpdate(oldest.raw, graph.raw)[0]:
                return oldest
        return Handle(driver, ok(d.cuGraphInstantiate(graph.raw, 0), what), d.cuGraphExecDestroy)
