"""The DSL: NumPy's functions and the array API's, written as graph ops.

    registry      names → functions; dispatch from NumPy's protocols; methods of traced arrays
    elementwise   ufuncs        reductions   sums, extremes, scans        shape   everything that moves elements
    indexing      x[…]          linalg       products, einsum             creation   zeros, arange, …
"""
