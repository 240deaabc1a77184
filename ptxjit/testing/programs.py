"""Random programs of the DSL, as source text: NumPy runs it, and so does `@jit`."""
from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from .strategies import arrays, shapes

UNARY = ("-{x}", "np.abs({x})", "np.sqrt(np.abs({x}))", "np.exp(-np.abs({x}))", "np.sin({x})", "np.tanh({x})", "np.floor({x})", "np.sign({x})",
         "np.log1p(np.abs({x}))", "({x}) * 2 + 1", "({x}) / 3", "np.clip({x}, -2, 2)", "np.square(np.clip({x}, -9, 9))", "np.where({x} > 0, {x}, 0)",
         "np.maximum({x}, 1)", "np.arctan({x})", "np.rint({x})")  # fmt: skip
INTEGER = ("-{x}", "np.abs({x})", "({x}) * 3 + 1", "({x}) // 3", "({x}) % 7", "({x}) & 12", "({x}) ^ 5", "~({x})", "({x}) >> 1", "np.minimum({x}, 9)",
           "np.where({x} > 3, {x}, 1)", "np.sign({x})", "({x}) << 2")  # fmt: skip
BINARY = ("{x} + {y}", "{x} - {y}", "{x} * {y}", "np.maximum({x}, {y})", "np.minimum({x}, {y})", "np.where({x} < {y}, {x}, {y})")
SHAPE = ("{x}.T", "{x}[::-1]", "{x}[..., None].squeeze(-1)", "np.roll({x}, 1)", "{x}.ravel()", "np.concatenate([{x}, {x}])", "np.flip({x})",
         "np.expand_dims({x}, 0)", "{x}[1:]", "np.repeat({x}, 2, axis=0)", "np.pad({x}, 1)")  # fmt: skip
REDUCE = ("{x}.sum(axis={a})", "{x}.sum(axis={a}, keepdims=True)", "{x}.max(axis={a})", "{x}.mean(axis={a})",
          "{x} - {x}.sum(axis={a}, keepdims=True)", "np.cumsum({x}, axis={a})", "{x}.any(axis={a})", "np.argmax({x}, axis={a})")  # fmt: skip


class Program:
    """`source` defines f(x0, …); `inputs` are its arguments; `fn` is f with NumPy as `np`."""

    def __init__(self, source: str, inputs: list[Any]) -> None:
        self.source, self.inputs = source, inputs
        space: dict[str, Any] = {"np": np}
        exec(compile(source, "<program>", "exec"), space)
        self.fn = space["f"]

    def __repr__(self) -> str:
        what = ", ".join(f"{x.dtype}{list(x.shape)}" for x in self.inputs)
        return f"{self.source}# called with {what}"


@st.composite
def programs(draw: Any, dtypes: tuple[str, ...] = ("f4", "f8", "i4", "i8", "f2", "u2"), max_steps: int = 6) -> Program:
    """A random function of one or two arrays: elementwise chains, shapes, reductions."""
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    shape = draw(shapes(1, 3, 600).filter(lambda s: 0 not in s))
    count = draw(st.integers(1, 2))
    inputs = [draw(arrays(dtype, shape, special=False)) for _ in range(count)]
    lines, values = [], [f"x{k}" for k in range(count)]
    shapes_known = [shape] * count
    kinds = [dtype.kind] * count
    for step in range(draw(st.integers(1, max_steps))):
        k = draw(st.integers(0, len(values) - 1))
        x, own, kind = values[k], shapes_known[k], kinds[k]
        group = draw(st.sampled_from(("unary", "unary", "binary", "shape", "reduce")))
        if group == "unary":
            text = draw(st.sampled_from(INTEGER if kind in "iu" else UNARY)) if kind != "b" else "{x} | False"
        elif group == "binary" and kind != "b":
            others = [j for j in range(len(values)) if shapes_known[j] == own and kinds[j] == kind]
            text = draw(st.sampled_from(BINARY)).replace("{y}", values[draw(st.sampled_from(others))])
        elif group == "shape" and own:
            text = draw(st.sampled_from(SHAPE))
        elif group == "reduce" and own and kind != "b":
            text = draw(st.sampled_from(REDUCE)).replace("{a}", str(draw(st.integers(0, len(own) - 1))))
        else:
            continue
        name = f"v{step}"
        line = f"{name} = {text.replace('{x}', x)}"
        space = {"np": np, **{f"x{j}": v for j, v in enumerate(inputs)}}
        with np.errstate(all="ignore"):
            exec("\n".join([*lines, line]), space)
        made = np.asarray(space[name])
        if made.size > 4000 or made.size == 0:
            continue
        lines.append(line)
        values.append(name)
        shapes_known.append(made.shape)
        kinds.append(made.dtype.kind)
    body = "\n".join(f"    {line}" for line in lines)
    arguments = ", ".join(f"x{k}" for k in range(count))
    result = values[-1] if len(values) == count else f"({values[-1]}, {values[draw(st.integers(count, len(values) - 1))]})"
    return Program(f"def f({arguments}):\n{body}\n    return {result}\n" if lines else f"def f({arguments}):\n    return x0 + x0\n", inputs)
