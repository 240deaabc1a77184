"""Which line of a program an instruction of LLVM IR or assembly comes from, by LLVM's own debug locations.

`Locations` numbers what it is given (a `Loc`, or a place in PTX): the number is the line of a `DILocation`, so that one map serves for sources in any
number of files.  `read_ir` and `read_assembly` take the marks out again: what is left is, line by line, the text without them.
"""
from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

FIRST = 1000  # number of the first metadata node
Lines = list[Any]  # a location or None per line


class Locations:
    """Marks for the functions of one module."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets everything: what was marked is not used."""
        self.locs: list[Any] = []
        self.index: dict[Any, int] = {}
        self.functions: list[str] = []
        self.nodes: dict[tuple[int, int], int] = {}  # (location, function) → metadata node

    def function(self, name: str) -> str:
        """Begins a function; what stands before its brace."""
        self.functions.append(name)
        return f" !dbg !{FIRST + 3 + len(self.functions)}"

    def mark(self, lines: list[str], start: int, loc: Any) -> None:
        """Marks what was written from line `start` on."""
        if loc is None or not self.functions or start >= len(lines):
            return
        number = self.index.get(loc)
        if number is None:
            self.locs.append(loc)
            number = self.index[loc] = len(self.locs)
        node = self.nodes.setdefault((number, len(self.functions)), FIRST + 500 + len(self.nodes))
        for n in range(start, len(lines)):
            lines[n] = "\n".join(f"{line}, !dbg !{node}" if line.startswith("  ") and ", !dbg !" not in line else line for line in lines[n].split("\n"))

    def around(self, text: str, marked: str) -> str:
        """A function that calls `marked` ones, whose name begins so: LLVM keeps their locations where it puts them in line only if this one has some too."""
        if f"call i32 @{marked}" not in text:
            return text
        name = re.search(r"@([\w.$-]+)\(", text)
        assert name is not None
        head = self.function(name[1])
        node = self.nodes.setdefault((0, len(self.functions)), FIRST + 500 + len(self.nodes))
        first, _, rest = text.partition(" {\n")
        return first + head + " {\n" + re.sub(rf"(call i32 @{re.escape(marked)}[^\n]*\))$", rf"\1, !dbg !{node}", rest, flags=re.M)

    def metadata(self) -> list[str]:
        """The module's last lines."""
        f = FIRST
        out = [f"!llvm.dbg.cu = !{{!{f}}}", f"!llvm.module.flags = !{{!{f + 1}}}", f'!{f + 1} = !{{i32 2, !"Debug Info Version", i32 3}}',
               f"!{f} = distinct !DICompileUnit(language: DW_LANG_C99, file: !{f + 2}, emissionKind: LineTablesOnly)",
               f'!{f + 2} = !DIFile(filename: "ptxjit", directory: "")', f"!{f + 3} = !DISubroutineType(types: !{{}})"]  # fmt: skip
        for n, name in enumerate(self.functions, 1):
            out.append(f'!{f + 3 + n} = distinct !DISubprogram(name: "{name}", file: !{f + 2}, type: !{f + 3}, unit: !{f}, spFlags: DISPFlagDefinition)')
        return out + [f"!{node} = !DILocation(line: {loc}, scope: !{f + 3 + fn})" for (loc, fn), node in self.nodes.items()]

    def read_ir(self, text: str) -> tuple[str, Lines]:
        """The text without marks, and a location per line."""
        by_node = {node: self.locs[loc - 1] for (loc, _), node in self.nodes.items() if loc}
        lines, origins = [], []
        for line in text.splitlines():
            if re.match(rf"!llvm\.(dbg\.cu|module\.flags)|!({'|'.join(map(str, self._numbers()))}) =", line):
                continue
            m = re.search(r", !dbg !(\d+)$", line)
            origins.append(by_node.get(int(m[1])) if m else None)
            lines.append(re.sub(r",? !dbg !\d+( \{)?$", r"\1", line))
        return "\n".join(lines) + "\n", origins

    def read(self, text: str, stage: str, assembled: Callable[[str], str], plain: Callable[[], str]) -> tuple[str, Lines]:
        """Stage `ll` or `asm` of a marked module: `assembled` makes assembly, `plain` is the stage of the module without marks."""
        want = plain()
        if stage == "asm":
            return self.read_assembly(assembled(text), want)
        made, origins = self.read_ir(text)
        missing = want.count("\n") - made.count("\n")
        return want, origins + [None] * missing if missing >= 0 else origins[:missing]  # they differ in blank lines at the end

    def _numbers(self) -> list[int]:
        return [*range(FIRST, FIRST + 4 + len(self.functions)), *self.nodes.values()]

    def read_assembly(self, text: str, plain: str) -> tuple[str, Lines]:
        """The same for what LLVM printed: `.loc` directives, debug sections, frame descriptions.  `plain` is what it prints without locations: where it
        orders a prologue differently, that is what is shown."""
        made, origins = self._assembly(text)
        if made == plain:
            return plain, origins
        from difflib import SequenceMatcher

        old, new = made.splitlines(), plain.splitlines()
        out: Lines = [None] * len(new)
        for a, b, n in SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks():
            out[b : b + n] = origins[a : a + n]
        return plain, out

    def _assembly(self, text: str) -> tuple[str, Lines]:
        lines: list[str] = []
        origins: Lines = []
        now, skip = None, False
        for line in text.splitlines():
            word = line.strip()
            if word.startswith(".section"):
                skip = ".debug_" in word
            elif word.startswith(".text"):
                skip = False
            m = re.match(r"\.loc\s+\d+\s+(\d+)", word)
            if m:
                now = self.locs[int(m[1]) - 1] if 0 < int(m[1]) <= len(self.locs) else None
            if skip or m or re.match(r"\.file\s+\d|\.Ltmp\d+:|\.Lfunc_begin\d+:|\.Ldebug\w*:|\.Lline_table\w*:|\.cfi_", word):
                continue
            if re.match(r"\.Lfunc_end", word) or word.startswith(".type"):
                now = None
            instruction = bool(word) and not word.startswith((".", "#", "//", ";")) and not word.endswith(":")
            lines.append(line)
            origins.append(now if instruction else None)
        return "\n".join(lines) + "\n", origins
