"""Comparing results: what counts as the same, and how far rounding reaches."""
from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from ptxjit.testing.compare import bits_equal, expect, moved_inputs, same_bits, ulps, unit


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_unit_is_the_spacing(dtype):
    info = np.finfo(dtype)
    x = np.array([1, 1.5, 2, 3, 1e-3, float(info.smallest_normal), float(info.smallest_subnormal), 0], dtype)
    np.testing.assert_array_equal(unit(x), np.abs(np.spacing(x)).astype("f8"))


def test_unit_of_bfloat16():
    np.testing.assert_array_equal(unit(np.array([1, 2, 256], ml_dtypes.bfloat16)), [2.0**-7, 2.0**-6, 2.0])


def test_ulps():
    one = np.float32(1)
    assert ulps(one, np.nextafter(one, np.float32(2))) == 1
    assert ulps(np.float32(np.nan), np.float32(np.nan)) == 0 and ulps(np.float32(0), np.float32(-0.0)) == 0
    assert ulps(np.float32(1), np.float64(1)) == np.inf and ulps(np.zeros(2), np.zeros(3)) == np.inf
    assert ulps(np.array([1, 2]), np.array([1, 3])) == np.inf and ulps(np.float32(np.inf), np.float32(1)) == np.inf
    assert ulps(np.zeros((0, 3)), np.zeros((0, 3))) == 0


def test_bits():
    assert not bits_equal(np.float32(0), np.float32(-0.0)) and bits_equal(np.float32(np.nan), -np.float32(np.nan))
    assert same_bits(np.array([1.0, 2.0]), np.array([1.0, 3.0])).tolist() == [True, False]
    assert not bits_equal(np.zeros(3, "f4"), np.zeros(3, "f8"))


def test_a_named_bound_is_exact():
    x = np.array([1.0, 3.0], "f4")
    e = expect(lambda x: x, [x], 1.0)
    assert e.difference([np.nextafter(x, np.float32(9))]) is None
    assert "2 ulp away" in str(e.difference([np.nextafter(np.nextafter(x, np.float32(9)), np.float32(9))]))
    assert expect(lambda x: x, [x], 0.0).difference([np.nextafter(x, np.float32(9))]) is not None


def test_cancellation_is_rounding_and_a_wrong_sum_is_not():
    x = np.array([1e8, 1.0, -1e8, 2.0], "f4")
    e = expect(np.sum, [x])
    assert e.difference([np.float32(2.0)]) is None and e.difference([np.float32(3.0)]) is None
    y = np.linspace(1, 2, 100, dtype="f4")
    assert expect(np.sum, [y]).difference([y[:-1].sum()]) is not None


def test_unstable_elements_decide_nothing():
    x = np.array([1.0, 1.0 + 2**-23, 0.5], "f4")
    e = expect(np.argmax, [np.array([1.0, 1.0, 0.5], "f4")])
    assert e.difference([np.int64(1)]) is None  # a tie that one unit of the last place decides
    assert expect(np.argmax, [np.array([3.0, 1.0, 0.5], "f4")]).difference([np.int64(1)]) is not None
    assert expect(lambda x: x > 0, [x]).difference([np.array([True, True, False])]) is not None


def test_moved_inputs_are_one_unit_away():
    x = np.array([1.0, -2.0, 0.0, np.inf, np.nan, 1e-45], "f4")
    for seed in range(4):
        [y] = moved_inputs([x], seed)
        assert y[2] == 0 and np.isinf(y[3]) and np.isnan(y[4])
        assert all(ulps(a, b) <= 1 for a, b in zip(x[[0, 1, 5]], y[[0, 1, 5]])) and (y[:2] != x[:2]).all()
    assert moved_inputs([np.arange(3)], 0) is None
