"""Evaluating lane and math ops on NumPy arrays: the single place where an interpreter, constant folding or a test asks for a result."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..op import Attrs, LaneOps, Op
from ..types import Scalar, Type


class EvalValue:
    """An array with its scalar type."""

    __slots__ = ("type", "data")

    def __init__(self, type: Scalar, data: Any) -> None:
        self.type, self.data = type, data


class EvalBuilder(LaneOps):
    """A builder that computes at once: a definition written through it gives the number."""

    def emit(self, op: Op, args: Sequence[Any], attrs: Attrs) -> Any:
        [ty] = op.infer(tuple(a.type for a in args), attrs)
        return EvalValue(ty.elem, eval_lane(op, ty.elem, [a.data for a in args], attrs))

    def const(self, ty: Type, value: Any) -> Any:
        with np.errstate(over="ignore"):
            return EvalValue(ty.elem, np.asarray(value).astype(ty.elem.np))


_BUILDER = EvalBuilder()


def eval_lane(op: Op, elem: Scalar, datas: Sequence[Any], attrs: Attrs = ()) -> Any:
    """The result of a lane or math op on arrays (`Scalar.np` dtypes)."""
    if op.kind == "math":
        from ..ops.math import definition_of

        shape = np.broadcast_shapes(*(np.shape(d) for d in datas))
        operand = elem  # every math op has operands of its result's type
        values = [EvalValue(operand, np.broadcast_to(d, shape)) for d in datas]
        return np.broadcast_to(definition_of(op)(_BUILDER, *values).data, shape)
    assert op.meaning is not None
    out = op.meaning(elem, *datas, **dict(attrs))
    return out.reshape(()) if np.ndim(out) and not any(np.ndim(d) for d in datas) else out  # exact arithmetic works on at least one lane
