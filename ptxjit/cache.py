"""The disk cache: compiled programs under the hash of what was compiled.

The key is taken over the graph (without names and lines), the device's facts, the options, the versions of the tools and a build id of
ptxjit itself.  An entry is one file: a header with a checksum, then the executable's bytes.  It is written to a temporary file and
renamed, so a killed writer or a second process does no harm.  Whatever looks odd is a miss, with a warning, and is dropped.
"""
from __future__ import annotations

import hashlib
import os
import stat
import struct
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from . import knobs
from .ir.graph import Graph, Node
from .ir.guards import Sizes, compiled
from .ir.types import Type
from .options import Options

MAGIC = b"ptxjit01"
PLACES = 4  # versions of one graph of symbolic sizes
LIMIT = 1 << 30  # bytes kept; the oldest go first
_locks: dict[str, threading.Lock] = {}
_room: dict[Path, int] = {}  # bytes that may be written before the next look at a folder
_guard = threading.Lock()
_build: str | None = None


# ---- keys -----------------------------------------------------------------------------------------------------------


def graph_key(graph: Graph) -> bytes:
    """What a graph computes, as bytes: names and lines left out."""
    number = {n.id: k for k, n in enumerate(graph.nodes)}
    out = [",".join(str(number[i.id]) for i in graph.inputs), ",".join(str(number[o.id]) for o in graph.outputs)]
    for n in graph.nodes:
        out.append(f"{n.op.name}({','.join(str(number[a.id]) for a in n.args)}){_attrs(n)}:{';'.join(str(t) for t in n.types)}")
    return "\n".join([graph.name, *out]).encode()


def _attrs(n: Node) -> str:
    parts = []
    for k, v in n.attrs:
        if k == "name":  # a hint; the `place` of a check stays: it is in the message that the entry carries
            continue
        if isinstance(v, Graph):
            v = hashlib.sha256(graph_key(v)).hexdigest()
        elif isinstance(v, bytes):
            v = hashlib.sha256(v).hexdigest()
        elif isinstance(v, Type):
            v = str(v)
        parts.append(f"{k}={v!r}")
    return "{" + ",".join(parts) + "}"


def build_id() -> str:
    """Changes when ptxjit's own sources do: size and time of every module."""
    global _build
    if _build is None:
        h = hashlib.sha256()
        root = Path(__file__).resolve().parent
        for folder in (root, root / "ir", root / "targets"):
            for base, dirs, files in os.walk(folder, followlinks=False):
                dirs[:] = sorted(d for d in dirs if d != "__pycache__")
                for f in sorted(files):
                    if f.endswith(".py"):
                        s = os.stat(os.path.join(base, f))
                        h.update(f"{base}/{f}:{s.st_size}:{s.st_mtime_ns}\n".encode())
        _build = h.hexdigest()[:16]
    return _build


def key_of(graph: Graph, target: Any, options: Options, more: str = "") -> str:
    h = hashlib.sha256(graph_key(graph))
    h.update(f"{target.name}|{target.facts}|{options}|{_versions()}|{build_id()}|{more}".encode())
    return h.hexdigest()


def _versions() -> str:
    """The tools by the size and time of their packages' first file: reading their metadata would cost more than the rest of a hit."""
    from importlib.util import find_spec

    import numpy

    out = [f"numpy {numpy.__version__}"]
    spec = find_spec("llvmlite")
    if spec is not None and spec.origin is not None:
        s = os.stat(spec.origin)
        out.append(f"llvmlite {spec.origin} {s.st_size} {s.st_mtime_ns}")
    return ", ".join(out)


# ---- files ----------------------------------------------------------------------------------------------------------


def path() -> Path | None:
    """The cache's folder, or None where there is none to use."""
    return knobs.cache_dir()


def _safe_folder(create: bool) -> Path | None:
    """The folder if it is ours alone (owner, no write access for others, no link); made if missing."""
    folder = path()
    if folder is None:
        return None
    try:
        if create and not os.path.lexists(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        s = os.lstat(folder)
    except OSError:
        return None
    if not stat.S_ISDIR(s.st_mode):
        warnings.warn(f"the cache {folder} is not used: it is a link or a file, not a folder", stacklevel=2)
        return None
    if hasattr(os, "getuid") and (s.st_uid != os.getuid() or s.st_mode & 0o022):
        warnings.warn(f"the cache {folder} is not used: it belongs to somebody else or others may write to it", stacklevel=2)
        return None
    return folder


def _read(file: Path) -> bytes | None:
    """The payload of an entry, or None.  A damaged file is dropped."""
    try:
        fd = os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return None
    with os.fdopen(fd, "rb") as f:
        s = os.fstat(f.fileno())
        if hasattr(os, "getuid") and (s.st_uid != os.getuid() or s.st_mode & 0o022):
            return None
        data = f.read()
    if len(data) < 48 or data[:8] != MAGIC or hashlib.sha256(data[48:]).digest() != data[16:48] or struct.unpack("<Q", data[8:16])[0] != len(data):
        warnings.warn(f"a damaged cache entry was dropped: {file.name}", stacklevel=3)
        _drop(file)
        return None
    return data[48:]


def _drop(file: Path) -> None:
    try:
        file.unlink()
    except OSError:
        return


def _write(file: Path, payload: bytes) -> int:
    """Returns how many bytes there are now."""
    head = MAGIC + struct.pack("<Q", 48 + len(payload)) + hashlib.sha256(payload).digest()
    temp = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as f:
            f.write(head + payload)
        os.replace(temp, file)
        return len(head) + len(payload)
    except OSError as e:  # a full or read-only disk: the program runs all the same
        _drop(temp)
        warnings.warn(f"a compiled program could not be cached: {e}", stacklevel=3)
        return 0


def get_or_build(graph: Graph, target: Any, options: Options, build: Callable[[], Any], sizes: Sizes | None = None) -> Any:
    """The executable of a graph: from disk, or built and stored.  One of symbolic sizes lies under its graph and the guards of its trace; what its
    schedules assumed beyond that comes with it, and where that does not hold for the hints there are some more places."""
    if sizes is None:
        return stored(lambda: key_of(graph, target, options), target.load, build)
    traced = " ".join(sizes.guards())
    for place in range(PLACES):
        try:
            return stored(lambda: key_of(graph, target, options, f"{traced}#{place}"), lambda data: _fitting(target.load(data), sizes), build)
        except _Elsewhere:
            continue
    return build()


class _Elsewhere(Exception):
    """An entry whose guards do not hold."""


def _fitting(made: Any, sizes: Sizes) -> Any:
    if not all(compiled(list(sizes.hints), made.plan["guards"])(*sizes.hints.values())):
        raise _Elsewhere
    return made


def text_key(*parts: bytes | str) -> str:
    """The key of what is compiled from text (PTX): the parts, the tools' versions, the build."""
    h = hashlib.sha256()
    for p in (*parts, _versions(), build_id()):
        data = p if isinstance(p, bytes) else p.encode()
        h.update(len(data).to_bytes(8, "little") + data)
    return h.hexdigest()


def stored(key_of: Callable[[], str], load: Callable[[bytes], Any], build: Callable[[], Any]) -> Any:
    """What `load` makes of an entry's bytes (ValueError: damaged), or what `build` makes, whose `to_bytes()` is then stored.  The same key is
    built once per process."""
    mode = knobs.cache_mode()
    folder = None if mode == "off" else _safe_folder(create=mode == "on")
    if folder is None:
        return build()
    key = key_of()
    with _guard:
        lock = _locks.setdefault(key, threading.Lock())
    with lock:
        file = folder / f"{key}.bin"
        payload = _read(file)
        if payload is not None:
            try:
                found = load(payload)
            except ValueError as e:
                warnings.warn(f"a cache entry could not be loaded and was dropped: {e}", stacklevel=2)
                _drop(file)
            else:
                if mode == "on":
                    _touch(file)
                return found
        made = build()
        if mode == "on":
            _make_room(folder, _write(file, made.to_bytes()))
        return made


def _touch(file: Path) -> None:
    try:
        os.utime(file)
    except OSError:
        return


def _entries(folder: Path) -> list[tuple[Path, os.stat_result]]:
    return [(f, s) for f, s in _files(folder) if f.name.endswith(".bin") and f.name[0] != "."]


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    with os.scandir(folder) as found:
        for f in found:
            try:
                yield Path(f.path), f.stat()
            except OSError:  # gone meanwhile
                continue


def _make_room(folder: Path, written: int) -> None:
    """Keeps the cache within its limit.  A process looks at the whole folder when it has written an eighth of what was free when it last looked: with
    thousands of entries a look takes longer than a compilation."""
    left = _room[folder] = _room.get(folder, 0) - written
    if left <= 0:
        _room[folder] = (LIMIT - _shrink(folder)) // 8


def _shrink(folder: Path) -> int:
    """Drops the entries used least recently until the rest fits, and what killed writers left; returns the bytes that are left."""
    entries = sorted(_entries(folder), key=lambda e: e[1].st_mtime)
    total = sum(s.st_size for _, s in entries)
    for f, s in entries:
        if total <= LIMIT:
            break
        _drop(f)
        total -= s.st_size
    for f, s in _files(folder):
        if f.name[0] == "." and ".bin." in f.name and time.time() - s.st_mtime > 3600:
            _drop(f)
    return total


def info() -> dict[str, Any]:
    """Folder, mode, number of entries and bytes."""
    folder = path()
    entries = _entries(folder) if folder is not None and folder.is_dir() else []
    return {"path": None if folder is None else str(folder), "mode": knobs.cache_mode(), "entries": len(entries),
            "bytes": sum(s.st_size for _, s in entries), "limit": LIMIT}  # fmt: skip


def clear() -> int:
    """Removes every entry; returns how many there were."""
    folder = path()
    entries = _entries(folder) if folder is not None and folder.is_dir() else []
    for f, _ in entries:
        _drop(f)
    return len(entries)


def verify() -> Any:
    """True if every entry is whole, else the list of names that were dropped."""
    folder = path()
    dropped = []
    for f, _ in _entries(folder) if folder is not None and folder.is_dir() else []:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if _read(f) is None:
                _drop(f)
                dropped.append(f.name)
    return dropped or True
