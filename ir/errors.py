"""The error tree.  Every class says whose fault it is and who must act.

    PtxjitError
    ├── UserError          the user's program or call is wrong: the user acts
    │   ├── ShapeError     … also a ValueError
    │   ├── DTypeError     … also a TypeError
    │   ├── CheckError     … also a ValueError: what the program checks when it runs
    │   ├── TraceError     … also a TypeError: Python asked a traced value for something it cannot know yet
    │   └── EscapedTracerError  … also a RuntimeError: a traced value used after its trace has ended
    ├── ReadError          text that is not what its format promises: line, column, caret
    ├── UnsupportedError   a known limit: what, on which target, who can
    ├── ResourceError      registers, memory, blocks: asked, limit, hint
    ├── ToolError          a helper program (ptxas, nvdisasm, …) failed or is missing
    ├── DeviceError        a driver or a device failed
    └── BugError           ours: the pass, where the dumps lie, how to replay it

`place` is where it happened (`file.py:12`, `kernel.ptx:3:14`), `hint` is what to do next.
"""
from __future__ import annotations

from typing import Any


def _rebuild(cls: type[PtxjitError], message: str, place: str | None, hint: str | None, extra: dict[str, Any]) -> PtxjitError:
    error = cls(message, place=place, hint=hint)
    error.__dict__.update(extra)
    return error


class PtxjitError(Exception):
    """Root of the tree.  `message`, `.place` and `.hint` survive pickling."""

    def __init__(self, message: str, *, place: object = None, hint: str | None = None) -> None:
        self.message = message
        self.place: str | None = None if place is None else str(place)
        self.hint = hint
        super().__init__(message)

    def __str__(self) -> str:
        text = f"{self.place}: {self.message}" if self.place else self.message
        return f"{text}\n  hint: {self.hint}" if self.hint else text

    def __reduce__(self) -> tuple[Any, ...]:
        extra = {k: v for k, v in self.__dict__.items() if k not in ("message", "place", "hint")}
        return _rebuild, (type(self), self.message, self.place, self.hint, extra)


class UserError(PtxjitError):
    """The user's program or call is wrong."""


class ShapeError(UserError, ValueError):
    """Shapes, axes or sizes do not fit."""


class DTypeError(UserError, TypeError):
    """A dtype or a type does not fit."""


class CheckError(UserError, ValueError):
    """A condition on values failed while the program ran."""


class TraceError(UserError, TypeError):
    """A traced value was asked for something that only a real value has."""


class EscapedTracerError(UserError, RuntimeError):
    """A traced value was used outside its trace."""


class ReadError(PtxjitError):
    """Text that cannot be read.  `place` is file:line:column; `excerpt` holds the line and a caret."""

    excerpt: str | None = None

    @classmethod
    def at(cls, message: str, text: str, offset: int, *, file: str = "<string>", hint: str | None = None) -> ReadError:
        line = text.count("\n", 0, offset) + 1
        start = text.rfind("\n", 0, offset) + 1
        end = text.find("\n", offset)
        source = text[start : len(text) if end < 0 else end]
        error = cls(message, place=f"{file}:{line}:{offset - start + 1}", hint=hint)
        error.excerpt = f"    {source}\n    {' ' * (offset - start)}^"
        return error

    def __str__(self) -> str:
        text = super().__str__()
        return f"{text}\n{self.excerpt}" if self.excerpt else text


class UnsupportedError(PtxjitError):
    """A known limit."""


class ResourceError(PtxjitError):
    """More was asked than the device has."""


class ToolError(PtxjitError):
    """A helper program is missing or failed."""


class DeviceError(PtxjitError):
    """A driver or device failed, or there is no such device."""


class BugError(PtxjitError):
    """A fault of ptxjit itself."""

    def __str__(self) -> str:
        return super().__str__() + "\n  this is a fault of ptxjit, not of your program"
