"""MessagePack, as far as code objects' metadata use it: bytes → None, bool, int, float, str, bytes, list, dict."""
from __future__ import annotations

import struct
from typing import Any

_NUMBER = {0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}
_SIZED = {0xC4: (">B", bytes), 0xC5: (">H", bytes), 0xC6: (">I", bytes), 0xD9: (">B", str), 0xDA: (">H", str), 0xDB: (">I", str),
          0xDC: (">H", list), 0xDD: (">I", list), 0xDE: (">H", dict), 0xDF: (">I", dict)}  # fmt: skip


def unpack(data: bytes) -> Any:
    """The one object that the bytes hold.  ValueError where they hold anything else."""
    try:
        value, end = _read(data, 0)
    except (struct.error, IndexError, UnicodeDecodeError, TypeError) as e:
        raise ValueError(f"not MessagePack: {e}") from None
    if end != len(data):
        raise ValueError(f"not MessagePack: {len(data) - end} bytes are left over")
    return value


def _read(data: bytes, at: int) -> tuple[Any, int]:
    tag = data[at]
    at += 1
    if tag < 0x80:
        return tag, at
    if tag >= 0xE0:
        return tag - 256, at
    if tag < 0x90:
        return _several(data, at, tag & 15, dict)
    if tag < 0xA0:
        return _several(data, at, tag & 15, list)
    if tag < 0xC0:
        return _several(data, at, tag & 31, str)
    if tag in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[tag], at
    if tag in _NUMBER:
        form = _NUMBER[tag]
        return struct.unpack_from(form, data, at)[0], at + struct.calcsize(form)
    if tag in _SIZED:
        form, kind = _SIZED[tag]
        return _several(data, at + struct.calcsize(form), struct.unpack_from(form, data, at)[0], kind)
    raise ValueError(f"not MessagePack: tag {tag:#x}")


def _several(data: bytes, at: int, count: int, kind: type) -> tuple[Any, int]:
    if kind in (str, bytes):
        part = data[at : at + count]
        if len(part) != count:
            raise IndexError("the bytes end inside a string")
        return (part.decode() if kind is str else part), at + count
    items = []
    for _ in range(count * (2 if kind is dict else 1)):
        item, at = _read(data, at)
        items.append(item)
    return (dict(zip(items[::2], items[1::2])) if kind is dict else items), at
