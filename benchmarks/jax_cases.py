"""The cases in JAX, for jax.jit."""
import jax
import jax.numpy as jnp


def layernorm(x):
    c = x - x.mean(-1, keepdims=True)
    return c * jax.lax.rsqrt((c * c).mean(-1, keepdims=True) + 1e-5)


CASES = {
    "a*x + b*sin(x)*exp(-x*x)": lambda x: 2.5 * x + 0.5 * jnp.sin(x) * jnp.exp(-x * x),
    "gelu, tanh": lambda x: jax.nn.gelu(x, approximate=True), "gelu, erf": lambda x: jax.nn.gelu(x, approximate=False), "sum": lambda x: x.sum(),
    "softmax": lambda x: jax.nn.softmax(x, -1), "layernorm": layernorm,
    "rmsnorm": lambda x: x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-5), "logsumexp": lambda x: jax.nn.logsumexp(x, -1),
    "mean, var of columns": lambda x: (x.mean(0), x.var(0)),
    "5-point stencil": lambda x: x[1:-1, 1:-1] * 0.5 + 0.125 * (x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:]),
}  # fmt: skip
