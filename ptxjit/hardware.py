"""Devices: what there is, what it can do, and which one is used."""
from __future__ import annotations

import sys
from typing import Any

from . import knobs
from .ir.errors import DeviceError


class Device:
    """`name` is the word that `device()` takes; `hardware` the maker's name; `kind` 'cpu' or 'interp'.

    `available` says whether it can run now, `why_not` why it cannot; `facts` is the device record; `target` what code is made for it.
    """

    __slots__ = ("name", "kind", "hardware", "target", "why_not")

    def __init__(self, name: str, kind: str, hardware: str, target: str, why_not: str | None = None) -> None:
        self.name, self.kind, self.hardware, self.target, self.why_not = name, kind, hardware, target, why_not

    @property
    def available(self) -> bool:
        return self.why_not is None

    @property
    def facts(self) -> Any:
        from .targets import target

        return target(self.target).facts

    def __repr__(self) -> str:
        return f"<device {self.name}: {self.hardware}{'' if self.available else ' (not available: ' + str(self.why_not) + ')'}>"


_devices: dict[str, Device] = {}
_chosen: str | None = None


def _all() -> dict[str, Device]:
    if not _devices:
        from .targets.cpu.host import model

        _devices["cpu"] = Device("cpu", "cpu", model(), "cpu:host")
        _devices["interp"] = Device("interp", "interp", "the oracle: NumPy, one op at a time", "interp")
    return _devices


def devices() -> list[Device]:
    """Every device, the best first."""
    return list(_all().values())


def device(name: str) -> Device:
    """The device of that name.  DeviceError where there is none."""
    found = _all().get(name)
    if found is None:
        known = ", ".join(_all())
        raise DeviceError(f"there is no device {name!r}", hint=f"known here: {known}")
    return found


def default_device() -> Device:
    """What `use` chose, or PTXJIT_DEVICE, or the best one."""
    return device(_chosen or knobs.device() or "cpu")


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
