"""The cases in PyTorch, eager; `torch.compile` gets the same functions."""
import torch
import torch.nn.functional as F

CASES = {
    "a*x + b*sin(x)*exp(-x*x)": lambda x: 2.5 * x + 0.5 * torch.sin(x) * torch.exp(-x * x),
    "gelu, tanh": lambda x: F.gelu(x, approximate="tanh"), "gelu, erf": lambda x: F.gelu(x), "sum": lambda x: x.sum(),
    "softmax": lambda x: torch.softmax(x, -1), "layernorm": lambda x: F.layer_norm(x, x.shape[-1:]),
    "rmsnorm": lambda x: F.rms_norm(x, x.shape[-1:], eps=1e-5), "logsumexp": lambda x: torch.logsumexp(x, -1),
    "mean, var of columns": lambda x: (x.mean(0), x.var(0, correction=0)),
    "5-point stencil": lambda x: x[1:-1, 1:-1] * 0.5 + 0.125 * (x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:]),
}  # fmt: skip
