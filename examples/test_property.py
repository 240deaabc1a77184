"""How to property-test a kernel: `pytest examples/test_property.py`."""
import numpy as np
from hypothesis import given, settings

import ptxjit as pj
from ptxjit.testing import arrays, assert_targets_agree, check, shapes


@pj.jit
def normalize(x):
    """Rows of mean 0 and variance 1."""
    c = x - x.mean(axis=1, keepdims=True)
    return c / np.sqrt((c * c).mean(axis=1, keepdims=True) + 1e-5)


def test_against_numpy():
    """Searches shapes and values on which the kernel and NumPy differ, shrinks them, and names the step that is wrong."""
    check(normalize, lambda x: (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5),
          arrays("f4", shapes(2, 2, max_elements=500, min_side=1)), examples=40)  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(arrays("f4", (5, 33)))
def test_every_target_gives_the_same_bits(x):
    assert_targets_agree(normalize, x, targets=["interp", "cpu", "ptx:sm_90"], bitwise=True)
