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
from pathlib import Path
from typing import Any

from .host import cores

TASK = "ptxjit_task"
RUN = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)
PARALLEL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p,
                            ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int)  # fmt: skip


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
            self._parallel(task, self._args, self._dims, self._steps, ctypes.byref(work), 1, 1, self.threads)
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


POOL = Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=POOL.after_fork)
