"""A reader of SPIR-V words that checks what a consumer relies on (SPIR-V 1.2, sections 2.3, 2.4, 2.16, 3.32).

Header and word counts; every id below the bound, defined once, and (but for forward references that the format admits) before its use;
sections in order; entry points; operand types of arithmetic, comparison, selection and conversion; labels and terminators of blocks.
"""
from __future__ import annotations

import struct
from typing import NamedTuple

NAMES = {
    5: "Name", 3: "Source", 11: "ExtInstImport", 12: "ExtInst", 14: "MemoryModel", 15: "EntryPoint", 16: "ExecutionMode", 17: "Capability", 10: "Extension",
    19: "TypeVoid", 20: "TypeBool", 21: "TypeInt", 22: "TypeFloat", 23: "TypeVector", 28: "TypeArray", 30: "TypeStruct", 32: "TypePointer",
    33: "TypeFunction", 1: "Undef", 41: "ConstantTrue", 42: "ConstantFalse", 43: "Constant", 44: "ConstantComposite", 46: "ConstantNull",
    54: "Function", 55: "FunctionParameter", 56: "FunctionEnd", 57: "FunctionCall", 59: "Variable", 61: "Load", 62: "Store", 71: "Decorate",
    245: "Phi", 248: "Label", 249: "Branch", 250: "BranchConditional", 251: "Switch", 253: "Return", 254: "ReturnValue", 255: "Unreachable",
    169: "Select", 124: "Bitcast", 109: "ConvertFToU", 110: "ConvertFToS", 111: "ConvertSToF", 112: "ConvertUToF", 113: "UConvert", 114: "SConvert",
    115: "FConvert", 224: "ControlBarrier", 4450: "SDot", 4451: "UDot", 4452: "SUDot",
}  # fmt: skip
SAME = {*range(126, 142), *range(194, 206)}  # arithmetic, shifts and logic on bits: operands of the result's type
FLOATS, INTEGERS = {127, 129, 131, 133, 136, 140, 141}, {126, 128, 130, 132, 134, 135, 137, 138, 139, *range(194, 201)}
ICOMPARE, FCOMPARE = set(range(170, 180)), set(range(180, 192))
DOTS = {4450, 4451, 4452}  # of words of four bytes (SPV_KHR_integer_dot_product)
LOGIC = {164, 165, 166, 167, 168}
TERMINATORS = {249, 250, 251, 253, 254, 255}
NO_RESULT = {3, 5, 6, 8, 10, 14, 15, 16, 17, 62, 63, 71, 72, 224, 225, 228, 246, 247, 249, 250, 251, 253, 254, 255, 56, 317}
NO_TYPE = {11, 19, 20, 21, 22, 23, 28, 30, 32, 33, 248}
FORWARD = {5, 15, 16, 71, 245, 249, 250, 251, 57}
ORDER = [{17}, {10}, {11}, {14}, {15}, {16}, {3, 5, 6, 7, 8}, {71, 72}]


class Module(NamedTuple):
    version: tuple[int, int]
    capabilities: set[int]
    entries: dict[str, int]
    contraction_off: set[int]
    instructions: list[tuple[int, list[int]]]


def text_at(words: list[int]) -> str:
    return struct.pack(f"<{len(words)}I", *words).split(b"\0")[0].decode()


def read(data: bytes) -> Module:
    """The module; AssertionError names what is wrong."""
    assert len(data) % 4 == 0 and len(data) >= 20
    words = list(struct.unpack(f"<{len(data) // 4}I", data))
    magic, version, _, bound, schema = words[:5]
    assert magic == 0x07230203 and schema == 0
    at, instructions = 5, []
    while at < len(words):
        count, op = words[at] >> 16, words[at] & 0xFFFF
        assert count and at + count <= len(words), f"word {at}: {count} words of opcode {op}"
        instructions.append((op, words[at + 1 : at + count]))
        at += count
    module = Module((version >> 16 & 255, version >> 8 & 255), set(), {}, set(), instructions)
    defined: dict[int, int] = {}
    types: dict[int, int] = {}  # id → type id
    shape: dict[int, tuple[int, ...]] = {}
    labels: set[int] = set()
    later: set[int] = set()
    section, inside, block_open = 0, False, False
    for n, (op, w) in enumerate(instructions):
        where = f"instruction {n}, Op{NAMES.get(op, op)} {w}"
        for k, group in enumerate(ORDER):
            if op in group and not inside:
                assert k >= section or k >= 6 and section <= 7, f"{where}: out of order"
                section = max(section, k)
        if op == 17:
            module.capabilities.add(w[0])
        elif op == 15:
            module.entries[text_at(w[2:])] = w[1]
        elif op == 16 and w[1] == 31:
            module.contraction_off.add(w[0])
        result = type_ = None
        if op not in NO_RESULT:
            result = w[0] if op in NO_TYPE else w[1]
            if op not in NO_TYPE:
                type_ = w[0]
                assert type_ in defined, f"{where}: type {type_} comes later"
            assert 0 < result < bound, f"{where}: id {result} is not below {bound}"
            assert result not in defined, f"{where}: id {result} again"
            defined[result] = n
            if type_ is not None:
                types[result] = type_
        if op in NO_TYPE:
            shape[w[0]] = (op, *w[1:])
        if op == 54:
            assert not inside
            inside, block_open = True, False
        elif op == 56:
            assert inside and not block_open
            inside = False
        elif op == 248:
            assert inside and not block_open
            block_open = True
            labels.add(w[0])
        elif op in TERMINATORS:
            assert block_open, f"{where}: outside of a block"
            block_open = False
            targets = {249: w[:1], 250: w[1:3], 251: w[1:2]}.get(op, [])
            later.update(targets)
        if op in FORWARD:
            continue
        operands = {61: w[2:3], 62: w[:2], 169: w[2:5], 57: w[3:], 254: w[:1]}.get(op, w[2:4] if op in SAME | ICOMPARE | FCOMPARE | LOGIC | DOTS else [])
        for x in operands:
            assert x in defined, f"{where}: {x} is used before it is made"
        kinds = [types.get(x) for x in operands]
        if op in SAME - {194, 195, 196}:
            assert all(k == type_ for k in kinds[: 1 if op in (126, 127, 200) else 2]), f"{where}: operands of {[shape.get(k) for k in kinds]}, result {shape.get(type_)}"
        if op in (FLOATS | INTEGERS) & SAME:
            base = shape[type_] if shape[type_][0] != 23 else shape[shape[type_][1]]
            assert base[0] == (22 if op in FLOATS else 21), f"{where}: of {base}"
        if op in ICOMPARE | FCOMPARE:
            assert kinds[0] == kinds[1] and shape[type_][0] == 20, f"{where}: {[shape.get(k) for k in kinds]}"
        if op in DOTS:
            assert w[4:] == [0] and all(shape[k] == (21, 32, 0) for k in (type_, *kinds)), f"{where}: {[shape.get(k) for k in kinds]}"
        if op in LOGIC:
            assert all(shape[k][0] == 20 for k in kinds), where
        if op == 169:
            assert shape[kinds[0]][0] == 20 and kinds[1] == kinds[2] == type_, f"{where}: {[shape.get(k) for k in kinds]}"
        if op in (61, 62):
            pointer = shape[kinds[0]]
            assert pointer[0] == 32 and pointer[2] == (type_ if op == 61 else kinds[1]), f"{where}: {pointer}"
    assert later <= labels and not inside
    for op, w in instructions:
        if op == 245:
            for value, label in zip(w[2::2], w[3::2]):
                assert value in defined and types[value] == w[0] and label in labels, f"OpPhi {w}"
        if op == 5:
            assert w[0] in defined
    assert all(i in defined for i in module.entries.values())
    return module
