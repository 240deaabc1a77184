"""The op table, by chapter.  Importing this package registers every op; each chapter explains its own conventions.

    arith    integer and float arithmetic, logic, comparison, select      lane
    convert  between scalar types, bit casts                              lane
    math     exp, log, sin, …: spec and definition                        math
    array    what only the graph can say: shape, reduction, contraction   form
    tile     tile programs: views, loads, reductions, structure           form, machine
    memory   kernel level: loads, stores, atomics, barriers, fences       machine
    warp     kernel level: shuffle, vote, match                           warp
    matrix   matrix fragments                                             warp
"""
from . import arith, array, convert, math, matrix, memory, tile, warp  # noqa: F401
