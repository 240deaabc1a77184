"""Targets: each is facts + stages + runtime (+ reader), and enters by the entry-point group `ptxjit.targets`, ours included.

A target *family* is a function `name → Target`; the word before the colon of a target's name chooses it:

    cpu      cpu:host, cpu:x86-64-v3, cpu:x86-64-v4, cpu:aarch64 …      interp   the oracle
    ptx      ptx:sm_75 … ptx:sm_120                                  spirv    OpenCL: spirv, spirv:0 (the device opencl:0) …
    amdgpu   amdgpu:gfx90a … amdgpu:gfx1201, amdgpu:gfx11-generic …, amdgpu:0 (the device rocm:0) …
    cuda     cuda:0 …: PTX for a card of this machine, and the card

No target imports another; `targets.llvm` is the library of those that speak LLVM.  The front asks `target(name)` and nothing else.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from ..ir.device import DeviceFacts
from ..ir.errors import BugError, DeviceError, UnsupportedError, UserError
from ..ir.kernel import Kernel
from ..ir.program import Program

BUILT_IN = {
    "cpu": "ptxjit.targets.cpu.target:make",
    "ptx": "ptxjit.targets.ptx.target:make",
    "cuda": "ptxjit.targets.ptx.device:make_device",
    "interp": "ptxjit.targets.interp:make",
    "spirv": "ptxjit.targets.spirv.target:make",
    "amdgpu": "ptxjit.targets.amdgpu.target:make",
}

RUNTIMES = {  # families of devices with memory of their own, the best first → the module that finds them, the target of number N, a driver's traces
    "cuda": ("ptxjit.targets.ptx.runtime", "cuda:{}", ("/dev/nvidiactl", "/dev/dxg", "C:/Windows/System32/nvcuda.dll")),
    "rocm": ("ptxjit.targets.amdgpu.runtime", "amdgpu:{}", ("/dev/kfd", "C:/Windows/System32/amdhip64*.dll")),
    "opencl": ("ptxjit.targets.spirv.runtime", "spirv:{}", ("/etc/OpenCL/vendors/*.icd",)),
}


class Target:
    """What every target answers.  Hooks have defaults that do nothing or say what is missing.

    name     full, as the user writes it                 facts    the frozen device record that lowering reads
    stages   names of its texts and binaries by file extension, in order; the first is made from kernels
    text     the last stage that is text ("final")
    kernel_stages   texts that `emit_kernel` makes of a foreign kernel, in order; the last is its "final"
    binary_stage    what of such a kernel is bytes: object code, a module …      runs_kernels   whether `compile_kernel` and `launch_kernel` work
    """

    name: str
    facts: DeviceFacts
    stages: tuple[str, ...] = ()
    text: str = ""
    kernel_stages: tuple[str, ...] = ()
    binary_stage: str = ""
    runs_kernels: bool = False
    own_memory: bool = False  # `launch_kernel` gets the host's memory that a kernel may reach, as `regions`, and copies it

    def emit(self, kernels: Sequence[Kernel], stage: str) -> str | bytes:
        """The kernels of one program at that stage."""
        raise BugError(f"target {self.name} lists stage {stage} but does not make it")

    def emit_lines(self, kernels: Sequence[Kernel], stage: str) -> tuple[str, list[Any] | None]:
        """The text of a stage, and per line the location that it comes from or None; no list where the target does not know."""
        return str(self.emit(kernels, stage)), None

    def stats(self, kernels: Sequence[Kernel]) -> list[dict[str, Any]]:
        """Per kernel: registers, spills, shared memory, occupancy … as far as the target knows."""
        return []

    def mix(self, kernels: Sequence[Kernel], text: str | None = None) -> list[dict[str, Any]]:
        """Per kernel: its instructions by class and opcode, counted in this target's text (`targets/mix.py`)."""
        from .mix import mix

        made = self.emit(kernels, self.text) if self.text and text is None else text
        return [{"kernel": k.name, **mix(self.name, self.text, made if isinstance(made, str) else "", k)} for k in kernels]

    def resources(self, text: str) -> list[dict[str, Any]]:
        """Per kernel of a text in this target's own language: registers, spills, shared memory, as far as its tools say."""
        return []

    def emit_text(self, text: str, stage: str) -> str | bytes:
        """A later stage of a text in this target's own language."""
        raise UnsupportedError(f"{self.name} makes no {stage} of a text")

    def emit_text_lines(self, text: str, stage: str) -> tuple[str, list[tuple[str, int] | None]]:
        """`emit_text`, and per line of the result the (file name, line) that the text's own directives say."""
        raise UnsupportedError(f"{self.name} makes no {stage} of a text")

    def build(self, program: Program, kernels: dict[str, Kernel]) -> Any:
        """An executable: call it with C-contiguous NumPy inputs, it returns a tuple of fresh NumPy outputs.

        It also answers `to_bytes()` for the cache.
        """
        raise DeviceError(f"programs for {self.name} cannot run here: this target has no runtime in this version",
                          hint="use device='cpu' or 'interp' to run it; lower(…).as_text() shows its code")  # fmt: skip

    def driver(self) -> Any:
        """The open device (`targets.driver.Driver`), for targets whose devices have memory of their own; None where arrays are the host's."""
        return None

    def read(self, text: str | bytes, name: str) -> Any:
        """The tree of a program in the target's own language, for targets that can read it."""
        raise UnsupportedError(f"{self.name} has no reader")

    def lift(self, module: Any, entry: str) -> Any:
        """An entry of what `read` gave, as a kernel."""
        raise UnsupportedError(f"{self.name} has no reader")

    def retarget(self, module: Any, arch: str | None, entry: str | None) -> str:
        """What `read` gave as text, for another architecture of the family."""
        raise UnsupportedError(f"{self.name} has no reader")

    def native(self, tree: Any, source: bytes, bounds: bool) -> Any:
        """A module of the target's own language as its driver runs it (`tree` is what `read` gave of `source`), or None where foreign kernels are
        lifted and compiled one by one.  It answers `function(name)`, `stats(name)`, `placed(arrays)`, `launch(…)`, `arrays` (its variables)."""
        return None

    def compile_kernel(self, kernel: Kernel, facts: dict[str, Any], bounds: bool = False, mode: str = "auto") -> Any:
        """A kernel of threads, ready for `launch_kernel`; `facts` (JSON) travel with it to the cache."""
        raise DeviceError(f"kernels of other origin cannot run on {self.name}")

    def load_kernel(self, data: bytes) -> Any:
        """What `compile_kernel` gave, from its `to_bytes()`."""
        raise DeviceError(f"kernels of other origin cannot run on {self.name}")

    def launch_kernel(self, code: Any, values: Sequence[int], grid: Any, block: Any, shared: int, cooperative: bool, cluster: Any,
                      const: tuple[int, int] = (0, 0), regions: Sequence[tuple[int, Any]] = ()) -> None:  # fmt: skip
        """Runs a grid; returns when it is done."""
        raise DeviceError(f"kernels of other origin cannot run on {self.name}")

    def outside(self, kernel: Kernel, facts: dict[str, Any], values: Sequence[int], grid: Any, block: Any, shared: int, cooperative: bool, cluster: Any,
                const: tuple[int, int], regions: Sequence[tuple[int, int]]) -> list[Any]:  # fmt: skip
        """Runs a grid with every access tested; what lay outside of `regions` and the kernel's own memory: (instruction, times, address, block, thread) of
        the first at each instruction."""
        raise DeviceError(f"accesses are not tested on {self.name}", hint="device='cpu'")

    def emit_kernel(self, kernel: Kernel, stage: str) -> str | bytes:
        """A kernel of threads (foreign code) at a stage."""
        raise UnsupportedError(f"{self.name} cannot take kernels of other origin")

    def emit_kernel_lines(self, kernel: Kernel, stage: str) -> tuple[str, list[Any] | None]:
        """`emit_lines` for a kernel of threads."""
        return str(self.emit_kernel(kernel, stage)), None

    def load(self, data: bytes) -> Any:
        """The executable that `to_bytes` described."""
        raise DeviceError(f"programs for {self.name} cannot run here: this target has no runtime in this version")

    def __repr__(self) -> str:
        return f"<target {self.name}>"


_families: dict[str, Callable[[str], Target]] = {}
_targets: dict[str, Target] = {}


def register(family: str, make: Callable[[str], Target]) -> None:
    """Adds a family; two of one name are an error."""
    if family in _families:
        raise UserError(f"two target families are called {family!r}")
    _families[family] = make


def families() -> list[str]:
    return sorted({*BUILT_IN, *_families, *_entry_points()})


def runtime(family: str) -> Any:
    """The module that finds the devices of a family: `detect()` gives them (`number`, `hardware`, `driver`, `why_not`, `facts`, `is_gpu`; never an
    error), and `missing` says why there are none."""
    return import_module(RUNTIMES[family][0])


def present(family: str) -> bool:
    """Whether the system has a trace of such a card's driver: a look at a few files, before `runtime` is loaded."""
    from glob import iglob

    return any(True for pattern in RUNTIMES[family][2] for _ in iglob(pattern))


def _entry_points() -> dict[str, Any]:
    from importlib.metadata import entry_points

    return {e.name: e for e in entry_points(group="ptxjit.targets")}


def _family(word: str) -> Callable[[str], Target]:
    found = _families.get(word)
    if found is None:
        where = BUILT_IN.get(word)
        if where is not None:
            module, _, attribute = where.partition(":")
            found = getattr(import_module(module), attribute)
        else:
            point = _entry_points().get(word)
            if point is None:
                raise UserError(f"there is no target family {word!r}", hint=f"known: {', '.join(families())}")
            try:
                found = point.load()
            except Exception as e:
                whose = point.dist.name if point.dist is not None else point.value
                raise DeviceError(f"the target family {word!r} of the distribution {whose} cannot be loaded: {type(e).__name__}: {e}",
                                  hint=f"repair or remove it: pip install --force-reinstall {whose}") from e  # fmt: skip
        _families[word] = found
    return found


def target(name: str) -> Target:
    """The target of that name (`cpu:host`, `ptx:sm_90`, …); made once."""
    found = _targets.get(name)
    if found is None:
        found = _targets[name] = _family(name.partition(":")[0])(name)
    return found
