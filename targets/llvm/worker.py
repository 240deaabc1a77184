"""LLVM's SPIR-V back end in a process of its own, one more for each module.

Two reasons.  What that back end keeps from one emission is keyed by addresses that the next one reuses: a second module of a process may get
wrong ids (LLVM 22).  And what it cannot select ends the process.  So a small server is started once; it loads LLVM, and forks for each
request (where there is no fork, a new interpreter serves each).  The part below `main` runs there, and imports nothing of ours.

A request is `kind triple length\\n` and the IR; the answer `ok|failed length\\n` and the output, or what LLVM said.  Kinds: `asm`, `obj`.
"""
from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import Any

_lock = threading.Lock()
_server: tuple[int, Any] | None = None


def compile_apart(text: str, triple: str, kind: str) -> bytes:
    """`asm` or `obj` of a module.  ToolError with LLVM's words where it refuses."""
    from ...ir.errors import BugError, ToolError

    data = text.encode()
    with _lock:
        for attempt in (0, 1):
            p = _start()
            try:
                p.stdin.write(f"{kind} {triple} {len(data)}\n".encode() + data)
                p.stdin.flush()
                head = p.stdout.readline().split()
                out = p.stdout.read(int(head[1])) if len(head) == 2 else b""
            except OSError:
                head, out = [], b""
            if len(head) == 2 and len(out) == int(head[1]):
                break
            _stop()
        else:
            raise ToolError("the process that runs LLVM's SPIR-V back end ended", hint="it needs llvmlite in this Python: pip install llvmlite")
    if not hasattr(os, "fork"):
        _stop()
    if head[0] == b"ok":
        return bytes(out)
    said = out.decode("utf-8", "replace").strip()
    if said.startswith("invalid: "):
        raise BugError(f"the LLVM IR that was written is not valid: {said[9:]}")
    line = next((x for x in said.splitlines() if "LLVM ERROR" in x or "Assertion" in x), said[-300:] or "no message")
    raise ToolError(f"LLVM's SPIR-V back end refused the module: {line.strip()}", hint="as_text('ll') shows it")


def _start() -> Any:
    global _server
    if _server is not None and (_server[0] != os.getpid() or _server[1].poll() is not None):
        _server = None  # a forked child's parent owns it, or it is dead
    if _server is None:
        import llvmlite

        where = os.path.dirname(os.path.dirname(os.path.abspath(llvmlite.__file__)))
        p = subprocess.Popen([sys.executable, "-I", "-S", os.path.abspath(__file__), where], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL)  # fmt: skip
        _server = os.getpid(), p
    return _server[1]


def _stop() -> None:
    global _server
    if _server is not None and _server[0] == os.getpid():
        _server[1].kill()
        _server[1].wait()
        _server[1].stdin.close()
        _server[1].stdout.close()
    _server = None


# ---- in the other process -------------------------------------------------------------------------------------------


def main() -> None:
    sys.path.append(sys.argv[1])
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while True:
        head = source.readline().split()
        if len(head) != 3:
            return
        text = source.read(int(head[2])).decode()
        ok, out = (_forked if hasattr(os, "fork") else _made)(llvm, text, head[1].decode(), head[0].decode())
        sink.write(f"{'ok' if ok else 'failed'} {len(out)}\n".encode() + out)
        sink.flush()


def _made(llvm: Any, text: str, triple: str, kind: str) -> tuple[bool, bytes]:
    try:
        module = llvm.parse_assembly(text, llvm.create_context())
        module.verify()
    except RuntimeError as e:
        return False, f"invalid: {e}".encode()
    if "dot_4x8packed_" in text:  # without the extension the back end makes a product of floats of it, and says nothing (LLVM 22)
        llvm.set_option("", "--spirv-ext=+SPV_KHR_integer_dot_product")
    machine = llvm.Target.from_triple(triple).create_target_machine(opt=0)  # above 0 a combiner takes the wide operand of a trunc for its result (LLVM 22)
    return True, machine.emit_assembly(module).encode() if kind == "asm" else bytes(machine.emit_object(module))


def _forked(llvm: Any, text: str, triple: str, kind: str) -> tuple[bool, bytes]:
    """In a child whose output and last words are read through a pipe each."""
    out_r, out_w = os.pipe()
    err_r, err_w = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(out_r)
            os.close(err_r)
            os.dup2(err_w, 2)
            ok, out = _made(llvm, text, triple, kind)
            with open(out_w if ok else err_w, "wb") as sink:
                sink.write(out)
            code = 0 if ok else 1
        finally:
            os._exit(code)
    os.close(out_w)
    os.close(err_w)
    said: list[bytes] = []

    def listen() -> None:
        with open(err_r, "rb") as f:
            said.append(f.read())

    ear = threading.Thread(target=listen)
    ear.start()
    with open(out_r, "rb") as f:
        out = f.read()
    ear.join()
    _, status = os.waitpid(child, 0)
    return (True, out) if status == 0 else (False, said[0])


if __name__ == "__main__":
    main()
