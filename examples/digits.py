"""Handwritten digits by the nearest neighbour: one jitted function over real scans.

scikit-learn ships 1797 scans of 8×8 pixels.  Every third is held out; each of those gets the label of its nearest neighbour among the
others.  The plain NumPy function runs beside it.
"""
from __future__ import annotations

import sys
import time

import numpy as np

import ptxjit as pj


def nearest(known, labels, scans):
    """Label of the nearest of `known` for each of `scans`, by squared distance."""
    distance = (known * known).sum(axis=1) - 2 * (scans @ known.T) + (scans * scans).sum(axis=1)[:, None]
    return labels[np.argmin(distance, axis=1)]


def main() -> int:
    from sklearn.datasets import load_digits

    scans, labels = load_digits(return_X_y=True)
    scans, labels = scans.astype(np.float32), labels.astype(np.int64)
    held = np.arange(len(scans)) % 3 == 0
    known, known_labels, new, truth = scans[~held], labels[~held], scans[held], labels[held]
    jitted = pj.jit(nearest)
    print("compiling …", file=sys.stderr, flush=True)
    start = time.perf_counter()
    jitted(known, known_labels, new)
    first = time.perf_counter() - start
    start = time.perf_counter()
    ours = jitted(known, known_labels, new)
    warm = time.perf_counter() - start
    start = time.perf_counter()
    plain = nearest(known, known_labels, new)
    numpy = time.perf_counter() - start
    print(f"accuracy {(ours == truth).mean():.1%}, NumPy {(plain == truth).mean():.1%}".replace("%", " %"))
    print(f"first call {first * 1e3:.0f} ms, warm {warm * 1e3:.2f} ms, NumPy {numpy * 1e3:.2f} ms", file=sys.stderr)
    return 0 if (ours == truth).mean() >= 0.97 else 1


if __name__ == "__main__":
    sys.exit(main())
