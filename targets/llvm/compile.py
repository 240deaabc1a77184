"""LLVM IR text → object code or assembly, for any triple that LLVM knows.  The only module that imports llvmlite.

Each compile has its own LLVM context and emits once.  Our own passes have already removed common and dead work, so the pipeline here
is a short one: measured against `-O2`, the same code in a quarter of the time.
"""
from __future__ import annotations

import threading
from functools import lru_cache
from typing import Any, NamedTuple

from ...ir.errors import BugError

_lock = threading.Lock()
HUGE = 20_000  # lines of IR from which on the optimiser's level drops


class Machine(NamedTuple):
    """What code is made for.  Empty strings mean the host."""

    triple: str = ""
    cpu: str = ""
    features: str = ""


@lru_cache(maxsize=None)
def _llvm() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    return llvm


@lru_cache(maxsize=None)
def host() -> Machine:
    """This machine in LLVM's words."""
    llvm = _llvm()
    return Machine(llvm.get_process_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())


def target_machine(m: Machine, level: int = 2) -> Any:
    llvm = _llvm()
    if not m.cpu:
        m = host()
    return llvm.Target.from_triple(m.triple).create_target_machine(cpu=m.cpu, features=m.features, opt=level, reloc="pic", codemodel="small")


@lru_cache(maxsize=None)
def layout_of(m: Machine) -> str:
    """The data layout of a machine, in LLVM's words."""
    return str(target_machine(m).target_data)


def _optimised(text: str, machine: Any, level: int) -> Any:
    llvm = _llvm()
    try:
        module = llvm.parse_assembly(text, llvm.create_context())
    except RuntimeError as e:
        raise BugError(f"the LLVM IR that was written is not valid: {str(e).strip()}") from None
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=level))
    if "alwaysinline" in text:
        inline = llvm.create_new_module_pass_manager()
        inline.add_always_inliner_pass()
        inline.add_global_dead_code_eliminate_pass()
        inline.run(module, builder)
    passes = llvm.create_new_function_pass_manager()
    if "alloca" in text:
        passes.add_sroa_pass()
    passes.add_instruction_combine_pass()
    passes.add_new_gvn_pass()
    passes.add_simplify_cfg_pass()
    passes.add_loop_simplify_pass()
    passes.add_lcssa_pass()
    passes.add_loop_strength_reduce_pass()
    for f in module.functions:
        if not f.is_declaration:
            passes.run(f, builder)
    return module


def level_of(text: str) -> int:
    """LLVM's optimisation level: it drops for huge kernels."""
    return 1 if text.count("\n") > HUGE else 2


def compile_object(text: str, m: Machine = Machine()) -> bytes:
    """A relocatable object."""
    level = level_of(text)
    with _lock:
        machine = target_machine(m, level)
        return bytes(machine.emit_object(_optimised(text, machine, level)))


def compile_assembly(text: str, m: Machine = Machine()) -> str:
    """Assembly text."""
    level = level_of(text)
    with _lock:
        machine = target_machine(m, level)
        return str(machine.emit_assembly(_optimised(text, machine, level)))


def load_object(obj: bytes, names: list[str]) -> tuple[Any, dict[str, int]]:
    """LLVM's own loader, for platforms whose objects we do not link: the engine (keep it) and the addresses."""
    llvm = _llvm()
    module = llvm.parse_assembly("", llvm.create_context())
    engine = llvm.create_mcjit_compiler(module, target_machine(host()))
    engine.add_object_file(llvm.ObjectFileRef.from_data(obj))
    engine.finalize_object()
    return engine, {n: engine.get_function_address(n) for n in names}

