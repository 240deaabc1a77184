"""PoCL on a processor that its LLVM does not know: the name in the device record is mended, or the device says why it cannot be used."""
from __future__ import annotations

import ctypes
import sys
from types import SimpleNamespace

import pytest

from ptxjit.targets.spirv import pocl

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the record is looked at through /proc, which only Linux has")
GENERIC = "OpenCL 3.0 PoCL HSTR: pthread-x86_64-unknown-linux-gnu-generic"


@pytest.fixture(autouse=True)
def nobody_is_named(monkeypatch):
    monkeypatch.setattr(pocl, "_named", {})


class Record:
    """A device record: words, two of which point to strings."""

    def __init__(self, *strings: bytes) -> None:
        self.strings = [ctypes.create_string_buffer(s) for s in strings]
        self.words = (ctypes.c_uint64 * (pocl.RECORD // 8))(7, 1 << 63, 12345)
        for i, s in enumerate(self.strings):
            self.words[79 + i] = ctypes.addressof(s)

    def device(self, version: str = GENERIC) -> SimpleNamespace:
        return SimpleNamespace(version=version, int_ptr=ctypes.addressof(self.words), platform=SimpleNamespace(version="OpenCL 3.0 PoCL 3.0-rc2"))

    def name(self, at: int = 80) -> bytes:
        return ctypes.string_at(self.words[at])


def test_a_nameless_processor_gets_a_name():
    record = Record(b"x86_64-unknown-linux-gnu", b"generic")
    assert pocl.name_processor(record.device()) is None
    assert record.name() in (b"skylake-avx512", b"haswell", b"x86-64") and record.name(79) == b"x86_64-unknown-linux-gnu"
    assert pocl.name_processor(record.device()) is None  # and stays as it is


@pytest.mark.parametrize("strings", [(b"x86_64-unknown-linux-gnu", b"znver3"), (b"generic", b"generic"), (b"x86_64-unknown-linux-gnu", b"generic", b"x86_64-pc", b"generic"), ()])
def test_an_unfamiliar_record_is_left_alone(strings):
    record = Record(*strings)
    before = bytes(record.words)
    assert "does not know this processor" in pocl.name_processor(record.device())
    assert bytes(record.words) == before


@pytest.mark.parametrize("version", ["OpenCL 3.0 PoCL HSTR: pthread-x86_64-unknown-linux-gnu-znver3", "OpenCL 3.1 (Build 0)"])
def test_other_devices_are_not_looked_at(version):
    record = Record(b"x86_64-unknown-linux-gnu", b"generic")
    assert pocl.name_processor(record.device(version)) is None and record.name() == b"generic"
