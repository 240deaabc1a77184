"""Devices: what there is, what it can do, and which one is used."""
from __future__ import annotations

import sys
from typing import Any

from . import knobs
from .ir.errors import DeviceError


class Device:
    """`name` is the word that `device()` takes; `hardware` the maker's name; `kind` 'cpu', 'cuda', 'rocm', 'opencl' or 'interp'.

    `available` says whether it can run now, `why_not` why it cannot; `facts` is the device record; `target` what code is made for it;
    `driver` the driver's version, or ''.
    """

    __slots__ = ("name", "kind", "hardware", "target", "why_not", "driver", "_facts")

    def __init__(self, name: str, kind: str, hardware: str, target: str, why_not: str | None = None, driver: str = "", facts: Any = None) -> None:
        self.name, self.kind, self.hardware, self.target, self.why_not = name, kind, hardware, target, why_not
        self.driver, self._facts = driver, facts

    @property
    def available(self) -> bool:
        return self.why_not is None

    @property
    def facts(self) -> Any:
        if self._facts is not None:
            return self._facts
        from .targets import target

        return target(self.target).facts

    def __repr__(self) -> str:
        return f"<device {self.name}: {self.hardware}{'' if self.available else ' (not available: ' + str(self.why_not) + ')'}>"


_devices: dict[str, Device] = {}
_found: dict[str, dict[str, Device]] = {}
_chosen: str | None = None
_best: str | None = None


def _all() -> dict[str, Device]:
    if not _devices:
        from .targets.cpu.host import model

        _devices["cpu"] = Device("cpu", "cpu", model(), "cpu:host")
        _devices["interp"] = Device("interp", "interp", "the oracle: NumPy, one op at a time", "interp")
    return _devices


def _family(word: str) -> dict[str, Device]:
    """The devices of a maker's runtime: looked for when one is asked for, not before."""
    known = _found.get(word)
    if known is None:
        from .targets import RUNTIMES, runtime

        name = RUNTIMES[word][1]
        known = _found[word] = {f"{word}:{d.number}": Device(f"{word}:{d.number}", word, d.hardware, name.format(d.number), d.why_not, d.driver, d.facts)
                                for d in runtime(word).detect()}  # fmt: skip
    return known


def missing(word: str) -> str | None:
    """Why there is no device of a family ('cuda', 'rocm', 'opencl'), and what to install; None where there is one."""
    from .targets import runtime

    _family(word)
    why: str | None = runtime(word).missing
    return why


def families() -> tuple[str, ...]:
    """The families of devices that have memory of their own, the best first."""
    from .targets import RUNTIMES

    return tuple(RUNTIMES)


def devices() -> list[Device]:
    """Every device, the best first."""
    cpu, *others = _all().values()
    cards = [d for word in families() for d in _family(word).values()]
    faster = [d for d in cards if d.kind != "opencl"]
    return [*faster, cpu, *(d for d in cards if d.kind == "opencl"), *others]


def device(name: str) -> Device:
    """The device of that name ('cpu', 'cuda:0'; 'cuda' is 'cuda:0'; 'cpu:x86-64-v3' is this machine with the instructions of another).
    DeviceError where there is none."""
    word, _, rest = name.partition(":")
    found = _narrower(rest) if word == "cpu" and rest else _all().get(name)
    if found is None and word in families():
        found = _family(word).get(f"{word}:0" if name == word else name)
        if found is None and (why := missing(word)) is not None:
            raise DeviceError(f"there is no device {name!r}", hint=why)
    if found is None:
        known = ", ".join(d.name for d in devices())
        raise DeviceError(f"there is no device {name!r}", hint=f"known here: {known}")
    return found


def _narrower(word: str) -> Device:
    """The host's processor, used as if it were a named one of fewer abilities: 'cpu:x86-64-v3' runs on every machine with AVX2."""
    from .targets.cpu.host import model, why_not

    why = why_not(word)
    if why is not None:
        raise DeviceError(f"there is no device 'cpu:{word}' here: {why}", hint="'cpu' is this machine; lower(…, target=…) makes code for others")
    return Device(f"cpu:{word}", "cpu", f"{model()} as {word}", f"cpu:{word}")


def _best_device() -> str:
    """The first card that can run, else the CPU.  Without a card this is a look at a few files."""
    global _best
    if _best is None:
        from .targets import present, runtime

        _best = "cpu"
        for word in families():
            if present(word):
                usable = [d.number for d in runtime(word).detect() if d.is_gpu and d.why_not is None]
                if usable:
                    _best = f"{word}:{usable[0]}"
                    break
    return _best


def default_device() -> Device:
    """What `use` chose, or PTXJIT_DEVICE, or the best one."""
    return device(_chosen or knobs.device() or _best_device())


def use(name: str) -> Device:
    """Makes a device the default of this process."""
    global _chosen
    found = device(name)
    _chosen = name
    front = sys.modules.get("ptxjit.jitted")
    if front is not None:
        front.forget()  # the short paths of functions lead to the old one
    return found


def set_num_threads(n: int) -> None:
    """Threads of the CPU pool; 1 runs everything on the calling thread."""
    from .targets.cpu.pool import POOL

    POOL.set_threads(n)
