"""The words of `ptxjit check` and `ptxjit run`: grids, and arguments of a launch.

    f32[1024]=zeros  f32[64,64]=ones  i32[256]=arange  f32[1024]=random  u8[100]=@bytes.npy  i32=1000  f32=0.5  u64=0x10
"""
from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..ir.types import I1, I128, SCALARS, Scalar
from .load import UsageError

FILLS = ("zeros", "ones", "arange", "random")


def parse_three(text: str, what: str) -> tuple[int, ...]:
    """`4`, `4,1` or `4,1,2`."""
    words = text.split(",")
    if not 1 <= len(words) <= 3 or not all(w.strip().isdigit() for w in words):
        raise UsageError(f"--{what} takes one to three numbers, such as 4 or 4,2, not {text!r}")
    return tuple(int(w) for w in words)


def parse_arg(text: str, rng: np.random.Generator | None = None) -> Any:
    """One `--arg`: a fresh array, or a NumPy number."""
    found = re.fullmatch(r"(\w+)(?:\[([\d,\s]*)\])?=(.+)", text.strip())
    elem = SCALARS.get(found[1]) if found else None
    if found is None or elem is None or elem in (I1, I128):
        names = ", ".join(n for n, t in SCALARS.items() if t not in (I1, I128))
        raise UsageError(f"--arg {text!r}: write f32[1024]=zeros|ones|arange|random, f32[1024]=@file.npy or i32=1000; types are {names}")
    if found[2] is None:
        return _number(text, elem, found[3])
    shape = tuple(int(w) for w in found[2].split(",") if w.strip())
    fill = found[3]
    if fill.startswith("@"):
        return _file(text, elem, shape, fill[1:])
    if fill not in FILLS:
        raise UsageError(f"--arg {text!r}: an array is filled with {', '.join(FILLS)} or @file.npy")
    return _filled(elem, shape, fill, rng or np.random.default_rng(0))


def parse_args(texts: Sequence[str], seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [parse_arg(t, rng) for t in texts]


def parse_outs(texts: Sequence[str], args: Sequence[Any]) -> list[tuple[int, str]]:
    """Each `--out N=file.npy` as (number of an array argument, path)."""
    out = []
    for t in texts:
        n, eq, path = t.partition("=")
        if not eq or not path or not n.isdigit() or int(n) >= len(args) or not isinstance(args[int(n)], np.ndarray):
            raise UsageError(f"--out {t!r}: write N=file.npy, where N is the number of an array argument (from 0)")
        out.append((int(n), path))
    return out


def _number(text: str, elem: Scalar, word: str) -> Any:
    try:
        if elem.is_float:
            return np.array(float(word)).astype(elem.np)[()]
        value = int(word, 0)
    except ValueError:
        raise UsageError(f"--arg {text!r}: {word!r} is no number of type {elem}") from None
    if not -(1 << (elem.bits - 1)) <= value < 1 << (elem.bits - (not elem.is_unsigned)) or elem.is_unsigned and value < 0:
        raise UsageError(f"--arg {text!r}: {value} does not fit {elem}")
    return elem.np.type(value)


def _file(text: str, elem: Scalar, shape: tuple[int, ...], path: str) -> Any:
    if not Path(path).is_file():
        raise UsageError(f"--arg {text!r}: there is no file {path}")
    try:
        a = np.load(path, allow_pickle=False)
    except ValueError as e:
        raise UsageError(f"--arg {text!r}: {path} is no .npy file: {e}") from None
    if a.dtype.kind == "V" and a.dtype.itemsize == elem.bytes:  # formats that .npy files do not name
        a = a.view(elem.np)
    if a.dtype != elem.np or a.shape != shape:
        raise UsageError(f"--arg {text!r}: {path} holds {a.dtype}[{','.join(map(str, a.shape))}]")
    return np.ascontiguousarray(a)


def _filled(elem: Scalar, shape: tuple[int, ...], fill: str, rng: np.random.Generator) -> Any:
    if fill == "random":
        if elem.is_float:
            return rng.standard_normal(shape).astype(elem.np)
        return rng.integers(0, 100, shape).astype(elem.np)
    if fill == "arange":
        return np.arange(int(np.prod(shape))).astype(elem.np).reshape(shape)
    return np.full(shape, 1 if fill == "ones" else 0).astype(elem.np)
