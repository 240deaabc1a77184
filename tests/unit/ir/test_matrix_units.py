"""Products by matrix units: the fragments, the layouts made of them, when a unit is used, and that every level computes NumPy's numbers."""
from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import ptxjit as pj
from ptxjit.errors import BugError
from ptxjit.ir import fragments
from ptxjit.ir.analysis.counts import program_counts
from ptxjit.ir.interp.program import run_program
from ptxjit.ir.layout import Fragments, depths
from ptxjit.ir.lower import lower
from ptxjit.ir.lower.to_kernel import to_kernel
from ptxjit.ir.text import dump, parse
from ptxjit.ir.verify import verify
from ptxjit.targets import target
from ptxjit.testing.agreement import jitted, run_on, traced
from ptxjit.testing.compare import bits_difference

BF = ml_dtypes.bfloat16
DEVICES = ["ptx:sm_75", "ptx:sm_80", "amdgpu:gfx908", "amdgpu:gfx90a", "amdgpu:gfx950", "amdgpu:gfx1100", "amdgpu:gfx1201"]
SIZES = [(2, 2, 1), (2, 3, 5), (16, 16, 16), (17, 13, 31), (64, 48, 80), (37, 41, 131)]
VECTORS = [(1, 1, 1), (1, 17, 9), (17, 1, 9)]
RNG = np.random.default_rng(11)


def made(fn, args, device, *, fast_math=False, cores=None):
    """Lowered for a device, checked and read back; and the results of its kernels, which are those of its tile programs."""
    graph, leaves = traced(jitted(fn), args)
    facts = target(device).facts
    low = lower(graph, facts if cores is None else facts._replace(cores=cores), fast_math=fast_math)
    for x in (low.program, *low.kernels.values()):
        verify(x)
        text = dump(x)
        assert dump(parse(text)) == text
    kernels, tiles = run_program(low.program, leaves, low.kernels), run_program(low.program, leaves)
    assert bits_difference(tiles, kernels) is None
    return low, kernels


def units(low):
    return [i.attr("unit") for s in low.program.launches() for i in s.fn.instrs() if i.op.name == "dot"]


def integers(dtype, *shape):
    i = np.iinfo(dtype)
    return RNG.integers(i.min, i.max, shape, dtype=dtype, endpoint=True)


# ---- fragments and layouts


@pytest.mark.parametrize("name", fragments.UNITS)
def test_a_fragment_holds_every_element_once(name):
    u = fragments.UNITS[name]
    m, n, k = u.shape
    for which, rows, cols in (("a", m, k), ("b", k, n), ("c", m, n)):
        r, c = fragments.tables(name)[which]
        assert r.shape == c.shape and r.shape[0] == u.lanes
        held = np.zeros((rows, cols), int)
        np.add.at(held, (r, c), 1)
        assert (held == (2 if u.family == "rdna3" and which != "c" else 1)).all()
    assert all(np.array_equal(*pair) for pair in zip(fragments.tables(name)["a"], fragments.tables(name)["b"][::-1])) or m != n  # A and B are held alike


def test_fragments_of_the_manuals():
    """PTX ISA, figures of `mma.m16n8k16`; AMD's manuals, VGPR layouts of V_WMMA_F32_16X16X16_F16 and V_MFMA_F32_16X16X16_F16."""
    rows, cols = fragments.tables("mma.m16n8k16.f16")["a"]
    lane = 13  # group 3, member 1
    assert list(zip(rows[lane], cols[lane])) == [(3, 2), (3, 3), (11, 2), (11, 3), (3, 10), (3, 11), (11, 10), (11, 11)]
    rows, cols = fragments.tables("wmma.rdna3.f16")["c"]
    assert list(rows[19]) == [1, 3, 5, 7, 9, 11, 13, 15] and set(cols[19]) == {3}
    rows, cols = fragments.tables("wmma.rdna4.f16")["c"]
    assert list(rows[19]) == [8, 9, 10, 11, 12, 13, 14, 15] and set(cols[19]) == {3}
    rows, cols = fragments.tables("mfma.16x16x16.f16")["c"]
    assert list(rows[37]) == [8, 9, 10, 11] and set(cols[37]) == {5}


@pytest.mark.parametrize("packed", ["", "k", "n", "kn", "km", "kmn"])
@pytest.mark.parametrize("name", fragments.UNITS)
def test_a_layout_holds_every_element(name, packed):
    """A tile's elements over warps, lanes and registers; of A, warps side by side along n have the same."""
    f = Fragments(name, (2, 2), (2, 4), 2, packed, "mk", "kn", (8, 8, 4))
    lanes = fragments.UNITS[name].lanes
    for role, letters in (("a", "mk"), ("b", "kn"), ("c", "mn")):
        shape = tuple(f.shape[x] for x in letters)
        lines = [f.factors(role, shape, a) for a in range(2)]
        where = []
        for line in lines:
            of = np.zeros((4, lanes), int)
            for register, drop, size, stride in line.terms:
                number = np.broadcast_to(np.arange(lanes)[None] if register == "laneid" else np.arange(4)[:, None], of.shape)
                of = of + (number >> drop) % size * stride
            where.append(of[..., None] + np.array(line.constants))
        held = np.zeros(shape, int)
        np.add.at(held, (where[0][..., :, None], where[1][..., None, :]), 1)
        assert held.min() == held.max() > 0
    steps = depths(name, 2, "k" in packed)
    assert sorted(k for s in steps for k in s) == list(range(f.shape["k"]))


# ---- when


def test_floats_keep_the_canonical_order_unless_fast_math_is_asked_for():
    x, y = RNG.standard_normal((20, 33)).astype("f2"), RNG.standard_normal((33, 18)).astype("f2")
    for device in DEVICES:
        low, got = made(lambda a, b: a @ b, (x, y), device)
        assert units(low) == [] and bits_difference(run_on(lambda a, b: a @ b, "interp", (x, y)), got) is None
        assert units(made(lambda a, b: a @ b, (x, y), device, fast_math=True)[0])
    assert units(made(lambda a, b: a @ b, (x, y), "cpu:x86-64-v3", fast_math=True)[0]) == units(made(lambda a, b: a @ b, (x, y), "spirv", fast_math=True)[0]) == []


def test_which_unit():
    f2, bf, f4, f8 = (np.ones((16, 16), t) for t in ("f2", BF, "f4", "f8"))
    product = lambda a, b: a @ b
    want = {
        "ptx:sm_75": ("mma.m16n8k8.f16", None, None, None), "ptx:sm_86": ("mma.m16n8k16.f16", "mma.m16n8k16.bf16", "mma.m16n8k8.tf32", None),
        "ptx:sm_90": ("mma.m16n8k16.f16", "mma.m16n8k16.bf16", "mma.m16n8k8.tf32", "mma.m8n8k4.f64"),
        "amdgpu:gfx908": ("mfma.16x16x16.f16", "mfma.16x16x8.bf16", "mfma.16x16x4.f32", None),
        "amdgpu:gfx90a": ("mfma.16x16x16.f16", "mfma.16x16x16.bf16", "mfma.16x16x4.f32", "mfma.16x16x4.f64"),
        "amdgpu:gfx950": ("mfma.16x16x32.f16", "mfma.16x16x32.bf16", "mfma.16x16x4.f32", "mfma.16x16x4.f64"),
        "amdgpu:gfx1030": (None, None, None, None), "amdgpu:gfx1100": ("wmma.rdna3.f16", "wmma.rdna3.bf16", None, None),
        "amdgpu:gfx1201": ("wmma.rdna4.f16", "wmma.rdna4.bf16", None, None),
    }  # fmt: skip
    for device, names in want.items():
        for x, name in zip((f2, bf, f4, f8), names):
            assert units(made(product, (x, x), device, fast_math=True)[0]) == [name] * (name is not None), (device, x.dtype)
    wide = lambda a, b: a.astype("f4") @ b.astype("f4")  # exact products of narrow numbers, a result of f32
    assert units(made(wide, (f2, f2), "ptx:sm_80", fast_math=True)[0]) == ["mma.m16n8k16.f16"]
    assert units(made(wide, (f2, bf), "ptx:sm_80", fast_math=True)[0]) == ["mma.m16n8k8.tf32"]


def test_bytes_by_their_signs():
    s, u = integers("i1", 20, 40), integers("u1", 40, 24)
    mixed = lambda a, b: a.astype("i4") @ b.astype("i4")
    for device, has in (("ptx:sm_80", 1), ("amdgpu:gfx1100", 1), ("amdgpu:gfx1201", 1), ("amdgpu:gfx942", 0)):  # MFMA takes signed bytes only
        low, [got] = made(mixed, (s, u), device)
        assert len(units(low)) == has and np.array_equal(got, s.astype("i4") @ u.astype("i4"))
    assert units(made(mixed, (s, integers("i1", 40, 24)), "amdgpu:gfx942")[0]) == ["mfma.16x16x32.i8"]


def test_sums_beyond_the_unit_are_not_given_to_it():
    """In i64 the sum of k products of bytes is only the unit's i32 while it fits."""
    wide = lambda a, b: a.astype("i8") @ b.astype("i8")
    for k, fits in ((1 << 17, 0), ((1 << 17) - 1, 1)):
        low = pj.jit(wide).lower(f"i8[2,{k}]", f"i8[{k},2]", target="ptx:sm_80")
        assert ("matrix unit" in low.as_text("tile")) == fits
    x, y = np.full((2, 40), -128, "i1"), np.full((40, 3), -128, "i1")
    assert np.array_equal(made(wide, (x, y), "ptx:sm_80")[1][0], np.full((2, 3), 40 << 14))


@pytest.mark.parametrize("specs, used", [(("i8[n,64]", "i8[64,48]"), True), (("i8[b,n,64]", "i8[b,64,48]"), True), (("i8[b,20,64]", "i8[64,48]"), True),
                                         (("i8[30,n]", "i8[n,48]"), False), (("i8[30,64]", "i8[64,n]"), False)])  # fmt: skip
def test_symbolic_sizes(specs, used):
    """Rows and batches may be symbolic: no step of the tiles depends on them.  The program then serves every size."""
    low = pj.jit(lambda x, y: W(x) @ W(y) + 1).lower(*specs, target="ptx:sm_80")._low
    assert bool(units(low)) == used
    for x in (low.program, *low.kernels.values()):
        verify(x)
    for b, n in ((2, 3), (3, 50), (1, 129)):
        x, y = (integers("i1", *({"b": b, "n": n}.get(d) or int(d) for d in s[3:-1].split(","))) for s in specs)
        for kernels in (None, low.kernels):
            [got] = run_program(low.program, [x, y], kernels)
            assert np.array_equal(got, W(x) @ W(y) + 1)


def test_vectors_stay_with_register_tiles():
    for m, n, k in VECTORS:
        x, y = integers("i1", m, k), integers("i1", k, n)
        low, [got] = made(lambda a, b: a @ b, (x, y), "ptx:sm_80")
        assert units(low) == [] and np.array_equal(got, x @ y)


def test_nothing_to_sum():
    low, [got] = made(lambda a, b: a.astype("i4") @ b.astype("i4"), (integers("i1", 5, 0), integers("i1", 0, 7)), "ptx:sm_80")
    assert units(low) == [] and np.array_equal(got, np.zeros((5, 7), "i4"))


# ---- numbers

W = lambda a: a.astype("i4")
INTEGERS = {  # name → function of two matrices, shapes of them
    "i1": (lambda x, y: x @ y, lambda m, n, k: ((m, k), (k, n))),
    "to i4": (lambda x, y: W(x) @ W(y), lambda m, n, k: ((m, k), (k, n))),
    "left transposed": (lambda x, y: W(x).T @ W(y), lambda m, n, k: ((k, m), (k, n))),
    "right transposed": (lambda x, y: W(x) @ W(y).T, lambda m, n, k: ((m, k), (n, k))),
    "both transposed": (lambda x, y: W(x).T @ W(y).T, lambda m, n, k: ((k, m), (n, k))),
    "steps": (lambda x, y: W(x[::2, 1::3]) @ W(y[:, ::-1]), lambda m, n, k: ((2 * m, 3 * k + 1), (k, n))),
    "batches": (lambda x, y: W(x) @ W(y), lambda m, n, k: ((3, m, k), (3, k, n))),
    "one left matrix": (lambda x, y: W(x) @ W(y), lambda m, n, k: ((m, k), (2, k, n))),
    "einsum": (lambda x, y: np.einsum("bij,bkj->bki", W(x), W(y)), lambda m, n, k: ((2, n, k), (2, m, k))),
    "padded": (lambda x, y: W(np.pad(x, ((1, 2), (2, 0)))) @ W(y), lambda m, n, k: ((m, k), (k + 2, n))),
    "right padded": (lambda x, y: W(x) @ W(np.pad(y, ((0, 0), (1, 3)))), lambda m, n, k: ((m, k), (k, n))),
    "joined": (lambda x, y: W(np.concatenate([x, x[:, :1] + 1], axis=1)) @ W(y), lambda m, n, k: ((m, k), (k + 1, n))),
    "rows picked": (lambda x, y: W(x[np.array([1, 0, 1])]) @ W(y), lambda m, n, k: ((m, k), (k, n))),
    "work before": (lambda x, y: W(np.maximum(x, 5) + 1) @ W(y ^ 3), lambda m, n, k: ((m, k), (k, n))),
    "work after": (lambda x, y: (np.maximum(W(x) @ W(y) - 700, 0) * 3 + W(x)[:, :1], (W(x) @ W(y)) > 5), lambda m, n, k: ((m, k), (k, n))),
    "sum after": (lambda x, y: (W(x) @ W(y)).sum(axis=1), lambda m, n, k: ((m, k), (k, n))),
    "one after another": (lambda x, y: W(x) @ W(y) @ W(y).T, lambda m, n, k: ((m, k), (k, n))),
}  # fmt: skip


@pytest.mark.parametrize("name", INTEGERS)
def test_integers_are_exact(name):
    fn, shapes = INTEGERS[name]
    for size in SIZES:
        args = [integers("i1", *s) for s in shapes(*size)]
        want = fn(*args)
        for device in DEVICES:
            low, got = made(fn, args, device)
            assert units(low)
            for w, g in zip(want if isinstance(want, tuple) else (want,), got):
                assert w.dtype == g.dtype and np.array_equal(w, g), (size, device)


@pytest.mark.parametrize("device", DEVICES)
def test_blocks_of_several_warps(device):
    """The largest tiles of a warp, and warps along both dimensions: a device with few cores asks for them."""
    x, y = integers("i1", 70, 96), integers("i1", 96, 200)
    low, [got] = made(lambda a, b: W(a) @ W(b), (x, y), device, cores=1)
    assert np.array_equal(got, x.astype("i4") @ y.astype("i4"))
    assert {k.warps for k in low.kernels.values()} == {4}


F = lambda a: np.asarray(a, "f8")
FLOATS = {  # name → function, its value, what its error is measured by
    "plain": (lambda x, y, b: x @ y, lambda x, y, b: x @ y, lambda x, y, b: abs(x) @ abs(y)),
    "turned": (lambda x, y, b: (y.T @ x.T).T, lambda x, y, b: x @ y, lambda x, y, b: abs(x) @ abs(y)),
    "relu and bias": (lambda x, y, b: np.maximum(x @ y + b, 0), lambda x, y, b: np.maximum(x @ y + b, 0), lambda x, y, b: abs(x) @ abs(y) + abs(b)),
    "work before": (lambda x, y, b: np.abs(x) @ (-y), lambda x, y, b: abs(x) @ -y, lambda x, y, b: abs(x) @ abs(y)),
}  # fmt: skip


def bound(dtype, unit, k):
    """Admitted error in units of the sum of magnitudes: k additions of the accumulator, operands rounded to tf32, and the result's roundings."""
    half = 2.0 ** -{"f2": 11, "bf": 8, "f4": 24, "f8": 53}[dtype]
    own = k * 2.0 ** (-52 if dtype == "f8" else -23)
    return own + (2.0**-10 if unit and unit.endswith("tf32") else 0) + (2 * half if dtype in ("f2", "bf") else 0)


@pytest.mark.parametrize("dtype", ["f2", "bf", "f4", "f8"])
@pytest.mark.parametrize("name", FLOATS)
def test_floats_within_the_bound(name, dtype):
    fn, value, measure = FLOATS[name]
    for m, n, k in SIZES:
        args = [RNG.standard_normal(s).astype(BF if dtype == "bf" else dtype) for s in ((m, k), (k, n), (n,))]
        exact = [F(a) for a in args]
        for device in DEVICES:
            low, [got] = made(fn, args, device, fast_math=True)
            used = (units(low) or [None])[0]
            assert got.dtype == args[0].dtype
            assert (np.abs(F(got) - value(*exact)) <= bound(dtype, used, k) * measure(*exact) + 1e-300).all(), (m, n, k, device)


def test_infinities_and_nans_go_where_numpy_has_them():
    x, y = RNG.standard_normal((18, 21)), RNG.standard_normal((21, 19))
    x[3, 20], x[5, 7], y[2, 4] = np.inf, np.nan, -np.inf
    with np.errstate(all="ignore"):
        want = x @ y
    for dtype in ("f2", "f4"):
        for device in ("ptx:sm_80", "amdgpu:gfx90a", "amdgpu:gfx1100"):
            _, [got] = made(lambda a, b: a @ b, (x.astype(dtype), y.astype(dtype)), device, fast_math=True)
            assert np.array_equal(np.isnan(got), np.isnan(want)) and np.array_equal(np.isinf(got), np.isinf(want))


def test_every_number_becomes_tf32():
    """Rounding to 11 bits keeps NaNs with any payload, infinities and signs, and carries into the exponent."""
    special = np.array([0x7FFFFFFF, 0xFFFFFFFF, 0x7F800001, 0x7F800000, 0xFF800000, 0x80000000, 0x3F800FFF, 0x3F801000, 0x3FFFFFFF, 0x00000001], "u4")
    x = np.zeros((10, 10), "f4")
    x[np.arange(10), np.arange(10)] = special.view("f4")
    with np.errstate(all="ignore"):
        _, [got] = made(lambda a, b: a @ b, (x, np.eye(10, dtype="f4")), "ptx:sm_80", fast_math=True)
    got = np.diagonal(got)
    assert np.isnan(got[:3]).all() and list(got[3:5]) == [np.inf, -np.inf] and list(got[5:]) == [0, 1, 1 + 2.0**-10, 2, 0]


# ---- the op, and what is counted


def test_flops_of_a_product_are_those_of_its_tiles():
    f2 = np.ones((64, 64), "f2")
    low, _ = made(lambda a, b: a @ b, (f2, f2), "ptx:sm_80", fast_math=True)
    [c] = program_counts(low.program).values()
    assert c.exact and c.flops == 2 * 64**3 and c.read == 2 * 64 * 64 * 2
    low, _ = made(lambda a, b: W(a) @ W(b), (integers("i1", 64, 64),) * 2, "ptx:sm_80")
    assert [c.flops for c in program_counts(low.program).values()] == [0]  # integer operations are none


def test_the_verifier_knows_the_op():
    low, _ = made(lambda a, b: a @ b, (np.ones((16, 64), "f2"), np.ones((64, 16), "f2")), "ptx:sm_80", fast_math=True)
    text = dump(low.program)
    for old, new in (('unit="mma.m16n8k16.f16"', 'unit="mma.m16n8k16.bf16"'), ('left="mk"', 'left="km"'), ('unit="mma.m16n8k16.f16"', 'unit="none"')):
        assert old in text
        with pytest.raises(BugError, match="dot"):
            verify(parse(text.replace(old, new)))


def test_tiles_without_fragments_are_our_mistake():
    low, _ = made(lambda a, b: a @ b, (np.ones((16, 64), "f2"), np.ones((64, 16), "f2")), "ptx:sm_80", fast_math=True)
    [launch] = low.program.launches()
    other = parse(dump(launch.fn).replace("mma.m16n8k16.f16", "mma.m16n8k16.bf16", 1))  # the layout's unit, not the product's
    with pytest.raises(BugError, match="fragments"):
        to_kernel(other, target("ptx:sm_80").facts)


def test_the_decision_can_be_seen():
    low = pj.jit(lambda x, y: x @ y, fast_math=True).lower("f16[64,64]", "f16[64,64]", target="ptx:sm_80")
    assert "made by the matrix unit mma.m16n8k16.f16" in low.as_text("program") and "mma" in low.as_text("kernel")
