"""The IR: four levels of program, one table of ops, and everything that reads or rewrites them.

    graph    array values          what is computed                     ir/graph.py
    program  buffers and steps     which kernels, in which order        ir/program.py
    tile     tile values           how it is cut up for this device     ir/tile.py
    kernel   one lane's SSA        what each lane does                  ir/kernel.py

Reading order: types → op → ops/* → instr → graph, program, tile, kernel → text, verify → interp/* → rewrite, passes/* →
lower/* (prepare, index, expr, fuse, emit, schedule, to_kernel) → schedules/*.

The laws:
  1. An op is declared once (`ops/`): signature, attributes, effects and meaning.  Nothing else decides what it does.
  2. The interpreter is the definition; every pass and every target must agree with it, bit for bit unless an op admits an error.
  3. All containers are frozen.  A pass returns the same object if nothing changed.
  4. Nothing recurses along operand depth.
  5. Choices that depend on the target read the device record (`device.py`) and nothing else.
"""
from . import ops  # noqa: F401  registers the op table
