"""Our code objects on tinygrad's emulator of AMD's instructions: a `Driver` whose device is a child process.

PTXJIT_TINYGRAD names a checkout of tinygrad.  Its `test/mockgpu/amd/emu.py` decodes RDNA3, RDNA4 and CDNA machine code and compiles each
instruction's pseudocode with a C compiler for the host: clang, or the one in the wheel ziglang.  What it lacks is added here: denormals are kept
(our kernels ask for that in their descriptors), fma rounds once, rounding keeps −0, division ends in the quotient; `s_getpc_b64`, the signs of SDWA
operands, compare-and-swap of 64 bits, old values of atomics on RDNA4 and CDNA3, addresses in lanes that are off; user SGPRs as the descriptor says.
"""
from __future__ import annotations

import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

if __name__ != "__main__":
    import numpy as np
    import pytest

    from ptxjit.ir.errors import DeviceError
    from ptxjit.targets.amdgpu.codeobject import read
    from ptxjit.targets.amdgpu.facts import ARCHS
    from ptxjit.targets.amdgpu.target import AmdTarget
    from ptxjit.targets.driver import Driver

    class EmulatedTarget(AmdTarget):
        """`amdemu:gfx1100`: what `amdgpu:gfx1100` makes, run by the emulator."""

        def __init__(self, name):
            super().__init__("amdgpu:" + name.partition(":")[2])
            self.name = name
            self.runs_kernels = self.own_memory = True

        def driver(self):
            return emulated(self.arch)

    class Emulated(Driver):
        """`raw` is an address in the child."""

        def __init__(self, arch):
            super().__init__()
            self.name, self.arch = f"emulated {arch}", arch
            self.child = child()

        def allocate(self, size):
            return self.child("allocate", size)

        def free(self, raw):
            self.child("free", raw)

        def upload(self, raw, a):
            self.child("write", raw, a.tobytes())

        def download(self, a, raw):
            a.reshape(-1).view(np.uint8)[:] = np.frombuffer(self.child("read", raw, a.nbytes), np.uint8)

        def copy(self, dst, src, size):
            self.child("write", dst, self.child("read", src, size))

        def fill(self, raw, pattern, size):
            self.child("write", raw, pattern.tobytes() * (size // len(pattern)))

        def load(self, code, binary):
            if not code["kernels"]:
                return None, binary
            found = read(binary)
            return (found, self.child("allocate", len(found.image) + 4096, without_invalidation(found.image))), binary

        def prepare(self, module, signature, grid):
            found, base = module
            kernel = found.kernels[signature["name"]]
            shape = ISA[ARCHS[self.arch].family]

            block, dynamic = signature.get("block", (signature["local"], 1, 1)), signature.get("dynamic", 0)

            def launch(values):
                arguments = kernel_arguments(kernel, values, grid, block, dynamic)
                self.child("launch", shape, base + kernel.entry, kernel.size, kernel.rsrc, kernel.lds + dynamic, kernel.scratch, tuple(grid), block, arguments)

            return launch

        def make_stream(self):
            return 0

        def await_stream(self, queue):
            pass

        def record(self, queue):
            return 0

        def order_after(self, queue, event):
            pass

        def is_done(self, event):
            return True

        def await_event(self, event):
            pass

    def kernel_arguments(kernel, values, grid, block, dynamic=0):
        """The argument segment that HIP would lay out by the metadata: the kernel's arguments, then the hidden ones."""
        out = bytearray(max(kernel.kernarg, 8))
        hidden = {"hidden_dynamic_lds_size": dynamic, "hidden_grid_dims": 3}
        for n, axis in enumerate("xyz"):
            hidden |= {f"hidden_block_count_{axis}": grid[n], f"hidden_group_size_{axis}": block[n]}
        given = iter(values)
        for a in kernel.args:
            at, size, kind = a[".offset"], a[".size"], a[".value_kind"]
            if kind.startswith("hidden"):
                part = hidden.get(kind, 0).to_bytes(size, "little")
            elif kind == "global_buffer":
                part = int(next(given)).to_bytes(8, "little")
            else:
                value = next(given)
                part = (value & (1 << 8 * size) - 1).to_bytes(size, "little") if isinstance(value, int) else np.asarray(value).reshape(-1).view(np.uint8).tobytes()
            assert len(part) == size, (a, part)
            out[at : at + size] = part
        assert next(given, None) is None
        return bytes(out)

    def run_foreign(arch, code, name, values, regions, grid, block, shared, reports):
        """A foreign kernel over host memory: `regions` are (address, bytes) that it may touch; they lie at the same addresses in the child."""
        call, found = child(), read(code)
        kernel = found.kernels[name]
        for address, memory in regions:
            call("place", address, bytes(memory))
        word = call("allocate", 4, bytes(4))
        base = call("allocate", len(found.image) + 4096, without_invalidation(found.image))
        try:
            arguments = kernel_arguments(kernel, [*values, *[word] * reports], grid, block, shared)
            call("launch", ISA[ARCHS[arch].family], base + kernel.entry, kernel.size, kernel.rsrc, kernel.lds + shared, kernel.scratch, grid, block, arguments)
            for address, memory in regions:
                memory[:] = np.frombuffer(call("read", address, len(memory)), np.uint8)
            return int.from_bytes(call("read", word, 4), "little")
        finally:
            call("clear")
            call("free", base)
            call("free", word)

    def without_invalidation(image):
        """RDNA3's buffer_gl0_inv and buffer_gl1_inv, whose class of instructions the emulator does not decode, as s_nop: it has no caches."""
        words = np.frombuffer(image[: len(image) & -4], "<u4").copy()
        for at in np.flatnonzero(((words[:-1] == 0xE0AC0000) | (words[:-1] == 0xE0B00000)) & (words[1:] == 0)):
            words[at : at + 2] = 0xBF800000
        return words.tobytes() + image[len(image) & -4 :]

    ISA = {"rdna3": "rdna3", "rdna3.5": "rdna3", "rdna4": "rdna4", "cdna3": "cdna", "cdna4": "cdna"}
    _drivers, _child = {}, []

    def missing():
        """Why nothing can be emulated, or None."""
        where = os.environ.get("PTXJIT_TINYGRAD")
        if not where:
            return "no emulator: PTXJIT_TINYGRAD names no checkout of tinygrad (git clone https://github.com/tinygrad/tinygrad)"
        if not (Path(where) / "test/mockgpu/amd/emu.py").is_file():
            return f"no emulator: PTXJIT_TINYGRAD={where} has no test/mockgpu/amd/emu.py"
        if compiler() is None:
            return "no emulator: a C compiler is missing: apt-get install clang, or .venv/bin/python -m pip install ziglang"
        return None

    def archs(*names):
        """The architectures to run a test for, or one case that is skipped and says why."""
        why = missing()
        return list(names) if why is None else [pytest.param("none", marks=pytest.mark.skip(reason=why))]

    def emulated(arch):
        if arch not in _drivers:
            _drivers[arch] = Emulated(arch)
        return _drivers[arch]

    def child():
        if not _child:
            why = missing()
            if why:
                pytest.skip(why)
            _child.append(Child())
        return _child[0]

    class Child:
        def __init__(self):
            home = tempfile.mkdtemp(prefix="ptxjit-emulator-")
            env = {k: v for k, v in os.environ.items() if not k.startswith("PTXJIT_")} | {"EMULATOR_CC": " ".join(compiler()), "HOME": home,
                   "XDG_CACHE_HOME": home, "CACHEDB": f"{home}/cache.db", "CCACHE": "0", "DEV": "CPU", "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip
            env["EMULATOR_HOME"] = home
            self.process = subprocess.Popen([sys.executable, __file__, os.environ["PTXJIT_TINYGRAD"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)

        def __call__(self, *request):
            try:
                pickle.dump(request, self.process.stdin)
                self.process.stdin.flush()
                good, value = pickle.load(self.process.stdout)
            except (EOFError, BrokenPipeError):
                _child.clear()
                _drivers.clear()
                raise DeviceError(f"the emulator ended with status {self.process.wait()}") from None
            if not good:
                raise DeviceError(f"the emulator: {value}")
            return value


def compiler():
    """A command that compiles C for this machine, or None."""
    if os.environ.get("EMULATOR_CC"):
        return os.environ["EMULATOR_CC"].split()
    found = shutil.which("clang")
    if found:
        return [found, "-march=native"]
    try:
        import ziglang
    except ImportError:
        return None
    return [str(Path(ziglang.__file__).parent / "zig"), "cc", "-target", "x86_64-linux-gnu", "-mcpu=native", "-fno-sanitize=all"]


# ---- the child --------------------------------------------------------------------------------------------------------


def serve(checkout):
    """Answers requests on standard input.  What tinygrad prints goes to standard error."""
    import ctypes
    import mmap

    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.path.insert(0, checkout)
    emu = prepared()
    blocks = {}

    def allocate(size, content=b""):
        block = mmap.mmap(-1, max(size, 1) + 4096)
        address = ctypes.addressof(ctypes.c_char.from_buffer(block))
        blocks[address] = block
        block[: len(content)] = content
        return address

    def launch(isa, entry, size, rsrc, lds, scratch, grid, block, arguments):
        address = allocate(len(arguments), arguments)
        rsrc1, rsrc2, rsrc3, properties = rsrc
        user = []
        for bit, words in ((0, 4), (1, 2), (2, 2), (3, 2), (4, 2), (5, 2), (6, 1)):  # in the order of the descriptor's properties
            if properties >> bit & 1:
                if bit not in (3, 5):
                    raise RuntimeError(f"the kernel wants user SGPRs of kind {bit}, which the emulator does not have")
                user += [address & 0xFFFFFFFF, address >> 32] if bit == 3 else [0, 0]
        if lds > LDS:
            raise RuntimeError(f"the kernel has {lds} bytes of LDS")
        rsrc2 |= LDS // 512 << 15
        emu.run_asm(entry, size, *grid, *block, address, rsrc2, scratch, isa, user)
        del blocks[address]

    def free(address):
        blocks.pop(address, None)

    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype, libc.mmap.argtypes = ctypes.c_void_p, (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
    libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    placed = set()

    def place(address, data):
        """Puts bytes at an address of the parent's."""
        for page in range(address & -4096, address + len(data), 4096):
            if page not in placed:
                at = libc.mmap(page, 4096, 3, 0x100022, -1, 0)  # private, anonymous, MAP_FIXED_NOREPLACE
                if at != page:
                    raise RuntimeError(f"the page {page:#x} is taken in the child")
                placed.add(page)
        ctypes.memmove(address, data, len(data))

    def clear():
        for page in placed:
            libc.munmap(page, 4096)
        placed.clear()

    actions = {"place": place, "clear": clear, "allocate": allocate, "free": free, "launch": launch, "read": ctypes.string_at,
               "write": lambda address, data: ctypes.memmove(address, data, len(data)) and None}  # fmt: skip
    requests = os.fdopen(0, "rb")
    while True:
        try:
            name, *rest = pickle.load(requests)
        except EOFError:
            return
        try:
            reply = True, actions[name](*rest)
        except Exception as e:
            reply = False, f"{type(e).__name__}: {e}"
        pickle.dump(reply, replies)
        replies.flush()


LDS = 65536
# a division's last step gets numerator and denominator: here it gives the quotient, since the emulator's scaling of its first step is not exact
WORDS = {f"V_DIV_FIXUP_F{n}": f"D0.f{n} = {q}" for n, q in ((16, "16'F(64'F(S2.f16) / 64'F(S1.f16))"), (32, "S2.f32 / S1.f32"), (64, "S2.f64 / S1.f64"))}
WORDS |= {f"V_RNDNE_F{n}": f"D0.f{n} = to_even(S0.f{n})" for n in (16, 32, 64)}  # the emulator's gives +0 for what rounds to −0


def prepared():
    """tinygrad's emulator with another C compiler and what it lacks."""
    from tinygrad.runtime.support import compiler_cpu

    command, home = compiler(), os.environ["EMULATOR_HOME"]
    flags = ["-c", "-x", "c", "-O1", "-fPIC", "-ffreestanding", "-fno-math-errno", "-ffp-contract=off", "-fno-stack-protector", "-g0",
             "-fno-asynchronous-unwind-tables"]  # fmt: skip

    def compile(self, source):
        source = re.sub(r"(\*\(\(unsigned_int(\d+)\*\)\S* = )\(int\2\)", r"\1(unsigned_int\2)", source)  # of MFMA's bytes
        (Path(home) / "k.c").write_text(source)
        done = subprocess.run([*command, *flags, f"{home}/k.c", "-o", f"{home}/k.o"], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return (Path(home) / "k.o").read_bytes()

    compiler_cpu.ClangCompiler.compile = compile
    from test.mockgpu.amd import emu, pcode
    from tinygrad.dtype import dtypes
    from tinygrad.uop.ops import Ops, UOp

    class Denormals:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    emu._MXCSRContext = Denormals

    def fma(a, b, c):
        if a.dtype == dtypes.half:  # the product is exact in f64, the sum is rounded to odd there and again in f32, so that the last rounding decides
            code = ("({{ double p = (double){0} * (double){1}, z = (double){2}, s = p + z, v = s - p, e = (p - (s - v)) + (z - v);"
                    " union {{ double d; long long i; }} u; u.d = s;"
                    " if (e != 0 && s - s == 0 && !(u.i & 1)) u.i += (e > 0) == (u.i >= 0) ? 1 : -1;"
                    " union {{ float f; int i; }} w; w.f = (float)u.d;"
                    " if (w.f - w.f == 0 && (double)w.f != u.d) {{ if ((w.f < 0 ? -(double)w.f : (double)w.f) > (u.d < 0 ? -u.d : u.d)) w.i -= 1; w.i |= 1; }}"
                    " (__fp16)w.f; }})")  # fmt: skip
        else:
            code = f"__builtin_fma{'' if a.dtype == dtypes.float64 else 'f'}({{0}}, {{1}}, {{2}})"
        return UOp(Ops.CUSTOMI, a.dtype, (a, b, c), code)

    pcode._FUNCS["fma"] = fma
    pcode._FUNCS["to_even"] = lambda a: UOp(Ops.CUSTOMI, a.dtype, (a,), f"__builtin_rint{'' if a.dtype == dtypes.float64 else 'f'}({{0}})")
    words = emu.get_pcode

    def pseudocode(op):
        if op.name.startswith("V_MAD_MIX"):  # CDNA's manual calls them so; they are fused
            op = getattr(emu.ir3.VOP3POp, op.name.replace("MAD", "FMA"))
        name = op.name.removesuffix("_E32").removesuffix("_E64")
        extreme = re.fullmatch(r"V_(MIN|MAX|MINIMUM|MAXIMUM)(3?)_(NUM_)?F(16|32|64)", name)
        if extreme is not None:  # by comparisons that hold +0 and −0 for the same
            f = f"f{extreme[4]}"
            operands = ", ".join(f"S{n}.{f}" for n in range(3 if extreme[2] else 2))
            return f"D0.{f} = {extreme[1].lower()}_of_{f}({operands})"
        text = re.sub(r"CalcFlatAddr\(v_addr(\.b64)?, flat_scratch(\.b64)?\)", "CalcGlobalAddr(v_addr.b64, s_saddr.b64)", WORDS.get(name) or words(op))
        return re.sub(r"(S\d)\.([iu])24", r"low24_\2(\1.\g<2>32)", text)

    emu.get_pcode = pseudocode
    pcode._FUNCS["low24_u"] = lambda a: a.cast(dtypes.uint32) & UOp.const(0xFFFFFF, dtypes.uint32)
    pcode._FUNCS["low24_i"] = lambda a: (a.cast(dtypes.int32) << UOp.const(8, dtypes.int32)) >> UOp.const(8, dtypes.int32)
    extremes = pcode._minmax_reduce

    def ordered(is_max, dt, *args):
        """Minima and maxima in which −0 is below +0 and a NaN loses."""
        word = {dtypes.half: dtypes.uint16, dtypes.float32: dtypes.uint32, dtypes.float64: dtypes.uint64}.get(dt)
        if word is None:
            return extremes(is_max, dt, *args)
        r, *rest = [a.bitcast(dt) if a.dtype == word else a.cast(dt) for a in args]
        for b in rest:
            x, y = r.bitcast(word), b.bitcast(word)
            same = (x & y if is_max else x | y).bitcast(dt)
            r = r.ne(r).where(b, b.ne(b).where(r, r.eq(b).where(same, ((r > b) if is_max else (r < b)).where(r, b))))
        return r

    pcode._minmax_reduce = ordered

    def spreading(is_max, dt, *args):
        """… in which a NaN wins."""
        args = [a if a.dtype == dt else a.bitcast(dt) if a.dtype.itemsize == dt.itemsize else pcode._f16_extract(a) for a in args]
        r = ordered(is_max, dt, *args)
        for a in args:
            r = a.ne(a).where(a, r)
        return r

    for f, dt in (("f16", dtypes.half), ("f32", dtypes.float32), ("f64", dtypes.float64)):
        for is_max, short in ((False, "min"), (True, "max")):
            pcode._FUNCS[f"{short}_of_{f}"] = lambda *a, m=is_max, d=dt: ordered(m, d, *(pcode._f16_extract(x) if d == dtypes.half else x for x in a))
            pcode._FUNCS[f"{short}imum_of_{f}"] = lambda *a, m=is_max, d=dt: spreading(m, d, *a)
    clamp = emu._int_clamp

    def saturated(name, srcs):
        """Sums and differences of signed 16 bits too, and CDNA's."""
        if re.search(r"V_(ADD|SUB)_I32", name):  # CDNA's name for what is V_ADD_NC_I32 elsewhere
            return clamp(name.replace("_I32", "_NC_I32"), srcs)
        if not re.search(r"V_(ADD|SUB)_(NC_)?I16", name):
            return clamp(name, srcs)
        wide = [(srcs[k].cast(dtypes.uint16).bitcast(dtypes.int16)).cast(dtypes.int32) for k in ("S0", "S1")]
        r = (wide[0] - wide[1] if "SUB" in name else wide[0] + wide[1]).clamp(-0x8000, 0x7FFF)
        return r.cast(dtypes.uint16)

    emu._int_clamp = saturated
    scalar = emu._compile_sop

    def with_getpc(inst, ctx):
        if "GETPC" not in emu._op_name(inst):
            return scalar(inst, ctx)
        at = ctx.inst_field(type(inst).sdst)
        low, high = emu._split64(ctx.rpc() + UOp.const(inst.size(), dtypes.uint64))
        return UOp.sink(ctx.wsgpr_dyn(at, low), ctx.wsgpr_dyn(at + emu._c(1), high), *ctx.inc_pc())

    sdwa, select, current = emu._compile_sdwa, emu._sdwa_select, []

    def with_signs(inst, ctx):
        current[:] = [inst, ctx, 0]
        return sdwa(inst, ctx)

    def selected(val, sel, sext):
        """The part of the operand with its absolute value and negation."""
        inst, ctx, turn = current
        current[2] = 1 - turn
        val = select(val, sel, sext)
        sign = sel.eq(emu._c(6)).where(emu._c(0x80000000), emu._c(0x8000))
        absolute, negated = (ctx.inst_field(getattr(type(inst), f"src{turn}_{word}")) for word in ("abs", "neg"))
        val = absolute.ne(emu._c(0)).where(val & (sign ^ emu._c(0xFFFFFFFF)), val)
        return negated.ne(emu._c(0)).where(val ^ sign, val)

    emu._sdwa_select = selected

    class Local:
        """LDS, where lanes that are switched off read with whatever their address register holds."""

        def __init__(self, memory):
            self.memory, self.dtype = memory, memory.dtype

        def index(self, at):
            guarded = at.op is Ops.WHERE and at.src[2].base.is_invalid
            return self.memory.index(at if guarded else at & UOp.const(LDS // 4 - 1, at.dtype))

    emu._Ctx.lds = Local(emu._Ctx.lds)
    attribute = emu._iattr

    def returning(inst, name, default=0):
        """RDNA4 and CDNA3 have another word for atomics that give the old value."""
        if name == "glc" and not hasattr(type(inst), "glc"):
            return attribute(inst, "sc0") if hasattr(type(inst), "sc0") else attribute(inst, "th") & 1
        return attribute(inst, name, default)

    emu._iattr = returning
    field = emu._Ctx.optional_field

    def present(ctx, inst, name):
        """CDNA's flat accesses have no scalar base; 0 stands in its place, which is not s0."""
        return None if name == "saddr" and isinstance(inst, emu.irc.FLAT) and not isinstance(inst, emu.irc.GLOBAL) else field(ctx, inst, name)

    emu._Ctx.optional_field = present
    access = emu._compile_mem_op

    def with_swaps(inst, ctx):
        """Compare-and-swap of 64 bits in global memory, of whose operands the emulator reads one word."""
        name = emu._op_name(inst)
        if re.fullmatch("GLOBAL_(INV|WB|WBINV)", name):  # RDNA4's words for caches
            return UOp.sink(*ctx.inc_pc())
        if not ("ATOMIC_CMPSWAP" in name and ("B64" in name or "X2" in name)) or name.startswith("DS"):
            return access(inst, ctx)
        kind, c, lane = type(inst), emu._c, ctx.range()
        active = emu._lane_active(ctx.rexec(), lane)
        at, data, back = (ctx.inst_field(getattr(kind, a if hasattr(kind, a) else b)) for a, b in (("addr", "vaddr"), ("data", "vsrc"), ("vdst", "vdst")))
        scalar_at = present(ctx, inst, "saddr")
        scalar_at = c(124) if scalar_at is None else scalar_at
        whole, part = emu._u64(ctx.rvgpr_dyn(at, lane), ctx.rvgpr_dyn(at + c(1), lane)), ctx.rvgpr_dyn(at, lane).cast(dtypes.uint64)
        base = emu._u64(ctx.rsgpr_dyn(scalar_at), ctx.rsgpr_dyn(scalar_at + c(1)))
        offset = ctx.inst_field_signed(kind.ioffset if hasattr(kind, "ioffset") else kind.offset).cast(dtypes.uint64)
        word = ((scalar_at < c(124)).where(base + part, whole) + offset) >> UOp.const(2, dtypes.uint64)
        low, high = (ctx.vmem.index((word + UOp.const(k, dtypes.uint64)).cast(dtypes.int64).valid(active)) for k in (0, 1))
        have = emu._u64(low.load(), high.load())
        new, want = (emu._u64(ctx.rvgpr_dyn(data + c(k), lane), ctx.rvgpr_dyn(data + c(k + 1), lane)) for k in (0, 2))
        result = emu._split64(have.eq(want).where(new, have))
        stores = [place.store(active.where(r, place)) for place, r in zip((low, high), result)]
        if returning(inst, "glc"):
            stores += [ctx.wvgpr_dyn(back + c(k), lane, r, ctx.rexec()) for k, r in enumerate(emu._split64(have))]
        return UOp.sink(UOp.group(*stores).end(lane), *ctx.inc_pc())

    buffers = emu._compile_mubuf

    def without_caches(inst, ctx):
        """CDNA's write-back and invalidation of caches are buffer instructions."""
        if re.search("WBL2|INV|WBINV", emu._op_name(inst)):
            return UOp.sink(*ctx.inc_pc())
        return buffers(inst, ctx)

    instead = {scalar: with_getpc, sdwa: with_signs, access: with_swaps, buffers: without_caches}
    for kind, handler in list(emu._INST_HANDLERS.items()):
        emu._INST_HANDLERS[kind] = instead.get(handler, handler)
    return emu


if __name__ == "__main__":
    serve(sys.argv[1])
