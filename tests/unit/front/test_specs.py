"""Specs: the text form of arguments."""
from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from ptxjit.errors import UserError
from ptxjit.specs import as_spec, parse_spec


@pytest.mark.parametrize("text, dtype, shape", [
    ("f32[1024,1000]", "f4", (1024, 1000)), ("i32", "i4", ()), ("f64[]", "f8", ()), (" u8 [ 3 , 4 ] ", "u1", (3, 4)), ("bool[2]", "?", (2,)), ("i1[2]", "?", (2,)),
    ("float16[7]", "f2", (7,)), ("bf16[2]", ml_dtypes.bfloat16, (2,)), ("uint64[0]", "u8", (0,)), ("i8[5]", "i1", (5,)),
])  # fmt: skip
def test_good(text, dtype, shape):
    spec = parse_spec(text)
    assert spec.dtype == np.dtype(dtype) and spec.shape == shape


@pytest.mark.parametrize("text", ["", "f32[", "f32]", "f32[-1]", "f32[1.5]", "f32[1,]x", "f31[3]", "complex64[3]", "i128[2]", "[3]", "f32[3][4]", "f32[,]"])
def test_bad(text):
    with pytest.raises(UserError, match="is not a spec") as e:
        parse_spec(text)
    assert "f32[1024,1000]" in str(e.value)


def test_names_are_symbolic_sizes():
    spec = parse_spec("f32[n, 10, m=50]", symbols=True)
    assert repr(spec.shape) == "(n, 10, m)" and spec.hints == {"n": 1024, "m": 50}
    with pytest.raises(UserError, match="is not a spec for this"):
        parse_spec("f32[n]")
    for bad in ("f32[n=]", "f32[n=x]", "f32[2n]", "f32[n+1]"):
        with pytest.raises(UserError, match="is not a spec"):
            parse_spec(bad, symbols=True)


def test_from_values():
    assert as_spec(np.zeros((2, 3), ">f4")).dtype == np.dtype("f4") and as_spec(np.zeros((2, 3))).shape == (2, 3)
    assert as_spec(3).dtype == np.int64 and as_spec(2.5).dtype == np.float64 and as_spec(True).dtype == np.bool_
    assert as_spec("f32[3]").shape == (3,) and as_spec(np.float32(1)).shape == ()
