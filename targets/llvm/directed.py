"""Arithmetic in another rounding mode than to nearest: the mode is set around one constrained operation, in a function of its own."""
from __future__ import annotations

from typing import Any

from ...ir.errors import UnsupportedError
from ...ir.instr import Instr
from ...ir.types import Scalar
from .ops import NAMES, SUFFIX

ROUND = {"rz": 0, "rn": 1, "rp": 2, "rm": 3}
CONSTRAINED = {"fadd": "fadd", "fsub": "fsub", "fmul": "fmul", "fdiv": "fdiv", "ffma": "fma", "fsqrt": "sqrt"}


def conversion(name: str, elem: Scalar, out: Scalar) -> str | None:
    """LLVM's word for a conversion that rounds."""
    return {"fcvt": "fptrunc" if out.bits < elem.bits else "fpext", "stof": "sitofp", "utof": "uitofp"}.get(name)


def rounding_mode(rnd: str, x86: bool, declared: set[str]) -> tuple[list[str], list[str]]:
    """Code that sets the rounding mode, and code that sets it back to nearest.  LLVM's own also sets that of the x87, which takes long."""
    if not x86:
        declared.add("declare void @llvm.set.rounding(i32)")
        return [f"  call void @llvm.set.rounding(i32 {ROUND[rnd]}) #2"], ["  call void @llvm.set.rounding(i32 1) #2"]
    declared.update(("declare void @llvm.x86.sse.stmxcsr(ptr)", "declare void @llvm.x86.sse.ldmxcsr(ptr)"))
    return ["  %was = alloca i32", "  %is = alloca i32", "  call void @llvm.x86.sse.stmxcsr(ptr %was)", "  %w = load i32, ptr %was", "  %c = and i32 %w, -24577",
            f"  %m = or i32 %c, { {'rm': 1, 'rp': 2, 'rz': 3}[rnd] << 13}", "  store i32 %m, ptr %is", "  call void @llvm.x86.sse.ldmxcsr(ptr %is)"], [
            "  call void @llvm.x86.sse.ldmxcsr(ptr %was)"]  # fmt: skip


def rounding(lane: Any, name: str, rnd: str, elem: Scalar, out: Scalar, count: int, i: Instr) -> str:
    """A helper that sets the rounding mode around one constrained operation of so many operands."""
    t, u = NAMES[elem.name], NAMES[out.name]
    kind = conversion(name, elem, out) or CONSTRAINED.get(name)
    if kind is None:
        raise UnsupportedError(f"{name} with rounding {rnd}", place=i.loc)
    types = SUFFIX[out.name] if kind in CONSTRAINED.values() else f"{SUFFIX[out.name]}.{SUFFIX[elem.name]}"
    helper = f"round.{rnd}.{kind}.{types}"
    if helper not in lane.helpers:
        intrinsic = f"llvm.experimental.constrained.{kind}.{types}"
        names = ", ".join(f"{t} %a{n}" for n in range(count))
        lane.declared.add(f"declare {u} @{intrinsic}({', '.join([t] * count)}, metadata, metadata)")
        before, after = rounding_mode(rnd, getattr(getattr(lane, "main", lane), "x86", False), lane.declared)
        lane.helpers[helper] = "\n".join([
            f"define internal {u} @{helper}({names}) #1 {{", "entry:", *before,
            f'  %r = call {u} @{intrinsic}({names}, metadata !"round.dynamic", metadata !"fpexcept.strict") #2', *after, f"  ret {u} %r", "}"])  # fmt: skip
    return helper
