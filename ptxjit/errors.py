"""The error tree (see `ptxjit.ir.errors`)."""
from .ir.errors import *  # noqa: F403
from .ir.errors import (  # noqa: F401
    BugError,
    DeviceError,
    DTypeError,
    EscapedTracerError,
    PtxjitError,
    ReadError,
    ResourceError,
    ShapeError,
    ToolError,
    TraceError,
    UnsupportedError,
    UserError,
)
