"""Cases of the corpus: what to launch, and what must stand in the arrays afterwards."""
from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

HERE = Path(__file__).resolve().parent
FOLDERS = ("ptx", "hand", "numba", "triton")


class Case(NamedTuple):
    """One launch: arguments and the arrays to expect (index → array, or a callable which returns a truth value or raises)."""
    args: Sequence[Any]
    expect: dict[int, Any] = {}
    rtol: float = 0.0
    atol: float = 0.0
    ulp: int = 0
    cooperative: bool = False
    cluster: tuple[int, int, int] | None = None
    stdout: str | None = None


class Entry(NamedTuple):
    """A kernel of the corpus and how to launch it; archs is empty when every PTX file of the stem has it."""
    name: str
    file: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    shared: int
    archs: tuple[str, ...]
    fn: Callable[[np.random.Generator], Case]

    def make(self, seed: int = 0) -> Case:
        """The case for one seed."""
        with np.errstate(all="ignore"):
            return self.fn(np.random.default_rng([seed, *self.name.encode()]))


CASES: dict[str, Entry] = {}


def case(name: str, file: str, grid: Any = 1, block: Any = 32, shared: int = 0, archs: tuple[str, ...] = ()) -> Callable[[Any], Any]:
    """Register the decorated function as the case of one kernel."""
    def three(x: Any) -> tuple[int, int, int]:
        t = (x,) if isinstance(x, int) else tuple(x)
        return (*t, 1, 1)[:3]

    def register(fn: Any) -> Any:
        assert name not in CASES, name
        CASES[name] = Entry(name, file, three(grid), three(block), shared, archs, fn)
        return fn
    return register


@functools.cache
def text(path: Path) -> str:
    """The text of one PTX file."""
    return path.read_text()


@functools.cache
def _stems() -> dict[str, list[Path]]:
    stems: dict[str, list[Path]] = {}
    for folder in FOLDERS:
        for path in sorted((HERE / folder).glob("*.ptx")):
            stems.setdefault(path.name.split(".")[0], []).append(path)
    return stems


def files(entry: Entry) -> list[Path]:
    """The PTX files which hold a kernel: <stem>.ptx or <stem>.<arch>.<variant>.ptx."""
    return [p for p in _stems().get(entry.file, []) if not entry.archs or p.name.split(".")[1] in (*entry.archs, "ptx")]


def params(ptx: str, name: str) -> list[int]:
    """The size in bytes of each parameter of an entry."""
    found = re.search(rf"\.entry\s+{re.escape(name)}\s*\(([^)]*)\)", ptx)
    if not found:
        return []
    sizes = []
    for line in re.sub(r"//[^\n]*", "", found[1]).split(","):
        if ".param" in line:
            width = re.search(r"\.[bsuf](\d+)\b", line)
            count = re.search(r"\[(\d+)\]", line)
            assert width, line
            sizes.append(int(width[1]) // 8 * (int(count[1]) if count else 1))
    return sizes


def size(arg: Any) -> int:
    """The size in bytes which an argument takes as a parameter."""
    return 8 if isinstance(arg, np.ndarray) else len(arg) if isinstance(arg, bytes) else arg.dtype.itemsize


def _close(got: np.ndarray, want: np.ndarray, case: Case) -> np.ndarray:
    if want.dtype.kind in "biuV" and want.dtype.names is None and want.dtype.itemsize <= 8 and want.dtype.kind != "V" and not (case.rtol or case.atol):
        return got == want
    if want.dtype.names or want.dtype.kind == "S":
        return np.array([a.tobytes() == b.tobytes() for a, b in zip(got.ravel(), want.ravel())]).reshape(want.shape)
    g, w = got.astype(np.float64), want.astype(np.float64)
    nan = np.isnan(g) & np.isnan(w)
    if case.rtol or case.atol:
        return nan | (g == w) | (np.abs(g - w) <= case.atol + case.rtol * np.abs(w))
    unsigned = np.dtype(f"u{want.dtype.itemsize}")

    def order(x: np.ndarray) -> np.ndarray:
        bits = x.view(unsigned).astype(object)
        top = 1 << (8 * want.dtype.itemsize - 1)
        return np.where(bits >= top, top - 1 - bits, bits)
    if case.ulp:
        return nan | (g == w) | (np.abs(order(got) - order(want)) <= case.ulp).astype(bool)
    return nan | (got.view(unsigned) == want.view(unsigned))


def check(case: Case, after: Sequence[Any]) -> None:
    """Compare the arguments after a launch with what the case expects; a NaN equals any NaN, zeros differ by their sign unless tolerances are given."""
    for i, (before, now) in enumerate(zip(case.args, after)):
        if not isinstance(before, np.ndarray):
            continue
        want = case.expect.get(i, before)
        if callable(want):
            assert want(now) is not False, f"argument {i}: refused"
            continue
        want = np.asarray(want)
        assert want.shape == before.shape and want.dtype == before.dtype, f"argument {i}: {want.dtype}{want.shape} for {before.dtype}{before.shape}"
        with np.errstate(all="ignore"):
            bad = np.argwhere(~_close(np.ascontiguousarray(now), np.ascontiguousarray(want), case if i in case.expect else Case(())))
        if len(bad):
            at = tuple(bad[0])
            raise AssertionError(f"argument {i}: {len(bad)} of {want.size} differ, first at {at}: {now[at]!r}, expected {want[at]!r}")
