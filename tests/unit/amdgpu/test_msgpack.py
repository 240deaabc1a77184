"""The MessagePack reader: every form, and wrong bytes."""
from __future__ import annotations

import struct

import pytest

from ptxjit.targets.amdgpu.msgpack import unpack

FORMS = [
    (b"\x00", 0), (b"\x7f", 127), (b"\xff", -1), (b"\xe0", -32), (b"\xc0", None), (b"\xc2", False), (b"\xc3", True),
    (b"\xcc\xff", 255), (b"\xcd\x01\x00", 256), (b"\xce\x00\x01\x00\x00", 65536), (b"\xcf" + b"\xff" * 8, 2**64 - 1),
    (b"\xd0\x80", -128), (b"\xd1\x80\x00", -32768), (b"\xd2\x80\x00\x00\x00", -(2**31)), (b"\xd3\x80" + bytes(7), -(2**63)),
    (b"\xca" + struct.pack(">f", 1.5), 1.5), (b"\xcb" + struct.pack(">d", 0.1), 0.1),
    (b"\xa0", ""), (b"\xa2ab", "ab"), (b"\xd9\x03abc", "abc"), (b"\xda\x00\x01x", "x"), (b"\xdb\x00\x00\x00\x01x", "x"),
    (b"\xc4\x02\x00\xff", b"\x00\xff"), (b"\xc5\x00\x01a", b"a"), (b"\xc6\x00\x00\x00\x01a", b"a"),
    (b"\x90", []), (b"\x92\x01\xa1a", [1, "a"]), (b"\xdc\x00\x01\x05", [5]), (b"\xdd\x00\x00\x00\x01\x05", [5]),
    (b"\x80", {}), (b"\x82\xa1a\x01\xa1b\x91\xc0", {"a": 1, "b": [None]}), (b"\xde\x00\x01\x01\x02", {1: 2}), (b"\xdf\x00\x00\x00\x01\x01\x02", {1: 2}),
]  # fmt: skip


@pytest.mark.parametrize(("data", "value"), FORMS)
def test_every_form(data, value):
    assert unpack(data) == value and type(unpack(data)) is type(value)


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\xa5ab", b"\x92\x01", b"\x01\x02", b"\xcd\x01", b"\x81\x90\x01", b"\xa1\xff"])
def test_wrong_bytes(data):
    with pytest.raises(ValueError):
        unpack(data)
