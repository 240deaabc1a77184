"""`cpu:host` and its siblings: stages `ll`, `asm`, `obj`; what is made for a CPU of fewer abilities than the host's runs here as well."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...ir.errors import BugError, DeviceError
from ...ir.kernel import Kernel
from ...ir.program import Program
from .. import Target
from .host import NAMED, facts_for, why_not


class CpuTarget(Target):
    stages = ("ll", "asm", "obj")
    text = "asm"
    kernel_stages = ("ll", "asm")
    binary_stage = "obj"

    def __init__(self, name: str) -> None:
        self.facts = facts_for(name)
        self.name = self.facts.target
        self.why_not = None if self.is_host else why_not(self.name.partition(":")[2])
        self.runs_kernels = self.why_not is None

    @property
    def is_host(self) -> bool:
        return self.name == "cpu:host"

    def _must_run(self) -> None:
        if self.why_not is not None:
            raise DeviceError(f"code for {self.name} does not run here: {self.why_not}", hint="use target='cpu:host'")

    def _machine(self) -> Any:
        from ..llvm.compile import Machine, host

        if self.is_host:
            return host()
        triple, cpu, _, _ = NAMED[self.name.partition(":")[2]]
        return Machine(triple, cpu, "")

    def _module(self, kernels: Sequence[Kernel], debug: Any = None) -> str:
        from ..llvm.emit import emit_module

        wide = self.facts.vector_bits == 512
        return emit_module(kernels, triple=self._machine().triple, features=frozenset(["avx512"] if wide else []), debug=debug)

    def emit(self, kernels: Sequence[Kernel], stage: str) -> str | bytes:
        from ..llvm.compile import compile_assembly, compile_object

        machine, text = self._machine(), self._module(kernels)
        if stage == "ll":
            return text
        if stage == "asm":
            return compile_assembly(text, machine)
        if stage == "obj":
            return compile_object(text, machine)
        raise BugError(f"{self.name} has no stage {stage}")

    def emit_lines(self, kernels: Sequence[Kernel], stage: str) -> tuple[str, list[Any] | None]:
        from ..llvm.debug import Locations

        debug = Locations()
        return self._marked(debug, self._module(kernels, debug), stage, lambda: str(self.emit(kernels, stage)))

    def _marked(self, debug: Any, text: str, stage: str, plain: Callable[[], str]) -> tuple[str, list[Any] | None]:
        """A stage of a module with locations, without their marks."""
        from ..llvm.compile import compile_assembly

        if stage not in ("ll", "asm"):
            raise BugError(f"{self.name} has no text {stage}")
        made: tuple[str, list[Any] | None] = debug.read(text, stage, lambda marked: compile_assembly(marked, self._machine()), plain)
        return made

    def build(self, program: Program, kernels: dict[str, Kernel]) -> Any:
        from ..plan import plan_of
        from .link import Artifact, link
        from .load import LINUX_X86
        from .pool import TASK
        from .runtime import Executable

        self._must_run()
        plan, constants = plan_of(program)
        obj = self.emit(list(kernels.values()), "obj")
        assert isinstance(obj, bytes)
        if LINUX_X86:
            artifact = link(obj)
        else:
            artifact = Artifact("object", obj, dict.fromkeys([*kernels, TASK], 0))
        return Executable(plan, constants, artifact)

    def compile_kernel(self, kernel: Kernel, facts: dict[str, Any], bounds: bool = False, mode: str = "auto") -> Any:
        """A kernel of threads (foreign PTX), compiled for this machine: what `launch` takes.  `facts` (JSON) travel with it to the cache."""
        from .launch import Code

        self._must_run()
        return Code.compile(kernel, self.facts, self._machine(), facts, bounds, mode)

    def load_kernel(self, data: bytes) -> Any:
        """What `compile_kernel` gave, from its `to_bytes()`."""
        from .launch import Code

        self._must_run()
        return Code.from_bytes(data)

    def emit_kernel(self, kernel: Kernel, stage: str) -> str | bytes:
        """A kernel of threads as LLVM IR, assembly or object code of this target."""
        from ..llvm.compile import compile_assembly, compile_object
        from ..llvm.dispatch import Dispatch
        from ..llvm.lanes import FORMS
        from .launch import legal

        machine = self._machine()
        text = Dispatch(legal(kernel, self.facts), machine.triple, form=FORMS[0], wide=self.facts.vector_bits == 512).text
        if stage == "ll":
            return text
        return compile_assembly(text, machine) if stage == "asm" else compile_object(text, machine)

    def emit_kernel_lines(self, kernel: Kernel, stage: str) -> tuple[str, list[Any] | None]:
        from ..llvm.debug import Locations
        from ..llvm.dispatch import Dispatch
        from ..llvm.lanes import FORMS
        from .launch import legal

        debug = Locations()
        text = Dispatch(legal(kernel, self.facts), self._machine().triple, debug=debug, form=FORMS[0], wide=self.facts.vector_bits == 512).text
        return self._marked(debug, text, stage, lambda: str(self.emit_kernel(kernel, stage)))

    def launch_kernel(self, code: Any, values: Sequence[int], grid: Any, block: Any, shared: int, cooperative: bool, cluster: Any,
               const: tuple[int, int] = (0, 0), regions: Sequence[tuple[int, int]] = ()) -> None:  # fmt: skip
        """Runs a grid of it; returns when it is done."""
        from .launch import launch

        launch(code, values, grid, block, shared, cooperative, cluster, const, regions)

    def outside(self, kernel: Kernel, facts: dict[str, Any], values: Sequence[int], grid: Any, block: Any, shared: int, cooperative: bool, cluster: Any,
                const: tuple[int, int], regions: Sequence[tuple[int, int]]) -> list[Any]:  # fmt: skip
        from .launch import Record, launch

        code = self.compile_kernel(kernel, facts, bounds=True)
        record = Record(code)
        launch(code, values, grid, block, shared, cooperative, cluster, const, regions, record.address)
        return record.seen(block)

    def load(self, data: bytes) -> Any:
        from .runtime import Executable

        self._must_run()
        return Executable.from_bytes(data)

    def stats(self, kernels: Sequence[Kernel]) -> list[dict[str, Any]]:
        """Widest register and moves to and from the stack in each kernel's assembly."""
        out = []
        for k in kernels:
            text = str(self.emit([k], "asm"))
            body = text[text.index(f"{k.name}:\n") :].split("func_end", 1)[0]
            widest = next((w for w, r in ((512, "zmm"), (256, "ymm"), (128, "xmm"), (128, "v0.")) if r in body), 0)
            spills = sum("(%rsp)" in line and line.strip().startswith("vmov") for line in body.splitlines())
            out.append({"kernel": k.name, "vector bits": widest, "stack moves": spills, "shared bytes": k.shared})
        return out


def make(name: str) -> CpuTarget:
    return CpuTarget(name)
