"""The strategies draw what they promise."""
from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from ptxjit.testing import arrays, bits_equal, programs, scalars, shapes
from ptxjit.testing.grammar import TABLE
from ptxjit.testing.strategies import LAYOUTS, lay_out

ONCE = settings(max_examples=3000, database=None, derandomize=True, deadline=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("what", [np.isnan, np.isinf, lambda v: v == 0 and np.signbit(v), lambda v: 0 < abs(v) < np.finfo("f4").smallest_normal,
                                  lambda v: v == np.finfo("f4").max])  # fmt: skip
def test_troublesome_floats_are_found(what):
    assert what(find(scalars("f4"), lambda v: bool(what(v)), settings=ONCE))


@pytest.mark.parametrize("dtype", ["i1", "u1", "i8", "u8"])
def test_extremes_of_integers_are_found(dtype):
    info = np.iinfo(dtype)
    for value in (info.min, info.max, 0):
        assert find(scalars(dtype), lambda v: int(v) == value, settings=ONCE) == value  # noqa: B023


@given(shapes(1, 3, 500))
def test_shapes_stay_within_bounds(shape):
    assert 1 <= len(shape) <= 3 and np.prod(shape, dtype=np.int64) <= 500


@given(arrays("f32", (3, 4)), arrays(ml_dtypes.bfloat16), arrays("f4", shapes(0, 2), low=0, high=2), arrays("i4", 5 * (1,), special=False))
def test_arrays_are_as_asked(a, b, c, d):
    assert a.dtype == np.float32 and a.shape == (3, 4) and b.dtype == ml_dtypes.bfloat16
    assert c.size == 0 or (c.min() >= 0 and c.max() <= 2)
    assert d.shape == (1, 1, 1, 1, 1)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_keep_the_elements(layout):
    x = np.arange(24, dtype="f4").reshape(2, 3, 4)
    y = lay_out(x, layout)
    assert y.shape == x.shape and y.dtype == x.dtype
    if layout != "repeated":
        np.testing.assert_array_equal(x, y)
    if layout in ("fortran", "strided", "reversed", "transposed", "repeated"):
        assert not y.flags.c_contiguous
    assert layout != "misaligned" or not y.flags.aligned
    assert layout != "readonly" or not y.flags.writeable


def test_programs_use_the_whole_table():
    seen: set[str] = set()

    @settings(max_examples=900, database=None, derandomize=True, deadline=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck))
    @given(programs(max_steps=12))
    def collect(p):
        seen.update(s.text.split("(")[0] for s in p.steps)
        with np.errstate(all="ignore"):
            first, again = p.fn(*p.inputs), p.fn(*p.inputs)
        assert len(first) == len(p.returned) and all(bits_equal(a, b) for a, b in zip(first, again))

    collect()
    named = {r.text.split("(")[0] for r in TABLE if r.text.startswith("np.")}
    assert len(named & seen) > 0.8 * len(named), sorted(named - seen)


def test_programs_shrink():
    p = find(programs(), lambda p: any("np.exp(" in s.text for s in p.steps), settings=settings(ONCE, phases=(Phase.generate, Phase.shrink)))
    assert len(p.steps) == 1 and "np.exp" in p.source and "def f(x0" in p.source and sum(x.size for x in p.inputs) <= 3


@given(programs())
@settings(max_examples=10)
def test_scripts_compile(p):
    compile(p.script(), "script", "exec")
    assert p.source in p.script()


@given(st.data())
@settings(max_examples=20)
def test_programs_of_given_dtypes(data):
    p = data.draw(programs(dtypes=("f4",)))
    assert {x.dtype for x in p.inputs} == {np.dtype("f4")}
