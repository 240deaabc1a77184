"""Schedules: builders that write a tile program for one cluster of nodes, from the device record alone.

    pointwise    strips of the domain                         reduction    rows (canonical accumulators) and columns
    contraction  register tiles of a matrix product           scan         chunks of 256 with a carry
    matrix_units fragments of a product by mma, WMMA, MFMA    scatter      atomic updates at computed places
"""
