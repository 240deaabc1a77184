"""`f(x, out=y)`: results into arrays that the caller has.

`out` has the structure of the results: an array, or a container of them.  Dtypes and shapes must be those of the results, and no array may
overlap an argument, an array that the function reads from outside, or another result: all that is checked before anything runs.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from .ir.errors import DTypeError, ShapeError, UserError
from .pytree import LEAF, flatten, unflatten
from .trace import DeviceArray, user_loc


class OverlapError(UserError, ValueError):
    """An array to be written shares memory with one that is read, or with another result."""


class Into:
    """The `out=` of one call."""

    def __init__(self, name: str, out: Any) -> None:
        self.name, self.out = name, out
        self.leaves, self.tree = flatten(out, keep_order=True)

    def filled(self, entry: Any, arrays: list[Any], arguments: list[Any]) -> Any:
        """Runs a version of the function on NumPy arrays, which are the arguments or copies of them; gives `out`."""
        self.structure(entry.tree)
        for k, a in enumerate(self.leaves):
            if not isinstance(a, np.ndarray):
                raise DTypeError(f"{self.name}: {self.what(k)} is a {type(a).__name__}; the arguments are NumPy arrays", place=user_loc())
        inputs = entry.inputs(arrays)
        self.apart([*arguments, *inputs[len(arrays) :]])
        program = entry.program
        if hasattr(program, "at"):
            program = program.at([x.shape for x in inputs])
        described = getattr(program, "results", None)
        if described is None or entry.prints:
            return self.take(entry.run(*inputs))
        self.fit(described[: len(self.leaves)])
        direct = [a if a.flags.c_contiguous and a.flags.aligned and a.dtype.isnative else None for a in self.leaves]
        for a, d, r in zip(self.leaves, direct, program.into(direct, *inputs)):
            if d is None:
                a[...] = r
        return self.out

    def copied(self, result: Any, arguments: list[Any]) -> Any:
        """Copies what a call on other arrays gave; gives `out`."""
        results, tree = flatten(result, keep_order=True)
        self.structure(tree)
        self.apart([x for x in arguments if isinstance(x, (np.ndarray, DeviceArray))])
        return self.take(results)

    # ---- checks

    def what(self, k: int) -> str:
        return "out" if self.tree is LEAF else f"array {k} of out"

    def structure(self, tree: Any) -> None:
        if tree != self.tree:
            raise UserError(f"{self.name}: out does not have the structure of the results, {unflatten(tree, ['array'] * tree_size(tree))!r}", place=user_loc())

    def fit(self, described: list[Any]) -> None:
        for k, (a, (shape, dtype)) in enumerate(zip(self.leaves, described)):
            if tuple(a.shape) != tuple(shape):
                raise ShapeError(f"{self.name}: {self.what(k)} has shape {tuple(a.shape)}, the result {tuple(shape)}", place=user_loc())
            if a.dtype != dtype:
                raise DTypeError(f"{self.name}: {self.what(k)} is of {a.dtype}, the result of {np.dtype(dtype)}", place=user_loc())
            if isinstance(a, np.ndarray) and not a.flags.writeable:
                raise UserError(f"{self.name}: {self.what(k)} is read-only", place=user_loc())

    def apart(self, inputs: list[Any]) -> None:
        for k, a in enumerate(self.leaves):
            for others, what in ((inputs, "what is read"), (self.leaves[:k], "another result")):
                if any(overlap(a, b) for b in others):
                    raise OverlapError(f"{self.name}: {self.what(k)} shares memory with {what}", place=user_loc(), hint="pass an array of its own")

    def take(self, results: Any) -> Any:
        """Copies results of whatever kind."""
        self.fit([(r.shape, r.dtype) for r in map(_described, results)])
        for a, r in zip(self.leaves, results):
            if isinstance(a, np.ndarray):
                a[...] = np.asarray(r)
            else:
                a[...] = r
        return self.out


def _described(r: Any) -> Any:
    return r if hasattr(r, "dtype") else np.asarray(r)


def tree_size(tree: Any) -> int:
    from .pytree import count

    return count(tree)


def overlap(a: Any, b: Any) -> bool:
    """Whether two arrays share memory; what is too hard to decide counts as shared."""
    if isinstance(a, DeviceArray) or isinstance(b, DeviceArray):
        x, y = getattr(a, "_data", a), getattr(b, "_data", b)
        if not (isinstance(x, np.ndarray) and isinstance(y, np.ndarray)):
            return x is y
        a, b = x, y
    if not isinstance(b, np.ndarray):
        return False
    try:
        return bool(np.shares_memory(a, b, max_work=1000))  # type: ignore[arg-type]
    except Exception:  # TooHardError
        return True
