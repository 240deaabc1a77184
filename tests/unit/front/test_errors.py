"""Each mistake that a user can make in a traced function: the class, the words, and the line."""
from __future__ import annotations

import inspect

import numpy as np
import pytest

import ptxjit as pj
from ptxjit import errors as E

X = np.ones((3, 4), "f4")
stash = []


def keep(x):
    stash.append(x)
    return x


MISTAKES = [
    (lambda x: x if x.sum() > 0 else -x, E.TraceError, "`if`", "pj.where"),
    (lambda x: float(x[0, 0]), E.TraceError, "float()", "static"),
    (lambda x: int(x[0, 0]), E.TraceError, "int()", "static"),
    (lambda x: list(range(x[0, 0].astype(int))), E.TraceError, "Python index or size", "static"),
    (lambda x: x.item(), E.TraceError, ".item()", "result"),
    (lambda x: x.__setitem__(0, 1), E.TraceError, "in place", "pj.where"),
    (lambda x: x[x > 0], E.TraceError, "boolean mask", "pj.where"),
    (lambda x: x @ x, E.ShapeError, "matmul", ""),
    (lambda x: x + np.ones(3, "f4"), E.ShapeError, "broadcast", ""),
    (lambda x: x.reshape(5, 5), E.ShapeError, "reshape", ""),
    (lambda x: x.sum(axis=2), E.ShapeError, "axis", ""),
    (lambda x: x[5], E.ShapeError, "out of bounds", ""),
    (lambda x: x[0, 0, 0], E.ShapeError, "too many", ""),
    (lambda x: np.concatenate([x, x.T]), E.ShapeError, "concatenate", ""),
    (lambda x: x & 1, E.DTypeError, "bitwise_and", "astype"),
    (lambda x: x.astype("c8"), E.DTypeError, "complex64", ""),
    (lambda x: x * 1j, E.PtxjitError, "", ""),
    (lambda x: np.exp(x, out=np.ones((3, 4), "f4")), E.TraceError, "out=", ""),
    (lambda x: np.sort(x), E.UnsupportedError, "sort", "functions"),
    (lambda x: np.where(x > 0), E.TraceError, "unknown size", "where(condition, x, y)"),
    (lambda x: {1: x}[x], E.TraceError, "hashed", ""),
    (lambda x: "text", E.TraceError, "returned a str", ""),
    (lambda x: x[:0].max(), E.ShapeError, "no elements", ""),
    (lambda x: np.einsum("ij,jk->ik", x, x), E.ShapeError, "einsum", ""),
    (lambda x: np.bincount(x[0].astype(int)), E.TraceError, "minlength", "minlength"),
    (lambda x: pj.fori_loop(0, 3, lambda i, s: s[0], x), E.ShapeError, "state", ""),
    (lambda x: (x.astype("i4") ** -1), E.UserError, "negative", ""),
]  # fmt: skip


@pytest.mark.parametrize("k", range(len(MISTAKES)))
def test_mistake(k):
    fn, kind, words, hint = MISTAKES[k]
    try:
        pj.jit(fn)(X)
    except TypeError as e:  # Python's own refusal (complex operands) is as good
        if not isinstance(e, E.PtxjitError):
            assert kind is E.PtxjitError
            return
        error = e
    except E.PtxjitError as e:
        error = e
    else:
        pytest.fail("no error")
    assert isinstance(error, kind), repr(error)
    assert words in str(error) and hint in (error.hint or "")
    line = inspect.getsourcelines(fn)[1]
    assert error.place == f"{__file__}:{line}", error.place


def test_escaped_tracer():
    pj.jit(keep)(X)
    with pytest.raises(E.EscapedTracerError, match="outside"):
        stash[-1] + 1
    with pytest.raises(E.EscapedTracerError):
        pj.jit(lambda x: x + stash[-1])(X)


def test_arguments():
    with pytest.raises(E.DTypeError, match="complex"):
        pj.jit(lambda x: x)(np.ones(2, "c8"))
    with pytest.raises(E.DTypeError, match="static"):
        pj.jit(lambda x: x)("word")
    with pytest.raises(E.UserError, match="static"):
        pj.jit(lambda x: x, static_argnames=("y",))
    with pytest.raises(E.DTypeError, match="hashed"):
        pj.jit(lambda x, y: x, static_argnames=("y",))(X, [1])
