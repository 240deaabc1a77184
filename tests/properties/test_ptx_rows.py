"""The table of PTX instructions, tested form by form: what a row says is read, printed back, lifted or refused with its reason, and assembled."""
from __future__ import annotations

import re
import subprocess
import tempfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptxjit.errors import ReadError, UnsupportedError
from ptxjit.ir.verify import verify
from ptxjit.targets.ptx.lift import lift
from ptxjit.targets.ptx.lift.core import instructions
from ptxjit.targets.ptx.parse import read
from ptxjit.targets.ptx.rows import samples
from ptxjit.targets.ptx.rows.matching import match
from ptxjit.targets.ptx.rows.table import ORDERED, Need, sections

FORMS = 120  # of a line, where it has more; a sixth of that for ptxas
EVERYTHING = Need((100, "a"), (9, 1))
LINES = [line for s in sections() for line in s.rows() if line.opcode != "call" and not line.until]  # calls: by hand, in tests/unit/ptx
CHAPTERS = sorted({line.section.number.split(".")[2] for line in LINES}, key=int)


def module_of(xs):
    return samples.head(EVERYTHING, independent=True) + "".join(samples.entry(x.text, k) for k, x in enumerate(xs))


def own(f, line):
    """The instruction of a sample's kernel: the last of its opcode."""
    return [i for i in instructions(f.body.items) if i.opcode == line.opcode][-1]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_form_is_read_and_lifted_or_refused(chapter):
    for line in LINES:
        if line.section.number.split(".")[2] != chapter:
            continue
        forms = samples.chosen(line, FORMS)
        text = module_of(forms)
        module = read(text, "forms.ptx")
        assert str(module) == text and forms
        for k, x in enumerate(forms):
            found = match(own(module.functions[f"k{k}"], line))
            assert (found.line.section.number, found.later) == (line.section.number, x.later), x
            assert (found.need | x.need) == x.need, x
            if x.later:
                with pytest.raises(UnsupportedError, match=f"is not executed yet: {re.escape(x.later)}"):
                    lift(module, f"k{k}")
            else:
                verify(lift(module, f"k{k}").kernel)


def assembled(need, independent, lines):
    """What ptxas says of samples: each line has a kernel of its own.  Its words, with the samples that they are about."""
    from ptxjit.targets.ptx.tools import find

    text, at = samples.head(need, independent), {}
    for n, forms in enumerate(lines):
        before, after = samples.entry("HERE", n).split("HERE;")
        extra = (samples.QUAD if any("%q" in x.text for x in forms) else "") + samples.TABLE + samples.PARAM
        text += before.replace("\tld.param.u64 %rd0", extra + "\tld.param.u64 %rd0")
        for x in forms:
            at[text.count("\n") + 1] = x.text
            text += f"\t{x.text};\n"
        text += after
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "forms.ptx"
        source.write_text(text)
        done = subprocess.run([find("ptxas"), f"-arch={need.target}", "-O0", "-o", f"{folder}/out", str(source)], capture_output=True, text=True)
    numbered = re.compile(r"line (\d+);")
    places = [(said, numbered.search(said)) for said in done.stderr.splitlines() if "warning" not in said] if done.returncode else []
    return [f"{need.target} {need.version} {at.get(int(m[1]), '') if m else ''}: {said}" for said, m in places]


def test_ptxas_takes_every_form_for_the_least_that_it_needs(ptxas):
    groups = defaultdict(list)
    for line in LINES:
        by_need = defaultdict(list)
        for x in samples.chosen(line, FORMS // 6):
            if line.opcode in ("cvta", "mapa", "alloca", "stacksave", "stackrestore") and x.words[-1] == "u32":
                continue  # 32-bit addresses, which ptxas has given up
            if line.opcode == "ld" and "[par]" in x.text:
                continue  # a result, which only a call gives
            by_need[x.need, x.independent, "cta_group::2" in x.words].append(x)
        for key, forms in by_need.items():
            groups[key].append(forms)
    with ThreadPoolExecutor(2) as pool:
        refused = [w for words in pool.map(lambda g: assembled(g[0][0], g[0][1], g[1]), groups.items()) for w in words]
    assert not refused, "\n".join(refused[:20])
    assert sum(len(f) for lines in groups.values() for f in lines) > 5000 and len(groups) > 40


# ---- laws -----------------------------------------------------------------------------------------------------------

lines = st.sampled_from(LINES)


@lru_cache(maxsize=None)
def forms_of(line):
    return samples.chosen(line, 200)


def instruction(text, line):
    m = read(samples.head(EVERYTHING, independent=True) + samples.entry(text), "forms.ptx")
    return m, own(m.functions["k0"], line)


@given(st.data())
def test_modifiers_stand_in_any_order(data):
    """Except types, state spaces and layouts among themselves: their order says which is which."""
    line = data.draw(lines)
    x = data.draw(st.sampled_from(forms_of(line)))
    words = [w for w in x.words if w != "unified"]
    mixed = data.draw(st.permutations(words))
    own_order = {kind: iter([w for w in words if ORDERED.get(w) == kind]) for kind in ORDERED.values()}
    mixed = [next(own_order[ORDERED[w]]) if w in ORDERED else w for w in mixed]
    name, _, operands = x.text.partition(" ")
    _, i = instruction(f"{'.'.join((line.opcode, *mixed))} {operands}", line)
    _, j = instruction(x.text, line)
    assert (match(i).line, match(i).need, match(i).later) == (match(j).line, match(j).need, match(j).later), (i, name)


@given(st.data())
def test_a_form_that_no_row_has_is_an_error_at_its_place(data):
    line = data.draw(lines)
    x = data.draw(st.sampled_from(forms_of(line)))
    name, _, operands = x.text.partition(" ")
    kind = data.draw(st.sampled_from(["word", "twice", "operand"]))
    if kind == "operand":
        bad = f"{x.text}{', ' if operands else ' '}{', '.join(['%r1'] * 9)}"
    else:
        word = "frobnicate" if kind == "word" or not x.words else data.draw(st.sampled_from(x.words).filter(lambda w: w not in ORDERED or x.words.count(w) > 3))
        at = data.draw(st.integers(0, len(x.words)))
        bad = f"{'.'.join((line.opcode, *x.words[:at], word, *x.words[at:]))} {operands}"
    module, i = instruction(bad, line)
    with pytest.raises(ReadError) as e:
        lift(module, "k0")
    assert e.value.place == f"forms.ptx:{i.line}:{i.column}" and e.value.message.startswith(i.name)
    assert e.value.hint.startswith("PTX ISA 9.7.") and line.opcode in e.value.hint
    shown, caret = e.value.excerpt.splitlines()
    assert shown[caret.index("^") :].startswith(line.opcode)
