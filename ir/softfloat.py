"""placeholder, being written"""
def __getattr__(name):
    if name.startswith("_"): raise AttributeError(name)
    import numpy as np
    table = {"fadd": lambda ty,a,b,**k: a+b, "fmul": lambda ty,a,b,**k: a*b, "fsub": lambda ty,a,b,**k: a-b}
    return table.get(name, lambda ty,*a,**k: a[0])
