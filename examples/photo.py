"""A photograph sharpened and its edges found, by two jitted functions.

    python examples/photo.py [PICTURE]        writes out/photo.png: the picture, sharpened, and its edges
"""
from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

import ptxjit as pj


def blur(x):
    """A 3×3 binomial blur of [height, width, 3]; the border is repeated."""
    p = np.pad(x, ((1, 1), (1, 1), (0, 0)), mode="edge")
    rows = p[:-2] + 2 * p[1:-1] + p[2:]
    return (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 16


@pj.jit
def unsharp(x):
    """The picture plus what a blur takes away from it."""
    return np.clip(x + 1.5 * (x - blur(x)), 0, 1)


@pj.jit
def edges(x):
    """Magnitude of the brightness gradient (Sobel), inverted for white paper."""
    grey = x @ np.array([0.299, 0.587, 0.114], np.float32)
    p = np.pad(grey, 1, mode="edge")
    across = (p[:-2, 2:] - p[:-2, :-2]) + 2 * (p[1:-1, 2:] - p[1:-1, :-2]) + (p[2:, 2:] - p[2:, :-2])
    down = (p[2:, :-2] - p[:-2, :-2]) + 2 * (p[2:, 1:-1] - p[:-2, 1:-1]) + (p[2:, 2:] - p[:-2, 2:])
    return 1 - np.clip(np.sqrt(across * across + down * down), 0, 1)


def load(argv: list[str]) -> np.ndarray:
    if argv:
        from PIL import Image

        return np.asarray(Image.open(argv[0]).convert("RGB"), np.float32) / np.float32(255)
    from sklearn.datasets import load_sample_image

    return load_sample_image("china.jpg").astype(np.float32) / np.float32(255)


def main(argv: list[str]) -> int:
    from PIL import Image

    x = load(argv)
    print("compiling …", file=sys.stderr, flush=True)
    start = time.perf_counter()
    sharp, lines = unsharp(x), edges(x)
    first = time.perf_counter() - start
    start = time.perf_counter()
    sharp, lines = unsharp(x), edges(x)
    warm = time.perf_counter() - start
    page = np.concatenate([x, sharp, np.repeat(lines[:, :, None], 3, axis=2)], axis=1)
    out = Path("out/photo.png")
    out.parent.mkdir(exist_ok=True)
    Image.fromarray((page * 255 + 0.5).astype(np.uint8)).save(out)
    print(out)
    print(f"first calls {first * 1e3:.0f} ms, warm {warm * 1e3:.2f} ms", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
