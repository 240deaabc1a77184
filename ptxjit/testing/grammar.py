"""Random programs of the DSL, as source text: NumPy runs them, and so does `@jit`.

A program is a list of steps, each one row of the table below applied to earlier values.  A row names the dtype kinds that it takes and
says how far its result may be from NumPy's: not at all (exactly rounded arithmetic, integers, moving elements), or by what other
libraries (mathematics) and other orders (sums) explain.  While a program is drawn, NumPy runs it, so that a row is only offered operands that it has.
"""
from __future__ import annotations

import itertools
import linecache
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
from hypothesis import strategies as st

from .strategies import arrays, shapes

LIMIT = 40_000  # elements of a value
EXACT, MATH, SUM = 0.0, 4.0, 64.0  # NumPy's bits; two libraries; two orders (a chain of 256 additions may be that far from a tree)
_numbers = itertools.count(1)


class Row(NamedTuple):
    """`text` with {x} and {y} for operands and {axis}, {k}, … for what `_FILL` draws; `kinds` of NumPy dtypes; `bound` in units of the
    last place, beyond what the reference's own sensitivity explains; `needs` of x."""

    text: str
    kinds: str
    bound: float = EXACT
    needs: Callable[[Any], bool] = lambda x: True
    narrow: bool = False  # also for bfloat16, which not every NumPy function knows


def _nonempty(x: Any) -> bool:
    return bool(x.size)


def _dims(x: Any) -> bool:
    return bool(x.ndim and x.size)


def _flat(x: Any) -> bool:
    return bool(x.ndim == 1 and 0 < x.size < 400)


def _small(x: Any) -> bool:
    return bool(0 < x.size < 400 and 0 < x.ndim < 3)


def _plain(words: str, kinds: str, bound: float = EXACT, narrow: bool = False) -> list[Row]:
    return [Row(f"np.{w}({{x}})", kinds, bound, narrow=narrow) for w in words.split()]


TABLE: tuple[Row, ...] = (
    # elementwise, one operand
    *_plain("negative positive absolute square sign floor ceil trunc rint isnan isinf isfinite", "f", narrow=True),
    Row("np.signbit(np.nan_to_num({x}))", "f"), Row("np.copysign({x}, np.nan_to_num({y}))", "f"),  # which sign a NaN has is the CPU's affair
    *_plain("sqrt reciprocal nan_to_num spacing fabs", "f"), *_plain("deg2rad rad2deg", "f", MATH),
    *_plain("negative absolute square sign bitwise_count", "i"), *_plain("square bitwise_count invert", "u"), *_plain("invert logical_not", "b"),
    *_plain("exp exp2 expm1 log log2 log10 log1p sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh cbrt", "f", MATH),
    Row("np.exp({x})", "f", MATH, narrow=True), Row("np.tanh({x})", "f", MATH, narrow=True), Row("np.log1p(np.abs({x}))", "f", MATH, narrow=True),
    Row("np.sin({x})", "iu", MATH), Row("np.sqrt({x})", "iub", EXACT), Row("pj.erf({x})", "f", MATH, lambda x: x.dtype.itemsize > 2),
    Row("{x} * {c} + {d}", "f"), Row("{x} * 2 + {d}", "f", narrow=True), Row("{x} / {d}", "f", narrow=True), Row("{d} - {x}", "fi", narrow=True), Row("{x} ** 2", "fiu"),
    Row("{x} // {d}", "fiu"), Row("{x} % {d}", "fiu"), Row("{x} & {k}", "iu"), Row("{x} ^ {k}", "iu"), Row("{x} | {k}", "iu"), Row("{x} << {k}", "iu"),
    Row("{x} >> {k}", "iu"), Row("~{x}", "iub"), Row("{x} / {d}", "iu"), Row("{x} > {k}", "fiu", narrow=True), Row("{x} == {k}", "fiu", narrow=True),
    Row("np.clip({x}, -{k}, {d})", "fi"), Row("np.clip({x}, {k}, {d} + {k})", "u"), Row("np.where({x} > 0, {x}, -{x})", "fi", narrow=True),
    Row("np.round({x}, {k})", "i"), Row("np.modf({x})[{bit}]", "f"), Row("np.ldexp({x}, {k})", "f"), Row("np.float_power({x}, 2)", "fi", MATH),
    # elementwise, two operands
    *(Row(f"{{x}} {o} {{y}}", "fiu", narrow=True) for o in ("+", "*", "<", "==", ">=", "!=")), *(Row(f"{{x}} {o} {{y}}", "fiu") for o in ("//", "%")),
    Row("{x} - {y}", "fi", narrow=True), Row("{x} / {y}", "fiu"), *(Row(f"{{x}} {o} {{y}}", "iub") for o in "&|^"),
    *(Row(f"np.{w}({{x}}, {{y}})", "fiub") for w in "maximum minimum logical_and logical_or logical_xor".split()),
    *(Row(f"np.{w}({{x}}, {{y}})", "f") for w in "fmax fmin heaviside fmod nextafter".split()),
    *(Row(f"np.{w}({{x}}, {{y}})", "f", MATH) for w in "arctan2 hypot power logaddexp logaddexp2".split()),
    *(Row(f"np.{w}({{x}}, {{y}})", "iu") for w in "left_shift right_shift fmod".split()),
    Row("np.where({x} < {y}, {x}, {y})", "fiu", narrow=True), Row("np.where({m}, {x}, {y})", "fiub"),
    # conversions
    Row("{x}.astype({float})", "fiub", narrow=True), Row("{x}.astype({any})", "iub"), Row("{x}.astype(np.bool_)", "fiub"),
    Row("np.clip(np.nan_to_num({x}), 0, 100).astype({int})", "f"),
    # moving elements
    Row("{x}.T", "fiub", narrow=True), Row("{x}[{index}]", "fiub", EXACT, _dims, True), Row("np.flip({x}, axis={axis})", "fiub", EXACT, _dims, True),
    Row("np.roll({x}, {k}, axis={axis})", "fiub", EXACT, _dims, True), Row("np.roll({x}, {k})", "fiub", EXACT, _nonempty),
    Row("np.reshape({x}, {shape})", "fiub", EXACT, _nonempty, True), Row("{x}.ravel()", "fiub", narrow=True),
    Row("np.transpose({x}, {perm})", "fiub", EXACT, lambda x: x.ndim > 1, True), Row("np.swapaxes({x}, 0, {axis})", "fiub", EXACT, lambda x: x.ndim > 0),
    Row("np.moveaxis({x}, {axis}, 0)", "fiub", EXACT, lambda x: x.ndim > 0), Row("np.expand_dims({x}, {axis})", "fiub", EXACT, lambda x: 0 < x.ndim < 4),
    Row("np.concatenate([{x}, {x}], axis={axis})", "fiub", EXACT, lambda x: x.ndim > 0, True), Row("np.stack([{x}, {x}], axis=0)", "fiub", narrow=True),
    Row("np.tile({x}, {n})", "fiub", EXACT, _nonempty), Row("np.repeat({x}, {n}, axis={axis})", "fiub", EXACT, _dims), Row("np.squeeze({x})", "fiub"),
    Row("np.pad({x}, {n})", "fiub", EXACT, _dims), Row("np.pad({x}, {n}, mode='edge')", "fiub", EXACT, _dims),
    Row("np.take({x}, {places}, axis={axis})", "fiub", EXACT, _dims, True), Row("np.tril({x}, {k})", "fiub", EXACT, lambda x: x.ndim > 1),
    Row("np.triu({x}, -{k})", "fiub", EXACT, lambda x: x.ndim > 1), Row("np.broadcast_to({x}, (2, *{x}.shape))", "fiub", EXACT, lambda x: x.ndim < 4, True),
    Row("np.take({x}, np.abs({x}.astype(np.int64)) % {size}, axis=0)", "iu", EXACT, lambda x: x.ndim == 1 and x.size > 0),
    Row("np.arange({n}) + {x}[..., :1]", "fiu", EXACT, _dims), Row("np.eye({n}, dtype={x}.dtype) * {x}.ravel()[0]", "fiu", EXACT, _nonempty),
    # reductions and scans
    *(Row(f"{{x}}.{w}(axis={{axis}}, keepdims={{flag}})", "iub", EXACT, _dims) for w in "sum prod max min any all".split()),
    *(Row(f"{{x}}.{w}(axis={{axis}}, keepdims={{flag}})", "f", SUM, _dims) for w in "sum mean var std".split()),
    # factors of at most 1: an overflow on the way depends on the order, and 0·∞ is not 0
    Row("np.clip({x}, -1, 1).prod(axis={axis})", "f", SUM, _dims), Row("np.cumprod(np.clip({x}, -1, 1), axis={axis})", "f", SUM, _dims),
    *(Row(f"{{x}}.{w}(axis={{axis}}, keepdims={{flag}})", "f", EXACT, _dims, True) for w in "max min".split()),
    *(Row(f"np.{w}({{x}}, axis={{axis}})", "f", EXACT, _dims) for w in "any all".split()),
    *(Row(f"np.{w}({{x}})", "iub", EXACT, _nonempty) for w in "sum max min any count_nonzero".split()),
    *(Row(f"np.{w}({{x}})", "f", SUM, _nonempty) for w in "sum mean".split()), Row("np.std({x}, ddof=1)", "f", SUM, lambda x: x.size > 1),
    *(Row(f"np.{w}({{x}}, axis={{axis}})", "fiub", EXACT, _dims) for w in "argmax argmin".split()), Row("np.argmax({x})", "fiub", EXACT, _nonempty),
    Row("np.mean({x}, axis={axis})", "iub", SUM, _dims), Row("{x}.sum(axis=(0, -1))", "f", SUM, lambda x: x.ndim > 1 and x.size > 0),
    *(Row(f"np.{w}({{x}}, axis={{axis}})", "iu", EXACT, _dims) for w in "cumsum cumprod".split()),
    Row("np.cumsum({x}, axis={axis})", "f", SUM, _dims),
    Row("np.bincount({x} % 7, minlength=7)", "u", EXACT, lambda x: x.ndim == 1 and x.dtype.itemsize < 8),
    Row("np.exp({x} - {x}.max(axis=-1, keepdims=True))", "f", SUM, _dims),
    # products
    Row("{x} @ {x}.T", "fi", SUM, lambda x: x.ndim == 2 and _small(x)), Row("np.matmul({x}.T, {x})", "fi", SUM, lambda x: x.ndim == 2 and _small(x)),
    Row("np.dot({x}, {x})", "f", SUM, _flat), Row("np.einsum('i,j->ij', {x}, {x})", "fi", EXACT, lambda x: x.ndim == 1 and 0 < x.size < 50),
    Row("np.einsum('ij->ji', {x})", "fiu", EXACT, lambda x: x.ndim == 2), Row("np.einsum('ij,ij->i', {x}, {x})", "f", SUM, lambda x: x.ndim == 2 and _small(x)),
    Row("np.tensordot({x}, {x}, axes={ndim})", "f", SUM, _small), Row("np.outer({x}, {x})", "fi", EXACT, lambda x: x.ndim == 1 and x.size < 50),
    # loops
    Row("pj.fori_loop(0, {n}, lambda i, s: s * {c} + {x}, {x})", "f", EXACT, lambda x: x.dtype.itemsize > 2),
    Row("pj.fori_loop(0, {k}, lambda i, s: s + i, {x}.astype(np.int64))", "iu"),
)  # fmt: skip

FLOATS = ("np.float32", "np.float64", "np.float16")
INTS = ("np.int32", "np.int64", "np.int16", "np.int8", "np.uint32", "np.uint64", "np.uint16", "np.uint8")
DTYPES = tuple(np.dtype(d) for d in ("f4", "f4", "f8", "i4", "f2", "i8", "u4", "u1", "i2", "u2", "u8", "i1", "?", ml_dtypes.bfloat16))


class Step(NamedTuple):
    """`name = text`; `bound` as in the table."""

    name: str
    text: str
    bound: float


class Program:
    """`source` defines `f(x0, …)`, `fn` is that function (NumPy runs it as it is, `@jit` compiles it), `inputs` are its arguments.

    `steps` are its lines, `returned` the names in its result; `every` is the function that returns the value of each step.
    """

    def __init__(self, steps: list[Step], returned: list[str], inputs: list[Any]) -> None:
        self.steps, self.returned, self.inputs = _needed(steps, returned), returned, inputs
        self.arguments = [f"x{k}" for k in range(len(inputs))]
        self.source = self._source("f", returned)
        self.fn = self._compile(self.source, "f")
        self.every = self._compile(self._source("every", [s.name for s in self.steps]), "every")

    def _source(self, name: str, returned: list[str]) -> str:
        lines = [f"def {name}({', '.join(self.arguments)}):", *(f"    {s.name} = {s.text}" for s in self.steps), f"    return ({', '.join(returned)},)"]
        return "\n".join(lines) + "\n"

    @staticmethod
    def _compile(source: str, name: str) -> Callable[..., Any]:
        file = f"<program {next(_numbers)}>"
        space = namespace()
        exec(compile(source, file, "exec"), space)  # noqa: S102  our own text
        linecache.cache[file] = (len(source), None, source.splitlines(True), file)
        return space[name]  # type: ignore[no-any-return]

    def run_step(self, step: Step, values: dict[str, Any]) -> Any:
        """One step by NumPy, on the values given."""
        return eval(step.text, {**namespace(), **values})  # noqa: S307

    def script(self) -> str:
        """A file that runs this program by NumPy and under @jit."""
        import base64

        lines = ["import base64", "import ml_dtypes, numpy as np", "import ptxjit as pj", ""]
        for name, x in zip(self.arguments, self.inputs):
            data = base64.b64encode(np.ascontiguousarray(x).tobytes()).decode()
            dtype = "ml_dtypes.bfloat16" if x.dtype == ml_dtypes.bfloat16 else repr(x.dtype.str)
            lines.append(f"{name} = np.frombuffer(base64.b64decode({data!r}), {dtype}).reshape({x.shape})")
        arguments = ", ".join(self.arguments)
        return "\n".join([*lines, "", self.source, f"print('NumPy ', f({arguments}))", f"print('ptxjit', pj.jit(f)({arguments}))", ""])

    def __repr__(self) -> str:
        return self.source + "\n".join(f"# {n}: {show_array(x)}" for n, x in zip(self.arguments, self.inputs))


def show_array(x: Any) -> str:
    """dtype, shape, layout, and the elements (the first and last of many)."""
    if not isinstance(x, np.ndarray):
        return f"{x!r} ({type(x).__name__})"
    layout = "" if x.flags.c_contiguous else f", strides {x.strides}"
    layout += "" if x.flags.aligned else ", misaligned"
    text = np.array2string(x.ravel(), threshold=24, edgeitems=8, max_line_width=10_000).replace("\n", " ")
    return f"{x.dtype}{list(x.shape)}{layout} = {text}"


def namespace() -> dict[str, Any]:
    """What a program's text may name."""
    import ptxjit

    return {"np": np, "pj": ptxjit}


def _needed(steps: list[Step], returned: list[str]) -> list[Step]:
    """The steps that the results depend on."""
    import re

    needed, out = set(returned), []
    for s in reversed(steps):
        if s.name in needed:
            needed.update(re.findall(r"\b[xv]\d+\b", s.text))
            out.append(s)
    return out[::-1]


# ---- drawing --------------------------------------------------------------------------------------------------------


def _index(draw: Any, x: Any) -> str:
    """Ints, slices with steps, None, an ellipsis, and a list of places: what basic and simple advanced indexing offer."""
    words, listed = [], False
    for n in x.shape:
        kind = draw(st.sampled_from(("slice", "int", "list", "step", "back")))
        if kind == "int":
            words.append(str(draw(st.integers(-n, n - 1))))
        elif kind == "list" and not listed:
            listed = True
            words.append(str(draw(st.lists(st.integers(-n, n - 1), min_size=1, max_size=4))))
        elif kind == "step":
            words.append(f"{draw(st.integers(0, n - 1))}::{draw(st.integers(1, 3))}")
        elif kind == "back":
            words.append("::-1")
        else:
            words.append(f":{n - draw(st.integers(0, min(2, n - 1)))}")
    if draw(st.booleans()):
        words = words[: draw(st.integers(0, len(words)))] + ["..."]
    if not listed and x.ndim < 4 and draw(st.booleans()):
        words.insert(draw(st.integers(0, len(words))), "None")
    return ", ".join(words) if words else "..."


def _factors(draw: Any, x: Any) -> str:
    left, out = x.size, []
    for _ in range(draw(st.integers(0, 2))):
        d = draw(st.sampled_from([k for k in range(1, min(left, 64) + 1) if left % k == 0]))
        out.append(d)
        left //= d
    return str((*out, left))


_FILL: dict[str, Callable[[Any, Any], str]] = {
    "axis": lambda draw, x: str(draw(st.integers(-x.ndim, x.ndim - 1))) if x.ndim else "0",
    "k": lambda draw, x: str(draw(st.integers(0, 6))),
    "n": lambda draw, x: str(draw(st.integers(1, 3))),
    "c": lambda draw, x: draw(st.sampled_from(("0.5", "-1.25", "2", "1e-3"))),
    "d": lambda draw, x: draw(st.sampled_from(("3", "7", "1"))),
    "bit": lambda draw, x: str(draw(st.integers(0, 1))),
    "flag": lambda draw, x: str(draw(st.booleans())),
    "float": lambda draw, x: draw(st.sampled_from(FLOATS)),
    "int": lambda draw, x: draw(st.sampled_from(INTS)),
    "any": lambda draw, x: draw(st.sampled_from(FLOATS + INTS)),
    "index": _index,
    "shape": _factors,
    "perm": lambda draw, x: str(tuple(draw(st.permutations(range(x.ndim))))),
    "places": lambda draw, x: str(draw(st.lists(st.integers(0, min(x.shape) - 1), min_size=1, max_size=5))),
    "size": lambda draw, x: str(x.shape[0]),
    "ndim": lambda draw, x: str(x.ndim),
}


def _suits(r: Row, x: Any) -> bool:
    if x.dtype == ml_dtypes.bfloat16:  # without dimensions, NumPy promotes it by value
        return r.narrow and bool(x.ndim) and r.needs(x)
    return x.dtype.kind in r.kinds and r.needs(x)


def _partners(values: dict[str, Any], x: Any, kinds: str) -> list[str]:
    """Values that broadcast with x to something small."""
    out = []
    for name, y in values.items():
        if y.dtype.kind not in kinds or (ml_dtypes.bfloat16 in (x.dtype, y.dtype) and (x.dtype != y.dtype or not y.ndim)):
            continue
        try:
            shape = np.broadcast_shapes(x.shape, y.shape)
        except ValueError:
            continue
        if math.prod(shape) <= LIMIT:
            out.append(name)
    return out


def _text(draw: Any, r: Row, name: str, values: dict[str, Any]) -> str | None:
    x = values[name]
    kinds = "V" if x.dtype == ml_dtypes.bfloat16 else r.kinds
    words = {"x": name}
    for part in _fields(r.text):
        if part == "y":
            words["y"] = draw(st.sampled_from(_partners(values, x, kinds)))
        elif part == "m":
            masks = _partners(values, x, "b")
            if not masks:
                return None
            words["m"] = draw(st.sampled_from(masks))
        elif part != "x":
            words[part] = _FILL[part](draw, x)
    return r.text.format(**words)


def _fields(text: str) -> list[str]:
    import string

    return list(dict.fromkeys(f for _, f, _, _ in string.Formatter().parse(text) if f))


@st.composite
def programs(draw: Any, dtypes: Any = DTYPES, max_steps: int = 8, max_inputs: int = 3) -> Program:
    """A random function of one to three arrays, of any dtypes and layouts, whose shapes broadcast together."""
    base = draw(shapes(0, 3, draw(st.sampled_from((600, 600, 600, 600, 20_000)))))
    values: dict[str, Any] = {}
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    for k in range(draw(st.integers(1, max_inputs))):
        shape = tuple(1 if draw(st.integers(0, 7)) == 7 else n for n in base) if k else base
        if k and draw(st.integers(0, 7)) == 7:
            shape = shape[1:]
        if k and dtype != ml_dtypes.bfloat16 and draw(st.integers(0, 3)) == 3:
            dtype = np.dtype(draw(st.sampled_from([d for d in dtypes if np.dtype(d) != ml_dtypes.bfloat16] or dtypes)))
        values[f"x{k}"] = draw(arrays(dtype, shape))
    inputs = list(values.values())
    steps: list[Step] = []
    for _ in range(draw(st.integers(1, max_steps))):
        names = list(values)
        name = names[-1] if draw(st.integers(0, 3)) < 3 else draw(st.sampled_from(names))
        rows = [r for r in TABLE if _suits(r, values[name])]
        if not rows:
            continue
        r = draw(st.sampled_from(rows))
        text = _text(draw, r, name, values)
        if text is None:
            continue
        try:
            with np.errstate(all="ignore"):
                made = np.asarray(eval(text, {**namespace(), **values}))  # noqa: S307  our own text
        except (TypeError, OverflowError, ValueError):  # NumPy itself has no such operation: int64 & uint64, uint8 + 300, three shapes
            continue
        if made.size <= LIMIT and made.ndim <= 5:
            step = Step(f"v{len(steps)}", text, r.bound)
            steps.append(step)
            values[step.name] = made
    if not steps:
        steps.append(Step("v0", "x0 * x0" if inputs[0].dtype.kind != "b" else "~x0", EXACT))
    made_names = [s.name for s in steps]
    returned = [made_names[-1]]
    if len(made_names) > 1 and draw(st.integers(0, 2)) == 2:
        returned.append(draw(st.sampled_from(made_names[:-1])))
    return Program(steps, returned, inputs)
