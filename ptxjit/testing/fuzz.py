"""`make fuzz N=… SEED=…`: random programs under @jit against NumPy."""
from __future__ import annotations

import argparse
import sys
import warnings
from typing import Any

import numpy as np


def tolerance(dtype: Any) -> tuple[float, float]:
    """(relative, absolute): orders of summation and the admitted ulp differ from NumPy's, so longer chains differ a little."""
    return {2: (3e-2, 3e-2), 4: (2e-4, 2e-4), 8: (1e-10, 1e-10)}[np.dtype(dtype).itemsize]


def differs(want: Any, got: Any) -> str | None:
    """Why two results are not the same, or None."""
    w, g = np.asarray(want), np.asarray(got)
    if w.dtype != g.dtype or w.shape != g.shape:
        return f"{w.dtype}{list(w.shape)} against {g.dtype}{list(g.shape)}"
    if w.dtype.kind != "f":
        return None if (w == g).all() else f"{w.ravel()[:8]} against {g.ravel()[:8]}"
    rel, abs_ = tolerance(w.dtype)
    with np.errstate(all="ignore"):
        scale = np.nanmax(np.abs(np.where(np.isfinite(w), w, 0)).astype(np.float64), initial=0.0)
        close = np.isclose(g.astype(np.float64), w.astype(np.float64), rtol=rel, atol=abs_ * max(scale, 1.0), equal_nan=True)
    return None if close.all() else f"{w[~close].ravel()[:4]} against {g[~close].ravel()[:4]}"


def fuzz(n: int, seed: int, device: str = "cpu", progress: bool = False) -> list[str]:
    """Runs n programs; returns a description of each difference or refusal."""
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as with_seed

    from ..jitted import Jit
    from .programs import programs

    failures: list[str] = []
    count = 0

    @settings(max_examples=n, deadline=None, database=None, suppress_health_check=list(HealthCheck), phases=(Phase.generate,))
    @with_seed(seed)
    @given(programs())
    def run(p: Any) -> None:
        nonlocal count
        count += 1
        if progress:
            print(f"\r{count}/{n}, {len(failures)} differences", end="", file=sys.stderr, flush=True)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            want = p.fn(*p.inputs)
            try:
                got = Jit(p.fn, device=device)(*p.inputs)
            except Exception as e:
                failures.append(f"{p!r}\n{type(e).__name__}: {e}")
                return
        wants, gots = (x if isinstance(x, tuple) else (x,) for x in (want, got))
        for w, g in zip(wants, gots):
            why = differs(w, g)
            if why is not None:
                failures.append(f"{p!r}\n{why}")
                return

    run()
    return failures


def main() -> int:
    parser = argparse.ArgumentParser(description="random programs against NumPy")
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    failures = fuzz(args.n, args.seed, args.device, progress=sys.stderr.isatty())
    if sys.stderr.isatty():
        print(file=sys.stderr)
    for f in failures[:10]:
        print(f + "\n")
    print(f"{args.n} programs, seed {args.seed}, on {args.device}: {len(failures)} differences")
    if failures:
        print(f"replay: make fuzz N={args.n} SEED={args.seed}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
