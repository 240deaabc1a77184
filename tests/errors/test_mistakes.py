"""Each mistake that a user can make in a traced function: our class, Python's own class, the words, and the line marked `# here`."""
from __future__ import annotations

import inspect
import pickle

import numpy as np
import pytest

import ptxjit as pj
from ptxjit import errors as E

X = np.ones((3, 4), "f4")
V = np.arange(6.0)
K = np.arange(6)
MISTAKES = []


def mistake(ours, natural, *words, args=(X,)):
    """A function that goes wrong at its line `# here`; `natural` is what Python or NumPy raises for such a thing."""
    def add(fn):
        MISTAKES.append(pytest.param(fn, ours, natural, words, args, id=fn.__name__))
        return fn
    return add


# ---- values that are not known --------------------------------------------------------------------------------------


@mistake(E.TraceError, TypeError, "`if`", "pj.where")
def python_if(x):
    y = x * 2
    if y.sum() > 0:  # here
        return y
    return -y


@mistake(E.TraceError, TypeError, "`while`", "pj.while_loop")
def python_while(x):
    while x.sum() < 10:  # here
        x = x * 2
    return x


@mistake(E.TraceError, TypeError, "`and`", "np.logical_and")
def python_and(x):
    return (x > 0) and (x < 1)  # here


@mistake(E.TraceError, TypeError, "`or`", "`|`")
def python_or(x):
    return (x[0, 0] > 0) or (x[0, 1] < 1)  # here


@mistake(E.TraceError, TypeError, "bool()")
def python_not(x):
    return not x[0, 0]  # here


@mistake(E.TraceError, TypeError, "bool()", "static_argnames")
def python_bool(x):
    return bool(x.any())  # here


@mistake(E.TraceError, TypeError, "`if`")
def chained_comparison(x):
    return 0 < x < 1  # here


@mistake(E.TraceError, TypeError, "`if`")
def conditional_expression(x):
    return x if x.max() > 0 else 0  # here


@mistake(E.TraceError, TypeError, "`if`")
def assertion(x):
    assert (x > 0).all()  # here
    return x


@mistake(E.TraceError, TypeError, "`in`", "(x == value).any()")
def python_in(x):
    return 3 in x  # here


@mistake(E.TraceError, TypeError, "`if`")
def python_max(x):
    return max(x[0, 0], x[0, 1])  # here


@mistake(E.TraceError, TypeError, "`if`")
def python_sorted(x):
    return sorted([x[0, 0], x[0, 1]])  # here


@mistake(E.TraceError, TypeError, "float()", "astype(float)")
def python_float(x):
    return float(x[0, 0])  # here


@mistake(E.TraceError, TypeError, "int()", "astype(int)")
def python_int(x):
    return int(x[0, 0])  # here


@mistake(E.TraceError, TypeError, "complex()")
def python_complex(x):
    return complex(x[0, 0])  # here


@mistake(E.TraceError, TypeError, "Python index or size")
def python_range(x):
    return sum(range(x[0, 0].astype(int)))  # here


@mistake(E.TraceError, TypeError, "Python index or size", args=(K,))
def list_index(k):
    return [1, 2, 3][k[0]]  # here


@mistake(E.TraceError, TypeError, "float()")
def math_function(x):
    import math
    return math.sin(x[0, 0])  # here


@mistake(E.TraceError, TypeError, "known")
def format_number(x):
    return f"{x[0, 0]:.2f}"  # here


@mistake(E.TraceError, TypeError, "hashed")
def dict_key(x):
    return {x: 1}  # here


@mistake(E.TraceError, TypeError, ".item()")
def item(x):
    return x[0, 0].item()  # here


@mistake(E.TraceError, TypeError, ".tolist()")
def tolist(x):
    return x.tolist()  # here


@mistake(E.TraceError, TypeError, "NumPy array")
def asarray_of_list(x):
    return np.array([x[0, 0], x[0, 1]])  # here


@mistake(E.TraceError, TypeError, "pickled")
def pickling(x):
    return pickle.dumps(x)  # here


@mistake(E.TraceError, TypeError, "len()")
def length_of_scalar(x):
    return len(x.sum())  # here


@mistake(E.TraceError, TypeError, "iteration")
def iteration_over_scalar(x):
    a, b = x.sum()  # here
    return a


# ---- sizes that are not known ---------------------------------------------------------------------------------------


@mistake(E.TraceError, TypeError, "size", args=(K,))
def zeros_of_traced(k):
    return np.zeros(k[2])  # here


@mistake(E.TraceError, TypeError, "size", args=(K,))
def zeros_of_traced_ours(k):
    return pj.zeros(k[2])  # here


@mistake(E.TraceError, TypeError, "size", args=(K,))
def reshape_to_traced(k):
    return k.reshape(k[2], 3)  # here


@mistake(E.TraceError, TypeError, "size", args=(K,))
def arange_of_traced(k):
    return pj.arange(k[2])  # here


@mistake(E.TraceError, TypeError, "needs the value", args=(K,))
def repeat_by_traced(k):
    return np.repeat(k, k)  # here


@mistake(E.TraceError, TypeError, "static", args=(K,))
def slice_by_traced(k):
    return k[: k[2]]  # here


@mistake(E.TraceError, TypeError, "axis must be an integer", args=(X, 1))
def traced_axis(x, axis):
    return x.sum(axis=axis)  # here


@mistake(E.TraceError, TypeError, "boolean mask", "pj.where")
def boolean_mask(x):
    return x[x > 0]  # here


@mistake(E.TraceError, TypeError, "unknown size")
def where_alone(x):
    return np.where(x > 0)  # here


@mistake(E.UnsupportedError, Exception, "nonzero")
def nonzero(x):
    return np.nonzero(x)  # here


@mistake(E.UnsupportedError, Exception, "unique")
def unique(x):
    return np.unique(x)  # here


@mistake(E.TraceError, TypeError, "minlength", args=(K,))
def bincount_without_minlength(k):
    return np.bincount(k)  # here


# ---- shapes ---------------------------------------------------------------------------------------------------------


@mistake(E.ShapeError, ValueError, "broadcast", "(3, 4)", "(3,)")
def broadcast(x):
    return x + np.ones(3, "f4")  # here


@mistake(E.ShapeError, ValueError, "matmul", "(3, 4)")
def matmul(x):
    return x @ x  # here


@mistake(E.ShapeError, ValueError, "matmul")
def matmul_of_scalar(x):
    return x @ x.sum()  # here


@mistake(E.ShapeError, ValueError, "reshape")
def reshape(x):
    return x.reshape(5, 5)  # here


@mistake(E.ShapeError, ValueError, "reshape")
def reshape_unknown(x):
    return x.reshape(5, -1)  # here


@mistake(E.ShapeError, ValueError, "-1")
def reshape_two_unknown(x):
    return x.reshape(-1, -1)  # here


@mistake(E.ShapeError, ValueError, "axis")
def axis(x):
    return x.sum(axis=2)  # here


@mistake(E.ShapeError, ValueError, "axis")
def axis_twice(x):
    return x.sum(axis=(0, 0))  # here


@mistake(E.ShapeError, ValueError, "axis")
def axis_of_flip(x):
    return np.flip(x, 5)  # here


@mistake(E.ShapeError, ValueError, "axes")
def transpose(x):
    return x.transpose(0, 0)  # here


@mistake(E.ShapeError, IndexError, "out of bounds")
def index(x):
    return x[5]  # here


@mistake(E.ShapeError, IndexError, "out of bounds")
def negative_index(x):
    return x[:, -5]  # here


@mistake(E.ShapeError, IndexError, "out of bounds")
def index_array(x):
    return x[np.array([0, 3])]  # here


@mistake(E.ShapeError, IndexError, "too many")
def too_many_indices(x):
    return x[0, 0, 0]  # here


@mistake(E.TraceError, TypeError, "an index must be of integers")
def float_index(x):
    return x[1.5]  # here


@mistake(E.DTypeError, TypeError, "str is not an array")
def string_index(x):
    return x["a"]  # here


@mistake(E.ShapeError, ValueError, "concatenate")
def concatenate_shapes(x):
    return np.concatenate([x, x.T])  # here


@mistake(E.ShapeError, ValueError, "concatenate")
def concatenate_ranks(x):
    return np.concatenate([x, x[0]])  # here


@mistake(E.ShapeError, ValueError, "concatenate")
def concatenate_nothing(x):
    return pj.concatenate([])  # here


@mistake(E.ShapeError, ValueError, "stack")
def stack_shapes(x):
    return np.stack([x, x.T])  # here


@mistake(E.ShapeError, ValueError, "no elements")
def max_of_nothing(x):
    return x[:0].max()  # here


@mistake(E.ShapeError, ValueError, "broadcast")
def broadcast_to(x):
    return np.broadcast_to(x, (4, 3))  # here


@mistake(E.ShapeError, ValueError, "squeeze")
def squeeze(x):
    return x.squeeze(0)  # here


@mistake(E.ShapeError, ValueError, "split")
def split(x):
    return np.split(x, 2)  # here


@mistake(E.ShapeError, ValueError, "einsum", "i")
def einsum_sizes(x):
    return np.einsum("ij,jk->ik", x, x)  # here


@mistake(E.ShapeError, ValueError, "einsum")
def einsum_rank(x):
    return np.einsum("ijk->i", x)  # here


@mistake(E.ShapeError, ValueError, "einsum")
def einsum_output(x):
    return np.einsum("ij->iz", x)  # here


@mistake(E.ShapeError, ValueError, "einsum")
def einsum_operands(x):
    return np.einsum("ij,jk->ik", x)  # here


@mistake(E.ShapeError, ValueError, "einsum")
def einsum_characters(x):
    return np.einsum("i!->i", x)  # here


@mistake(E.ShapeError, ValueError, "step")
def slice_step(x):
    return x[::0]  # here


@mistake(E.ShapeError, ValueError, "negative")
def negative_size(x):
    return pj.zeros((-3, 4))  # here


@mistake(E.ShapeError, ValueError, "negative")
def negative_size_of_full(x):
    return pj.full((2, -1), 1.0)  # here


@mistake(E.ShapeError, ValueError, "negative")
def negative_size_of_eye(x):
    return pj.eye(-2)  # here


@mistake(E.ShapeError, IndexError, "mask of 2 elements for axis 0 of size 3")
def mask_of_another_size(x):
    return x[np.array([True, False])]  # here


@mistake(E.ShapeError, ValueError, "einsum", "'é'")
def einsum_letters(x):
    return np.einsum("ié->i", x)  # here


@mistake(E.ShapeError, ValueError, "pad")
def negative_pad(x):
    return np.pad(x, -1)  # here


@mistake(E.ShapeError, ValueError, "shape")
def in_place_shape(x):
    y = x.sum(axis=0)
    y += x  # here
    return y


# ---- dtypes ---------------------------------------------------------------------------------------------------------


@mistake(E.DTypeError, TypeError, "bitwise_and", "astype")
def bits_of_floats(x):
    return x & 1  # here


@mistake(E.DTypeError, TypeError, "shift")
def shift_of_floats(x):
    return x << 1  # here


@mistake(E.DTypeError, TypeError, "complex64")
def astype_complex(x):
    return x.astype("c8")  # here


@mistake(E.DTypeError, TypeError, "object")
def astype_object(x):
    return x.astype(object)  # here


@mistake(E.DTypeError, TypeError, "complex")
def complex_operand(x):
    return x * 1j  # here


@mistake(E.DTypeError, TypeError, "complex")
def complex_array(x):
    return x * np.ones((3, 4), "c16")  # here


@mistake(E.DTypeError, TypeError, "negative")
def negative_of_bool(x):
    return -(x > 0)  # here


@mistake(E.DTypeError, TypeError, "subtract")
def subtract_bools(x):
    return (x > 0) - (x > 1)  # here


@mistake(E.UserError, ValueError, "negative")
def integer_power(x):
    return x.astype("i4") ** -1  # here


@mistake(E.UserError, OverflowError, "300", args=(np.ones(3, "u1"),))
def integer_out_of_range(x):
    return x + 300  # here


@mistake(E.DTypeError, TypeError, "float64", args=(K,))
def in_place_dtype(k):
    k += 0.5  # here
    return k


@mistake(E.TraceError, TypeError, "an index must be of integers")
def take_by_float(x):
    return np.take(x, x)  # here


# ---- what has no place in a trace -----------------------------------------------------------------------------------


@mistake(E.TraceError, TypeError, "in place", "pj.where")
def assignment(x):
    x[0] = 1  # here
    return x


@mistake(E.TraceError, TypeError, "in place")
def assignment_to_slice(x):
    x[:, 1:] += 1  # here
    return x


@mistake(E.TraceError, TypeError, "random")
def numpy_random(x):
    return x + np.random.rand(3, 4)  # here


@mistake(E.TraceError, TypeError, "random")
def numpy_generator(x):
    return x + np.random.default_rng(0).random((3, 4))  # here


@mistake(E.TraceError, TypeError, "out=")
def output_argument(x):
    return np.exp(x, out=np.ones((3, 4), "f4"))  # here


@mistake(E.TraceError, TypeError, "where=")
def where_argument(x):
    return np.exp(x, where=x > 0)  # here


@mistake(E.UnsupportedError, Exception, "sort", "docs/functions.md")
def unsupported_function(x):
    return np.sort(x)  # here


@mistake(E.UnsupportedError, Exception, "fft")
def unsupported_module(x):
    return np.fft.fft(x)  # here


@mistake(E.UnsupportedError, Exception, "svd")
def unsupported_linalg(x):
    return np.linalg.svd(x)  # here


@mistake(E.UnsupportedError, AttributeError, "strides")
def unsupported_attribute(x):
    return x.strides  # here


@mistake(E.UnsupportedError, Exception, "reduceat")
def unsupported_method_of_ufunc(x):
    return np.add.reduceat(x, [0, 1])  # here


@mistake(E.TraceError, TypeError, "float()")
def traced_value_into_an_array(x):
    a = np.zeros(3)
    a[0] = x[0, 0]  # here
    return x + a[0]


@mistake(E.TraceError, TypeError, "out=", "a = a + x")
def array_in_place(x):
    a = np.zeros((3, 4))
    a += x  # here
    return a


@mistake(E.UnsupportedError, Exception, "add.at")
def add_at(x):
    np.add.at(x, [0], 1)  # here
    return x


@mistake(E.PtxjitError, Exception, "fill")
def fill(x):
    x.fill(0)  # here
    return x


@mistake(E.TraceError, TypeError, "needs the value")
def numpy_arange(x):
    return np.arange(x[0, 0].astype(int))  # here


@mistake(E.TraceError, TypeError, "returned a str")
def returns_text(x):
    return "text"


@mistake(E.TraceError, TypeError, "returned")
def returns_an_object(x):
    return {"a": x, "b": object()}


# ---- loops ----------------------------------------------------------------------------------------------------------


@mistake(E.ShapeError, ValueError, "fori_loop", "(3, 4)", "(4,)")
def fori_shape(x):
    return pj.fori_loop(0, 3, lambda i, s: s[0], x)  # here


@mistake(E.DTypeError, TypeError, "fori_loop", "float32", "float64")
def fori_dtype(x):
    return pj.fori_loop(0, 3, lambda i, s: s.astype("f8"), x)  # here


@mistake(E.ShapeError, ValueError, "structure")
def fori_structure(x):
    return pj.fori_loop(0, 3, lambda i, s: (s, s), x)  # here


@mistake(E.DTypeError, TypeError, "while_loop", "int64", "float64")
def while_dtype(x):
    return pj.while_loop(lambda s: s < 9, lambda s: s * 1.5, pj.asarray(1))  # here


@mistake(E.ShapeError, ValueError, "condition", ".any()")
def while_condition(x):
    return pj.while_loop(lambda s: s < 9, lambda s: s + 1, x)  # here


@mistake(E.ShapeError, ValueError, "scan")
def scan_lengths(x):
    return pj.scan(lambda s, v: (s, v), x[0, 0], (x, x.T))  # here


@mistake(E.TraceError, TypeError, "(state, y)")
def scan_result(x):
    return pj.scan(lambda s, v: s, x[0], x)  # here


@mistake(E.TraceError, TypeError, "`if`")
def inside_a_body(x):
    def body(i, s):
        if s.sum() > 0:  # here
            return s
        return -s
    return pj.fori_loop(0, 3, body, x)


def helper(x):
    y = x * 2
    return y @ y  # helper


@mistake(E.ShapeError, ValueError, "matmul")
def inside_a_helper(x):
    return helper(x)


@mistake(E.ShapeError, ValueError, "scan", "length=5", "3 elements")
def scan_length(x):
    return pj.scan(lambda s, v: (s, v), x[0, 0], x, length=5)  # here


@mistake(E.ShapeError, ValueError, "scan", "`length`")
def scan_of_nothing(x):
    return pj.scan(lambda s, v: (s, s), x[0, 0], None)  # here


@mistake(E.DTypeError, TypeError, "fori_loop", "2.5")
def fori_bound(x):
    return pj.fori_loop(0, 2.5, lambda i, s: s, x)  # here


@mistake(E.DTypeError, TypeError, "fori_loop", "float32[]")
def fori_traced_bound(x):
    return pj.fori_loop(0, x[0, 0], lambda i, s: s, x)  # here


@mistake(E.UserError, ValueError, "negative integer powers", args=(K, -K))
def integer_powers_of_values(k, n):
    return k ** n  # here


# ---- the table ------------------------------------------------------------------------------------------------------


def line_of(fn):
    """The number of the marked line; that of the function's head where the mistake is what it returns."""
    for f, mark in ((fn, "# here"), (helper, "# helper")):
        lines, start = inspect.getsourcelines(f)
        marked = [start + k for k, line in enumerate(lines) if mark in line]
        if marked and (f is fn or fn is inside_a_helper):
            return marked[0]
    return fn.__code__.co_firstlineno


def error_of(call):
    """What a call raises; it must survive pickling."""
    try:
        call()
    except Exception as e:  # noqa: BLE001  whatever it is, the test looks at it
        error = e
    else:
        pytest.fail("no error")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error) and str(back) == str(error)
    if isinstance(error, E.PtxjitError):
        assert (back.message, back.place, back.hint) == (error.message, error.place, error.hint)
    return error


@pytest.mark.parametrize("fn, ours, natural, words, args", MISTAKES)
def test_mistake(fn, ours, natural, words, args):
    error = error_of(lambda: pj.jit(fn)(*args))
    assert isinstance(error, ours) and isinstance(error, natural), repr(error)
    assert not [w for w in words if w not in str(error)], str(error)
    assert error.place == f"{__file__}:{line_of(fn)}", error.place


def test_loops_outside_of_a_trace():
    """They are plain Python, with the same errors at the same line."""
    for fn, kind in ((lambda: pj.fori_loop(0, 2.5, lambda i, s: s, 0), E.DTypeError), (lambda: pj.fori_loop(np.arange(2), 3, lambda i, s: s, 0), E.DTypeError),
                     (lambda: pj.scan(lambda s, v: (s, v), 0, X, length=2), E.ShapeError), (lambda: pj.scan(lambda s, v: (s, s), 0, None), E.ShapeError),
                     (lambda: pj.scan(lambda s, v: (s, s), 0, None, length=-1), E.ShapeError)):  # fmt: skip
        error = error_of(fn)
        assert isinstance(error, kind) and error.place.startswith(__file__), repr(error)


def test_the_same_from_lower():
    """Without a call, from a spec."""
    error = error_of(lambda: pj.jit(matmul).lower("f32[3,4]", target="ptx:sm_80"))
    assert isinstance(error, E.ShapeError) and error.place == f"{__file__}:{line_of(matmul)}"


def test_a_mistake_does_not_poison():
    """The next call of the same function, with other shapes, works; so does one of another function."""
    f = pj.jit(lambda x: x @ x)
    with pytest.raises(E.ShapeError):
        f(X)
    np.testing.assert_array_equal(f(X[:, :3]), X[:, :3] @ X[:, :3])
    np.testing.assert_array_equal(np.random.default_rng(0).random(2), np.random.default_rng(0).random(2))


# ---- tracers that got away ------------------------------------------------------------------------------------------

stash = []


def escaped():
    stash.clear()
    pj.jit(lambda x: stash.append(x) or x)(X)
    return stash[0]


USES = {
    "operator": lambda t: t + 1, "ufunc": lambda t: np.exp(t), "function": lambda t: np.sum(t), "method": lambda t: t.sum(), "index": lambda t: t[0],
    "in another trace": lambda t: pj.jit(lambda x: x + t)(X), "in another trace's loop": lambda t: pj.jit(lambda x: pj.fori_loop(0, 2, lambda i, s: s + t, x))(X),
}  # fmt: skip


@pytest.mark.parametrize("name", USES)
def test_escaped(name):
    error = error_of(lambda: USES[name](escaped()))
    assert isinstance(error, E.EscapedTracerError) and isinstance(error, RuntimeError) and "traced" in error.message
    assert error.place == f"{__file__}:{USES[name].__code__.co_firstlineno}"


def test_escaped_as_an_argument_and_from_a_loop():
    error = error_of(lambda: pj.jit(lambda x: x)(escaped()))
    assert isinstance(error, E.UserError) and "traced value" in error.message

    def leak(x):
        pj.fori_loop(0, 2, lambda i, s: stash.append(s) or s, x)
        return stash[-1] + 1

    assert isinstance(error_of(lambda: pj.jit(leak)(X)), E.EscapedTracerError)


def test_closure_over_a_tracer_of_another_function():
    def outer(x):
        stash.append(pj.jit(lambda y: y + x))
        return x

    pj.jit(outer)(X)
    assert isinstance(error_of(lambda: stash[-1](X)), E.EscapedTracerError)


# ---- arguments ------------------------------------------------------------------------------------------------------

CALLS = {
    "string": (lambda: pj.jit(lambda x: x)("word"), E.DTypeError, TypeError, ["argument x", "str", "static"]),
    "second": (lambda: pj.jit(lambda x, name: x)(X, b"ab"), E.DTypeError, TypeError, ["argument name", "bytes"]),
    "inside": (lambda: pj.jit(lambda d: d["a"])({"a": X, "b": "word"}), E.DTypeError, TypeError, ["argument d_1", "str"]),
    "function": (lambda: pj.jit(lambda x, f: x)(X, len), E.DTypeError, TypeError, ["argument f", "builtin_function"]),
    "set": (lambda: pj.jit(lambda x: x)({1, 2}), E.DTypeError, TypeError, ["set"]),
    "complex": (lambda: pj.jit(lambda x: x)(np.ones(2, "c8")), E.DTypeError, TypeError, ["complex64"]),
    "complex number": (lambda: pj.jit(lambda x: x)(1j), E.DTypeError, TypeError, ["complex"]),
    "objects": (lambda: pj.jit(lambda x: x)(np.array([1, None])), E.DTypeError, TypeError, ["object"]),
    "strings": (lambda: pj.jit(lambda x: x)(np.array(["a"])), E.DTypeError, TypeError, ["<U1"]),
    "records": (lambda: pj.jit(lambda x: x)(np.zeros(2, "i4,f4")), E.DTypeError, TypeError, ["not supported"]),
    "dates": (lambda: pj.jit(lambda x: x)(np.zeros(2, "M8[s]")), E.DTypeError, TypeError, ["datetime64"]),
    "matrix": (lambda: pj.jit(lambda x: x)(np.matrix([[1.0]])), E.DTypeError, TypeError, ["matrix"]),
    "masked": (lambda: pj.jit(lambda x: x)(np.ma.array([1.0], mask=[True])), E.DTypeError, TypeError, ["MaskedArray", "mask"]),
    "huge integer": (lambda: pj.jit(lambda x: x)(1 << 70), E.DTypeError, TypeError, ["64 bits"]),
    "too few": (lambda: pj.jit(lambda x, y: x)(X), TypeError, TypeError, ["y"]),
    "too many": (lambda: pj.jit(lambda x: x)(X, X), TypeError, TypeError, ["positional"]),
    "unknown keyword": (lambda: pj.jit(lambda x: x)(X, y=1), TypeError, TypeError, ["y"]),
    "too few beside a static one": (lambda: pj.jit(lambda x, y, k: x, static_argnames="k")(X, k=1), E.UserError, TypeError, ["'y'"]),
    "static argname": (lambda: pj.jit(lambda x: x, static_argnames=("y",)), E.UserError, Exception, ["'y'", "it has: x"]),
    "static argnum": (lambda: pj.jit(lambda x: x, static_argnums=3), E.UserError, Exception, ["3"]),
    "unhashable": (lambda: pj.jit(lambda x, y: x, static_argnames="y")(X, [1]), E.DTypeError, TypeError, ["hashed", "tuples"]),
    "class": (lambda: pj.jit(dict), E.UserError, Exception, ["class dict"]),
    "number": (lambda: pj.jit(3), E.UserError, Exception, ["int"]),
    "device": (lambda: pj.jit(lambda x: x, device="abacus")(X), E.PtxjitError, Exception, ["abacus"]),
    "target": (lambda: pj.jit(lambda x: x).lower(X, target="abacus:9"), E.UserError, Exception, ["abacus", "known"]),
    "architecture": (lambda: pj.jit(lambda x: x).lower(X, target="ptx:sm_1"), E.UserError, Exception, ["sm_1", "known"]),
    "spec": (lambda: pj.jit(lambda x: x).lower("g32[3]", target="ptx"), E.UserError, Exception, ["g32[3]"]),
    "stage": (lambda: pj.jit(lambda x: x).lower(X, target="ptx").as_text("asm"), E.UserError, Exception, ["asm", "it has"]),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("name", CALLS)
def test_call(name):
    call, ours, natural, words = CALLS[name]
    error = error_of(call)
    assert isinstance(error, ours) and isinstance(error, natural), repr(error)
    assert not [w for w in words if w not in str(error)], str(error)
