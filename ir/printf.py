"""C's printf on the arguments of a kernel's `vprintf`."""
from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

SPEC = re.compile(rb"%(?P<flags>[-+ #0]*)(?P<width>\*|\d+)?(?:\.(?P<precision>\*|\d+))?(?P<length>hh|h|ll|l|L|q|j|z|t)?(?P<kind>[diouxXeEfFgGaAcspn%])")


def format_c(fmt: bytes, data: bytes, text: Callable[[int], bytes]) -> bytes:
    """The formatted text.  Arguments lie one after the other, aligned to their size; `text` reads the string at an address."""
    at = 0

    def take(size: int) -> bytes:
        nonlocal at
        at = -(-at // size) * size
        at += size
        return data[at - size : at]

    def one(m: re.Match[bytes]) -> bytes:
        kind, flags = m["kind"].decode(), m["flags"].decode()
        if kind == "%":
            return b"%"
        sizes = [int.from_bytes(take(4), "little", signed=True) if m[g] == b"*" else m[g] and int(m[g]) for g in ("width", "precision")]
        width = "" if sizes[0] is None else str(sizes[0])
        precision = "" if sizes[1] is None else f".{sizes[1]}"
        spec = f"%{flags}{width}{precision}"
        if kind in "eEfFgGaA":
            value = np.frombuffer(take(8), np.float64)[0]
            if kind in "aA":
                return float(value).hex().encode()
            shown: str = f"{spec}{kind}" % float(value)
            return shown.encode()
        if kind == "s":
            address = int.from_bytes(take(8), "little")
            return (spec + "s").encode() % (text(address) if address else b"(null)")
        if kind == "p":
            return (f"%{flags}{width}s" % hex(int.from_bytes(take(8), "little"))).encode()
        if kind == "c":
            return bytes([int.from_bytes(take(4), "little") & 255])
        wide = m["length"] in (b"l", b"ll", b"j", b"z", b"t", b"q")
        raw = take(8 if wide else 4)
        bits = {b"h": 2, b"hh": 1}.get(m["length"] or b"", len(raw))
        number = int.from_bytes(raw[:bits], "little", signed=kind in "di")
        return (f"{spec}{'d' if kind in 'diu' else kind}" % number).encode()

    out: bytes = SPEC.sub(one, fmt)
    return out
