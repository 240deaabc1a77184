"""Threads: numba's threading layer, loaded as the extension module that it is, without importing numba.

`omppool` if it loads, else `workqueue`, else none.  A parallel region calls a kernel module's `ptxjit_task` once per thread; the
tasks take chunks of blocks from one counter until none is left.  A pool that is in use (another thread, a nested call) means that
the call runs on its own thread: never blocked, never dead.  A forked child has no threads of the pool and must not touch OpenMP's,
so it runs serially.
"""
from __future__ import annotations

import ctypes
import importlib.machinery
import importlib.util
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from .host import cores

TASK = "ptxjit_task"
RUN = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)
PARALLEL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p,
                            ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int)  # fmt: skip


LONG = 0.05  # seconds from which on Ctrl-C must be able to end a region


class Work(ctypes.Structure):
    """What `ptxjit_task` reads; the layout is known to `targets/llvm/emit.py`."""

    _fields_ = [("fn", ctypes.c_void_p), ("args", ctypes.c_void_p), ("grid", ctypes.c_void_p), ("blocks", ctypes.c_int64),
                ("chunk", ctypes.c_int64), ("next", ctypes.c_int64)]  # fmt: skip


class Pool:
    """One process-wide set of threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.threads = _wanted()
        self.layer = "serial"
        self._parallel: Any = None
        self._module: Any = None
        self._ready = False
        self._forked = False
        self._long: set[int] = set()  # kernels that took long the last time

    def start(self) -> None:
        """Loads the threading layer; called under the lock."""
        self._ready = True
        if self.threads < 2 or self._forked:
            return
        for name in ("omppool", "workqueue"):
            module = _layer(name)
            if module is not None:
                launch = ctypes.CFUNCTYPE(None, ctypes.c_int)(module.launch_threads)
                launch(self.threads)
                self._module, self.layer = module, name
                self._parallel = PARALLEL(module.parallel_for)
                size = self.threads
                self._dims = (ctypes.c_size_t * 2)(size, 1)
                self._steps = (ctypes.c_size_t * 1)(0)
                self._args = (ctypes.c_void_p * 1)(0)
                return

    def run(self, fn: Any, task: int, fn_address: int, blocks: int, args: int, grid: int) -> None:
        """Blocks 0 … blocks−1 of a kernel.  `fn` is its ctypes function, `task` the address of its module's `ptxjit_task`."""
        if blocks < 2 or self.threads < 2 or not self.lock.acquire(blocking=False):
            fn(args, 0, blocks, grid)
            return
        try:
            if not self._ready:
                self.start()
            if self._parallel is None:
                fn(args, 0, blocks, grid)
                return
            work = Work(fn_address, args, grid, blocks, max(1, blocks // (self.threads * 8)), 0)

            def region() -> None:
                self._parallel(task, self._args, self._dims, self._steps, ctypes.byref(work), 1, 1, self.threads)

            start = time.perf_counter()
            if fn_address in self._long:
                interruptible(region, lambda: setattr(work, "next", blocks))  # no chunk is left to take
            else:
                region()
            if time.perf_counter() - start > LONG:
                self._long.add(fn_address)
            else:  # one kernel may serve many sizes
                self._long.discard(fn_address)
        finally:
            self.lock.release()

    def set_threads(self, n: int) -> None:
        with self.lock:
            self.threads, self._ready, self._parallel, self.layer = max(1, int(n)), False, None, "serial"

    def after_fork(self) -> None:
        self.lock = threading.Lock()
        self._parallel, self._ready, self._forked, self.layer = None, False, True, "serial"


def _wanted() -> int:
    text = os.environ.get("PTXJIT_NUM_THREADS", "")
    return max(1, int(text)) if text.isdigit() else cores()


def _layer(name: str) -> Any:
    """numba's extension module of that name, or None where it does not load."""
    spec = importlib.util.find_spec("numba")
    if spec is None or spec.origin is None:
        return None
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        path = Path(spec.origin).parent / "np" / "ufunc" / (name + suffix)
        if path.exists():
            try:
                found = importlib.util.spec_from_file_location(f"numba.np.ufunc.{name}", path)
                assert found is not None and found.loader is not None
                module = importlib.util.module_from_spec(found)
                found.loader.exec_module(module)
                return module
            except ImportError:
                return None
    return None


# ---- Ctrl-C ---------------------------------------------------------------------------------------------------------


class _Job:
    __slots__ = ("run", "done", "failed")

    def __init__(self, run: Callable[[], Any]) -> None:
        self.run, self.done = run, threading.Event()
        self.failed: BaseException | None = None


def interruptible(run: Callable[[], Any], halt: Callable[[], Any]) -> None:
    """Runs native code such that Ctrl-C ends it: the main thread waits in Python while another one runs; `halt` makes that one return."""
    if threading.current_thread() is not threading.main_thread():
        run()
        return
    job = _Job(run)
    _worker().put(job)
    try:
        while not job.done.wait(0.2):
            pass
    except KeyboardInterrupt:
        halt()
        job.done.wait()
        raise
    if job.failed is not None:
        raise job.failed


_queues: dict[int, Any] = {}


def _worker() -> Any:
    """The queue of the thread that runs the main thread's native code; one per process (a forked child makes its own)."""
    queue = _queues.get(os.getpid())
    if queue is None:
        queue = _queues[os.getpid()] = SimpleQueue()

        def work() -> None:
            while True:
                job = queue.get()
                try:
                    job.run()
                except BaseException as e:
                    job.failed = e
                job.done.set()
                del job

        threading.Thread(target=work, name="ptxjit", daemon=True).start()
    return queue


POOL = Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=POOL.after_fork)
