"""Our code objects on tinygrad's emulator of AMD's instructions: a `Driver` whose device is a child process.

PTXJIT_TINYGRAD names a checkout of tinygrad.  Its `test/mockgpu/amd/emu.py` decodes RDNA3, RDNA4 and CDNA machine code and compiles each
instruction's pseudocode with a C compiler for the host: clang, or the one in the wheel ziglang.  Here four things are made right, or as our
kernels want them: denormals are kept (our kernels ask for that in their descriptors), fma rounds once, `s_getpc_b64` is there,
and user SGPRs are laid out as the descriptor says.
"""
from __future__ import annotations

import os
import pickle
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
            found = read(binary)
            return (found, self.child("allocate", len(found.image) + 4096, found.image)), binary

        def prepare(self, module, signature, grid):
            found, base = module
            kernel = found.kernels[signature["name"]]
            shape = ISA[ARCHS[self.arch].family]

            def launch(values):
                arguments = kernel_arguments(kernel, values, grid, (signature["local"], 1, 1))
                self.child("launch", shape, base + kernel.entry, kernel.size, kernel.rsrc, kernel.lds, kernel.scratch, tuple(grid), (signature["local"], 1, 1), arguments)

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
                part = np.asarray(next(given)).reshape(-1).view(np.uint8).tobytes()
            assert len(part) == size, (a, part)
            out[at : at + size] = part
        assert next(given, None) is None
        return bytes(out)

    ISA = {"rdna3": "rdna3", "rdna4": "rdna4", "cdna3": "cdna", "cdna4": "cdna"}
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
            pickle.dump(request, self.process.stdin)
            self.process.stdin.flush()
            try:
                good, value = pickle.load(self.process.stdout)
            except EOFError:
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
        rsrc2 |= -(-lds // 512) << 15
        emu.run_asm(entry, size, *grid, *block, address, rsrc2, scratch, isa, user)
        del blocks[address]

    def free(address):
        blocks.pop(address, None)

    actions = {"allocate": allocate, "free": free, "launch": launch, "read": ctypes.string_at,
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


def prepared():
    """tinygrad's emulator with another C compiler and what it lacks."""
    from tinygrad.runtime.support import compiler_cpu

    command, home = compiler(), os.environ["EMULATOR_HOME"]
    flags = ["-c", "-x", "c", "-O1", "-fPIC", "-ffreestanding", "-fno-math-errno", "-ffp-contract=off", "-fno-stack-protector", "-g0",
             "-fno-asynchronous-unwind-tables"]  # fmt: skip

    def compile(self, source):
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
    scalar = emu._compile_sop

    def with_getpc(inst, ctx):
        if "GETPC" not in emu._op_name(inst):
            return scalar(inst, ctx)
        at = ctx.inst_field(type(inst).sdst)
        low, high = emu._split64(ctx.rpc() + UOp.const(inst.size(), dtypes.uint64))
        return UOp.sink(ctx.wsgpr_dyn(at, low), ctx.wsgpr_dyn(at + emu._c(1), high), *ctx.inc_pc())

    for kind, handler in list(emu._INST_HANDLERS.items()):
        if handler is scalar:
            emu._INST_HANDLERS[kind] = with_getpc
    return emu


if __name__ == "__main__":
    serve(sys.argv[1])
