"""Devices: what there is, what it can do, and which one is used."""
from __future__ import annotations

import sys
from typing import Any

from . import knobs
from .ir.errors import DeviceError


class Device:
    """`name` is the word that `device()` takes; `hardware` the maker's name; `kind` 'cpu', 'cuda', 'opencl' or 'interp'.

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
_opencl_devices: dict[str, Device] | None = None
_cuda_devices: dict[str, Device] | None = None
_chosen: str | None = None


def _all() -> dict[str, Device]:
    if not _devices:
        from .targets.cpu.host import model

        _devices["cpu"] = Device("cpu", "cpu", model(), "cpu:host")
        _devices["interp"] = Device("interp", "interp", "the oracle: NumPy, one op at a time", "interp")
    return _devices


def _opencl() -> dict[str, Device]:
    """OpenCL devices: looked for when one is asked for, not before."""
    global _opencl_devices
    if _opencl_devices is None:
        from .targets.spirv.runtime import detect

        _opencl_devices = {f"opencl:{d.number}": Device(f"opencl:{d.number}", "opencl", d.hardware, f"spirv:{d.number}", d.why_not, d.driver, d.facts)
                           for d in detect()}  # fmt: skip
    return _opencl_devices


def _cuda() -> dict[str, Device]:
    """NVIDIA cards: looked for when one is asked for, not before."""
    global _cuda_devices
    if _cuda_devices is None:
        from .targets.ptx.runtime import detect

        _cuda_devices = {f"cuda:{d.number}": Device(f"cuda:{d.number}", "cuda", d.hardware, f"cuda:{d.number}", d.why_not, d.driver, d.facts)
                         for d in detect()}  # fmt: skip
    return _cuda_devices


def cuda_missing() -> str | None:
    """Why there is no CUDA device, and what to install; None where there is one."""
    from .targets.ptx import runtime

    _cuda()
    return runtime.missing


def opencl_missing() -> str | None:
    """Why there is no OpenCL device, and what to install; None where there is one."""
    from .targets.spirv import runtime

    _opencl()
    return runtime.missing


def devices() -> list[Device]:
    """Every device, the best first."""
    cpu, *others = _all().values()
    return [cpu, *_cuda().values(), *_opencl().values(), *others]


def device(name: str) -> Device:
    """The device of that name.  DeviceError where there is none."""
    found = _all().get(name)
    if found is None and name.startswith("opencl"):
        found = _opencl().get("opencl:0" if name == "opencl" else name)
        if found is None and (why := opencl_missing()) is not None:
            raise DeviceError(f"there is no device {name!r}", hint=why)
    if found is None and name.startswith("cuda"):
        found = _cuda().get("cuda:0" if name == "cuda" else name)
        if found is None and (why := cuda_missing()) is not None:
            raise DeviceError(f"there is no device {name!r}", hint=why)
    if found is None:
        known = ", ".join(d.name for d in devices())
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
