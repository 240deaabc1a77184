"""Every op × every type: PTX is written, and ptxas assembles it.  Many kernels make one module, so ptxas starts once per module."""
from __future__ import annotations

import pytest

from ptxjit.ir import ops  # noqa: F401  registers the ops
from ptxjit.ir.errors import UnsupportedError
from ptxjit.ir.kernel import KernelBuilder
from ptxjit.ir.op import all_ops, op
from ptxjit.ir.passes import kernel_pipeline
from ptxjit.ir.types import BF16, F16, F32, F64, I1, I8, I16, I32, I64
from ptxjit.targets.ptx.facts import facts_for
from ptxjit.targets.ptx.lift.core import instructions
from ptxjit.targets.ptx.parse import read
from ptxjit.targets.ptx.rows.matching import match
from ptxjit.targets.ptx.rows.writing import ROWS, UNSUPPORTED
from ptxjit.targets.ptx.tools import assemble
from ptxjit.targets.ptx.write import CLASS, Writer, write_module


def one_op(name, o, types, attrs, constants=()):
    """Loads operands by lane, applies the op, stores the result.  Operands whose number is in `constants` are literals."""
    b = KernelBuilder(name, lanes=32, warps=1)
    ins = [b.param(f"p{k}", I64, role="pointer", elem=t, access="r") for k, t in enumerate(types)]
    [result] = o.infer(types, attrs)
    out = b.param("out", I64, role="pointer", elem=result, access="w")
    lane = b.sreg(name="laneid")
    args = [b.const(t, constants[k]) if k in constants else b.ld(ins[k], lane, space="global", to=t, scale=t.bytes) for k, t in enumerate(types)]
    b.st(out, lane, b.emit(o, args, attrs), space="global", to=result, scale=result.bytes)
    b.ret()
    return b.finish()


def lowered(kernel, arch):
    facts = facts_for(f"ptx:{arch}")
    return kernel_pipeline(facts).run(kernel, check=True)


def assembled(kernels, arch):
    text = write_module(kernels, facts_for(f"ptx:{arch}"))
    follows(text, arch)
    assemble(text, arch)


def written(cases, arch):
    """Kernels that the writer takes, and what it refuses."""
    good, refused = [], []
    for c in cases:
        k = lowered(one_op(c.name, c.op, c.types, c.attrs), arch)
        try:
            write_module([k], facts_for(f"ptx:{arch}"))
        except UnsupportedError as e:
            refused.append((c, e))
        else:
            good.append(k)
    return good, refused


def follows(text, arch):
    """Every instruction of a module that we wrote follows a row, which the architecture and the stated `.version` have; how many there are."""
    module = read(text, "written.ptx")
    found = [match(i) for f in module.functions.values() for i in instructions(f.body.items)]
    version = tuple(int(p) for p in module.version.split("."))
    assert all(m.need.met_by(arch) and m.need.isa <= version for m in found), [m for m in found if not m.need.met_by(arch) or m.need.isa > version]
    return len(found)


def without(cases, *names):
    return [c for c in cases if c.name not in names]


PRED_CAST = "bitcast_i1_to_i1"


@pytest.mark.parametrize("arch", ["sm_75", "sm_80", "sm_90", "sm_120"])
def test_every_lane_op_on_every_type(arch, ptxas, lane_cases):
    good, refused = written(without(lane_cases(), PRED_CAST), arch)
    assert not refused, [c.name for c, _ in refused]
    assembled(good, arch)


def test_bitcast_of_predicates(ptxas, lane_cases):
    [case] = [c for c in lane_cases() if c.name == PRED_CAST]
    assembled(written([case], "sm_80")[0], "sm_80")


def test_every_math_op_on_every_type(ptxas, lane_cases):
    good, refused = written(lane_cases("math"), "sm_80")
    assert not refused and len(good) > 90
    assembled(good, "sm_80")


@pytest.mark.parametrize("value", [-1, 0])
def test_every_lane_op_with_literals(value, ptxas, lane_cases):
    """The last operand, or all of them, as immediates."""
    kernels = []
    for c in without(lane_cases(), PRED_CAST):
        literal = {k: bool(value) if t is I1 else float(value) if t.is_float else value for k, t in enumerate(c.types)}
        last = len(c.types) - 1
        kernels.append(lowered(one_op(c.name, c.op, c.types, c.attrs, literal if value else {last: literal[last]}), "sm_80"))
    assembled(kernels, "sm_80")


def doubles(c):
    """What PTX has no words for: flushing and saturation of f64."""
    return any(k in ("ftz", "sat") for k, _ in c.attrs) and c.types[0] is F64 and c.result is F64


def test_every_attribute(ptxas, lane_cases):
    good, _ = written([c for c in without(lane_cases(attributes=True), PRED_CAST) if not doubles(c)], "sm_80")
    assembled(good, "sm_80")


def test_attributes_that_ptx_lacks_are_refused(lane_cases):
    good, _ = written([c for c in lane_cases(attributes=True) if doubles(c)], "sm_80")
    assert not good, [k.name for k in good]


def test_an_attribute_is_said_or_refused(lane_cases):
    """An attribute that changes the meaning changes the text."""
    def body(c, attrs):
        return write_module([lowered(one_op("k", c.op, c.types, attrs), "sm_80")], facts_for("ptx:sm_80"))

    dropped = []
    for c in lane_cases(attributes=True):
        attrs = dict(c.attrs)
        plain = tuple((k, v) for k, v in c.attrs if k not in ("rnd", "ftz", "sat"))
        usual = "rz" if c.op.name in ("ftos", "ftou") else "rn"
        widens = "to" in attrs and c.result.is_float and (c.result.bits > c.types[0].bits or c.types[0] is I1)
        if plain == c.attrs or doubles(c) or attrs.get("rnd") == usual or widens and "sat" not in attrs:
            continue
        try:
            if body(c, c.attrs) == body(c, plain):
                dropped.append(c.name)
        except UnsupportedError:
            pass
    assert not dropped, dropped


@pytest.mark.parametrize("arch", ["sm_75", "sm_90", "sm_120"])
def test_what_is_written_follows_the_rows(arch, lane_cases, random_kernel):
    """Every lane op on every type, with its attributes, all math, memory and random kernels (the others are checked where they are assembled)."""
    facts = facts_for(f"ptx:{arch}")
    cases = [*without(lane_cases(), PRED_CAST), *without(lane_cases(attributes=True), PRED_CAST), *lane_cases("math")]
    kernels = written(cases, arch)[0]
    kernels += [lowered(memory_kernel(t, n, s, g), arch) for t in MEMORY for n in (1, 2) for s in ("global", "shared") for g in (False, True)]
    kernels += [lowered(random_kernel(seed, elem), arch) for seed in range(6) for elem in (F32, F64, F16, BF16)]
    assert sum(follows(write_module([k], facts), arch) for k in kernels) > 10_000


# ---- memory, lanes, control -----------------------------------------------------------------------------------------

MEMORY = (I1, I8, I16, I32, I64, F16, BF16, F32, F64)


def memory_kernel(elem, count, space, guarded):
    b = KernelBuilder(f"m_{elem}_{count}_{space}_{guarded}", lanes=32, warps=1)
    b.shared = 4096
    x = b.param("x", I64, role="pointer", elem=elem, access="rw", align=16)
    lane = b.sreg(name="laneid")
    base = x if space == "global" else b.const(I32, 0)
    facts = dict(space=space, to=elem, scale=elem.bytes * count, count=count)
    attrs = tuple(sorted((k, v) for k, v in facts.items() if v != 1 or k != "count"))
    guard = b.icmp(lane, b.const(I32, 7), pred="slt") if guarded else None
    fill = tuple([b.const(elem, 1)] * count) if guarded else ()
    got = b.emit(op("ld"), (base, lane), attrs, guard=guard, passthrough=fill)
    values = got if count > 1 else (got,)
    b.emit(op("st"), (base, lane, *values), attrs, guard=guard)
    b.emit(op("st"), (base, *values), attrs)
    b.ret()
    return b.finish()


def test_loads_and_stores(ptxas):
    widths = [(t, n) for t in MEMORY for n in (1, 2, 4) if t.bytes * n <= 16]
    assembled([lowered(memory_kernel(t, n, s, g), "sm_80") for t, n in widths for s in ("global", "shared") for g in (False, True)], "sm_80")


@pytest.mark.parametrize("arch", ["sm_80", "sm_100"])
def test_atomics_and_lanes(arch, ptxas):
    b = KernelBuilder("k", lanes=32, warps=2)
    b.shared = 512
    x = b.param("x", I64, role="pointer", elem=I32, access="rw")
    n = b.param("n", I32)
    lane, zero = b.sreg(name="laneid"), b.const(I32, 0)
    for name in op("sreg").attrs["name"]:
        if arch == "sm_80" and ("cluster" in name or name == "aggr_smem_size"):
            continue
        v = b.sreg(name=name)
        b.st(x, v, space="global", to=v.type)
    for fn in ("iadd", "imin_s", "imax_s", "imin_u", "imax_u", "and", "or", "xor"):
        for t in (I32, I64):
            b.red(x, b.const(t, 3), space="global", to=t, fn=fn)
        b.red(zero, lane, n, space="shared", to=I32, fn=fn, scale=4, scope="cta")
    for t in (F32, F64):
        b.red(x, b.const(t, 3.0), space="global", to=t, fn="fadd")
    for t in MEMORY:
        v = b.ld(x, lane, space="global", to=t, scale=t.bytes)
        for mode in ("bfly", "down", "up", "idx"):
            b.st(x, lane, b.shfl(v, b.const(I32, 3), mode=mode), space="global", to=t, scale=t.bytes)
        b.st(x, lane, b.shfl(v, n, mode="idx"), space="global", to=t, scale=t.bytes)
        b.st(x, b.undef(to=t), space="global", to=t)
    p = b.icmp(lane, n, pred="ult")
    b.st(x, b.vote_any(p), space="global", to=I1)
    b.st(x, b.vote_all(p), space="global", to=I1)
    b.bar()
    b.bar(id=1)
    old = b.atom(x, b.const(I32, 1), space="global", to=I32, fn="iadd")
    for fn in ("iadd", "imin_s", "imax_u", "and", "xor", "exch"):
        for t in (I32, I64):
            b.st(x, b.atom(x, lane, b.const(t, 3), space="global", to=t, fn=fn, scale=8, order="acq_rel", scope="cta"), space="global", to=t)
    for t in (I32, I64):
        b.st(x, b.atom(x, b.const(t, 0), b.const(t, 1), space="generic", to=t, fn="cas"), space="global", to=t)
    for t in (F32, F64):
        b.st(x, b.atom(x, b.const(t, 3.0), space="global", to=t, fn="fadd", scope="sys"), space="global", to=t)
        b.st(x, b.atom(x, b.const(t, 3.0), space="global", to=t, fn="exch"), space="global", to=t)
    b.st(x, b.atom(zero, old, space="shared", to=I32, fn="inc", scope="cta"), space="global", to=I32)
    guarded = (("fn", "iadd"), ("space", "global"), ("to", I32))
    b.st(x, b.emit(op("atom"), (x, lane), guarded, guard=p, passthrough=(n,)), space="global", to=I32)
    for order in ("relaxed", "acquire"):
        b.st(x, b.ld(x, space="global", to=I32, order=order, scope="gpu"), space="global", to=I32, order="release", scope="sys")
    b.st(x, b.ld(x, space="generic", to=I32, volatile=True), space="generic", to=I32, volatile=True)
    for scope in ("cta", "gpu", "sys"):
        b.fence(order="sc", scope=scope)
        b.fence(scope=scope)
    b.report(p, code=4)
    b.ret()
    assembled([lowered(b.finish(), arch)], arch)


def test_parallel_copies(ptxas):
    """Block parameters that change places, along both edges of a branch, also predicates and constants; and a trap."""
    types = (I1, I16, I32, I64, F16, F32, F64)
    b = KernelBuilder("swap", lanes=32, warps=1)
    x = b.param("x", I64, role="pointer", elem=I32, access="rw")
    lane = b.sreg(name="laneid")
    starts = [v for t in types for v in (b.ld(x, space="global", to=t), b.const(t, 1))]
    loop = b.block("loop", [v.type for v in starts])
    done, stop = b.block("done", [v.type for v in starts]), b.block("stop")
    p = b.icmp(lane, b.const(I32, 3), pred="eq")
    b.branch(p, loop, done, tuple(starts), tuple(starts))
    held = b.start(loop)
    swapped = tuple(v for k in range(0, len(held), 2) for v in (held[k + 1], held[k]))
    b.branch(held[0], loop, done, swapped, swapped)
    for v in b.start(done):
        b.st(x, v, space="global", to=v.type)
    b.branch(p, stop, stop)
    b.start(stop)
    b._end("trap", (), ())
    assembled([lowered(b.finish(), "sm_80")], "sm_80")


def test_random_kernels(ptxas, random_kernel):
    """Loops, side branches, guarded accesses, with the copies that their block parameters need."""
    for elem in (F32, F64, F16, BF16):
        kernels = [lowered(random_kernel(seed, elem), "sm_80") for seed in range(10)]
        for n, k in enumerate(kernels):
            k.name = f"k{n}"
        assembled(kernels, "sm_80")


def test_number_of_warps():
    """`warpid` is computed from tid.x, since %warpid may change; the number of warps is a constant of the kernel."""
    b = KernelBuilder("k", lanes=32, warps=4)
    x = b.param("x", I64, role="pointer", elem=I32, access="w")
    b.st(x, b.sreg(name="nwarpid"), space="global", to=I32)
    b.ret()
    assert "%nwarpid" not in write_module([b.finish()], facts_for("ptx:sm_80"))


# ---- completeness ---------------------------------------------------------------------------------------------------


def ways(o):
    """How PTX says an op of the kernel level."""
    return [w for w, there in (("row", o.name in ROWS), ("expansion", hasattr(Writer, "_" + o.name)), ("decomposition", o.kind == "math"),
                               ("control", o.name in ("jump", "branch", "return", "trap")), ("refused", o.name in UNSUPPORTED)) if there]  # fmt: skip


def test_every_op_has_a_way():
    missing = [o.name for o in all_ops() if "kernel" in o.levels and not ways(o)]
    assert not missing, missing
    assert "expansion" in ways(op("atom"))


def test_what_is_not_written_is_refused_with_its_reason():
    b = KernelBuilder("k", lanes=32, warps=1)
    b.activemask()
    b.ret()
    with pytest.raises(UnsupportedError, match="activemask for ptx:sm_80: read from foreign PTX"):
        write_module([b.finish()], facts_for("ptx:sm_80"))
    for fn, t in (("cas", F16), ("fmaxnum", F32), ("inc", I64)):
        b = KernelBuilder("k", lanes=32, warps=1)
        x = b.param("x", I64, role="pointer", elem=t)
        b.atom(x, *[b.const(t, 1)] * (1 + (fn == "cas")), space="global", to=t, fn=fn)
        b.ret()
        with pytest.raises(UnsupportedError, match=f"atomic {fn} on {t}"):
            write_module([b.finish()], facts_for("ptx:sm_80"))


def test_refusals_have_a_reason_and_tables_know_their_ops():
    assert all(len(why) > 5 for why in UNSUPPORTED.values())
    for name, patterns in ROWS.items():
        assert op(name).kind == "lane" and set(patterns) <= set(CLASS)


def test_frem_is_decomposed():
    """What UNSUPPORTED says is decomposed is gone after the pipeline."""
    for t in (F16, BF16, F32, F64):
        k = lowered(one_op("k", op("frem"), (t, t), ()), "sm_80")
        assert not any(i.op.name in UNSUPPORTED for i in k.instrs())


def test_types_without_a_register_are_refused():
    from ptxjit.ir.types import F8E4M3, I128

    for t in (I128, F8E4M3):
        with pytest.raises(UnsupportedError, match=f"{t} has no PTX register"):
            k = one_op("k", op("select"), (I1, t, t), ())
            write_module([k], facts_for("ptx:sm_80"))
