"""Damaged PTX: every mutation of a corpus file gives an answer or a typed error, soon.

Bytes, tokens and lines of one kernel are changed; the module is read, the kernel lifted, verified and written as LLVM IR.  Anything but a
`PtxjitError` is a fault, and so is a `BugError`.  200 mutations by default; `make mutated N=20000` (the variable N) for more.
Each batch runs in a process of its own with a time limit; `python tests/faults/test_mutated_ptx.py SEED` shows one mutation.
"""
from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "tests" / "corpus"
COUNT = int(os.environ.get("PTXJIT_MUTATED", "200"))
BATCH, EACH = 50, 20  # mutations in a process, seconds for one
TOKEN = re.compile(r"[%$\w.:]+|[^\s\w]")
ODD = ["0", "-1", "4294967296", "99999999999999999999", "0f7FC00000", "0d0000000000000000", "_", "{%r1, %r2}", "[%rd1+4]", "%tid.x", "%p1", "%f1", "%rd1",
       "%nonsense", ".u64", ".f16x2", ".pred", ".b128", ".v4", ".sat", ".rn", ".global", "|", "!", "-", "@%p1", ";", "{", "}", "(", ")", "ret", "bra",
       "WARP_SZ", ".e4m3x2", ".s8", ".shared::cluster"]  # fmt: skip


def damaged(seed: int) -> tuple[str, str, str]:
    """(file, entry, text): one corpus file with one to three changes in the region of one kernel."""
    r = random.Random(seed)
    files = sorted(p for f in ("ptx", "hand", "numba", "triton") for p in (CORPUS / f).glob("*.ptx"))
    path = r.choice(files)
    text = path.read_text()
    names = re.findall(r"\.entry\s+([\w$]+)", text)
    entry = r.choice(names)
    start = text.index(entry, text.index(".entry"))
    after = text.find(".entry", start)
    end = len(text) if after < 0 else after
    kernel = text[start:end]
    for _ in range(r.choice((1, 1, 1, 2, 3))):
        kernel = _change(kernel, r)
    if r.random() < 0.1:
        return path.name, entry, _change(text[:start], r) + kernel + text[end:]
    return path.name, entry, text[:start] + kernel + text[end:]


def _change(text: str, r: random.Random) -> str:
    kind = r.randrange(9)
    if kind < 2:  # a byte
        at = r.randrange(len(text) + 1)
        c = r.choice("%.,;{}[]()|!@-+:_$ \n\t\"\\0123456789abcdefrsuxvp\0é")
        return text[:at] + (c if kind else "") + text[at + r.randrange(2) :]
    if kind < 7:  # a token
        tokens = list(TOKEN.finditer(text)) or [re.match("", text)]
        m = r.choice(tokens)
        word = m[0]
        other = r.choice((r.choice(tokens)[0], r.choice(ODD)))
        parts = word.split(".")
        if kind == 2:
            new = other
        elif kind == 3:
            new = ""
        elif kind == 4 and len(parts) > 2:  # a modifier: gone, doubled, exchanged for another's
            k = r.randrange(1, len(parts))
            elsewhere = [p for t in tokens for p in t[0].split(".")[1:] if p]
            parts[k : k + 1] = r.choice(([], [parts[k]] * 2, [r.choice(elsewhere or ["u32"])], [r.choice(("u8", "f64", "b128", "bf16x2", "x", "s2"))]))
            new = ".".join(parts)
        elif kind == 5:
            new = word + " " + other
        else:
            new = re.sub(r"\d+", lambda n: str(r.choice((0, 1, 7, 31, 63, 255, int(n[0][:12]) + 1))), word)
        return text[: m.start()] + new + text[m.end() :]
    lines = text.split("\n")
    at, to = r.randrange(len(lines)), r.randrange(len(lines))
    if kind == 7:
        lines[at : at + 1] = r.choice(([], [lines[at]] * 2))
    else:
        lines[at], lines[to] = lines[to], lines[at]
    return "\n".join(lines)


def tried(seed: int) -> str:
    """'' where all is well, else what went wrong."""
    from ptxjit import targets
    from ptxjit.ir.errors import BugError, PtxjitError
    from ptxjit.ir.verify import verify

    name, entry, text = damaged(seed)
    ptx = targets.target("ptx")
    try:
        module = ptx.read(text, name)
        if entry not in module.entries:
            return ""
        lifted = ptx.lift(module, entry)
        for k in (lifted.kernel, *lifted.kernel.functions):
            verify(k)
        targets.target("cpu:host").emit_kernel(lifted.kernel, "ll")
    except BugError as e:
        return f"{name}, {entry}: BugError: {e.message}"
    except PtxjitError as e:
        assert str(e)
    except BaseException as e:
        where = traceback.extract_tb(e.__traceback__)[-1]
        return f"{name}, {entry}: {type(e).__name__}: {e} ({where.filename}:{where.lineno})"
    return ""


def _too_long(*_: object) -> None:
    raise TimeoutError("too long")


def child(start: int, count: int) -> None:
    for seed in range(start, start + count):
        if hasattr(signal, "SIGALRM"):
            signal.signal(signal.SIGALRM, _too_long)
            signal.alarm(EACH)
        print(f"{seed}: {tried(seed)}", flush=True)


def batch(start: int, count: int) -> list[str]:
    """Faults of the mutations start … start + count − 1."""
    command = [sys.executable, __file__, str(start), str(count)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=EACH * 3 + count, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
        out, error = done.stdout, done.stderr
    except subprocess.TimeoutExpired as e:
        out, error = (e.stdout or b"").decode(), "the process did not end"
    lines = out.splitlines()
    faults = [line for line in lines if not line.endswith(": ")]
    if len(lines) < count:
        faults.append(f"{start + len(lines)}: the process ended here. {error[-600:]}")
    return faults


def test_mutations_of_the_corpus():
    faults = []
    show = COUNT > 1000
    begin = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        starts = range(0, COUNT, BATCH)
        for n, found in enumerate(pool.map(lambda s: batch(s, min(BATCH, COUNT - s)), starts), 1):
            faults += found
            if show:
                print(f"\r{n * BATCH}/{COUNT}  {len(faults)} faults  {time.monotonic() - begin:.0f} s", end="", file=sys.stderr, flush=True)
    if faults:
        pytest.fail(f"{len(faults)} of {COUNT} mutations\n" + "\n".join(faults[:30]), pytrace=False)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        child(int(sys.argv[1]), int(sys.argv[2]))
    else:
        print(damaged(int(sys.argv[1]))[2])
        print(tried(int(sys.argv[1])) or "fine")
