"""The op: one declaration in one place, and the registry that holds them all.

    lane_op("fadd", "T:float T -> T", lambda ty, a, b: a + b, commutative=True, attrs={"rnd": RND}, doc="…")

An op has a name, a signature (its type rule), attributes with a schema, algebraic properties, effects, prose and **one of
five kinds of meaning**:

    lane     a NumPy function of whole arrays of lanes: fn(result type, *operands, **attributes)
    warp     a function of (…, active mask) along the lane axis: shuffle, vote, match, redux, mma
    machine  a method of the machine-state protocol (`ir/interp/machine.py`): memory, barriers, atomics, async copies
    math     a spec (mpmath name, domain, ULP bound) and a definition: a graph of exactly rounded ops
    form     structure of a level (array reshaping, tile views, control flow); the level's interpreter knows it

Signatures.  Operands are separated by blanks; `T:float` introduces a type variable with its class, `T` repeats it, a scalar's
name is itself, and `to` is the op's attribute of that name:

    float     f16 bf16 f32 f64 (and fp8 for conversions)      int    i8 … i128, u8 … u64
    bits      int or i1                                       any    every scalar

The rule is about scalars only; shape, pack count and tile-ness are carried along (all shaped operands must agree).  The result
of a rule is remembered per operand types and attributes, so verifying an op when it is made costs one dictionary look-up.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .errors import BugError, DTypeError, ShapeError
from .extent import Dim, Extent, active, expressions, key_of
from .types import SCALARS, Scalar, Type

Attrs = tuple[tuple[str, Any], ...]
EXTENT = Extent  # schema of an attribute that is an int or a Dim
REMEMBERED = 1 << 14  # results of a type rule, per op
Rule = Callable[[Sequence[Type], dict[str, Any]], tuple[Type, ...]]

CLASSES: dict[str, Callable[[Scalar], bool]] = {
    "float": lambda t: t.is_float,
    "int": lambda t: t.is_int,
    "bits": lambda t: not t.is_float,
    "any": lambda t: True,
}


class Effect:
    """What an op does besides computing: spaces read and written, and flags.

    `convergent` ops must be executed by the same set of lanes after every rewrite; `may_suspend` ops wait for other lanes;
    `may_exit` ops end the lane or the launch.
    """

    __slots__ = ("reads", "writes", "convergent", "may_suspend", "may_exit")

    def __init__(self, reads: bool = False, writes: bool = False, convergent: bool = False, may_suspend: bool = False,
                 may_exit: bool = False) -> None:  # fmt: skip
        self.reads, self.writes = reads, writes
        self.convergent, self.may_suspend, self.may_exit = convergent, may_suspend, may_exit

    def __repr__(self) -> str:
        return "Effect(" + " ".join(n for n in self.__slots__ if getattr(self, n)) + ")"


class Op:
    """One operation.  Compare by identity; print by name."""

    __slots__ = ("name", "kind", "signature", "rule", "attrs", "meaning", "effect", "commutative", "associative", "idempotent",
                 "identity", "doc", "terminator", "levels", "regions", "shaped", "_memo", "_keeps", "spec", "chapter")  # fmt: skip

    def __init__(self, name: str, kind: str, signature: str | Rule, *, attrs: dict[str, Any] | None = None,
                 meaning: Callable[..., Any] | None = None, effect: Effect | None = None, commutative: bool = False,
                 associative: bool = False, idempotent: bool = False, identity: Callable[[Scalar], Any] | None = None,
                 terminator: bool = False, levels: str = "graph tile kernel", spec: Any = None, doc: str = "",
                 chapter: str = "", width: str = "", regions: int = 0) -> None:  # fmt: skip
        self.name, self.kind, self.doc, self.chapter = name, kind, doc, chapter
        self.signature = signature if isinstance(signature, str) else ""
        self.rule: Rule = _rule_of(name, signature, width) if isinstance(signature, str) else signature
        self.attrs = attrs or {}
        self.meaning, self.effect, self.spec = meaning, effect, spec
        self.commutative, self.associative, self.idempotent, self.identity = commutative, associative, idempotent, identity
        self.terminator, self.levels, self.regions = terminator, frozenset(levels.split()), regions
        self._memo: dict[Any, tuple[Type, ...]] = {}
        self._keeps = not any(schema in (object, bytes) for schema in self.attrs.values())  # nothing large is remembered
        self.shaped = "graph" in self.levels and any(schema in (tuple, EXTENT) for schema in self.attrs.values())  # extents among them

    @property
    def pure(self) -> bool:
        return self.effect is None and not self.terminator

    def infer(self, types: tuple[Type, ...], attrs: Attrs = ()) -> tuple[Type, ...]:
        """Result types, or DTypeError/ShapeError; BugError for attributes that the op does not have.  Remembered."""
        if not self._keeps:
            return self._infer(types, attrs)
        key = (types, key_of(attrs) if self.shaped else attrs) if attrs else types
        found = self._memo.get(key)
        if found is None:
            found = self._infer(types, attrs)
            if len(self._memo) >= REMEMBERED:
                self._memo.clear()
            self._memo[key] = found
        return found

    def _infer(self, types: tuple[Type, ...], attrs: Attrs) -> tuple[Type, ...]:
        self.check_attrs(attrs)
        try:
            if active() is None:
                return self.rule(types, dict(attrs))
            with expressions():  # what is remembered must not depend on one version's hints
                return self.rule(types, dict(attrs))
        except KeyError as e:
            raise BugError(f"{self.name}: attribute {e.args[0]!r} is missing") from None

    def check_attrs(self, attrs: Attrs) -> None:
        for key, value in attrs:
            if key not in self.attrs:
                raise BugError(f"{self.name} has no attribute {key!r}")
            allowed = self.attrs[key]
            if allowed is EXTENT:
                if value.__class__ is not int and value.__class__ is not Dim:
                    raise BugError(f"{self.name}: {key}={value!r} is not an extent")
                continue
            if isinstance(allowed, tuple) and value not in allowed:
                raise BugError(f"{self.name}: {key}={value!r} is not one of {', '.join(map(str, allowed))}")
            if isinstance(allowed, type) and not isinstance(value, allowed):
                raise BugError(f"{self.name}: {key}={value!r} is not of type {allowed.__name__}")

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[Any, ...]:
        return op, (self.name,)


WIDTHS: dict[str, Callable[[int, int], bool]] = {"wider": int.__gt__, "narrower": int.__lt__, "equally wide": int.__eq__}


def _rule_of(name: str, signature: str, width: str = "") -> Rule:
    left, _, right = signature.partition("->")
    operands, result = left.split(), right.strip()

    def rule(types: Sequence[Type], attrs: dict[str, Any]) -> tuple[Type, ...]:
        if len(types) != len(operands):
            raise BugError(f"{name} takes {len(operands)} operands, got {len(types)}")
        bound: dict[str, Scalar] = {}
        for i, (want, have) in enumerate(zip(operands, types)):
            var, _, cls = want.partition(":")
            elem = have.elem
            if cls:
                if not CLASSES[cls](elem):
                    raise DTypeError(f"{name}: operand {i + 1} must be {cls}, not {have}")
                bound[var] = elem
            elif var in bound:
                if bound[var] is not elem:
                    raise DTypeError(f"{name}: operand {i + 1} is {have}, but {bound[var]} is needed")
            elif SCALARS.get(var) is not elem:
                raise DTypeError(f"{name}: operand {i + 1} must be {var}, not {have}")
        shaped = types[0]
        for t in types:
            if t.group != shaped.group or t.shape != shaped.shape:
                raise ShapeError(f"{name}: operands of different shape: {', '.join(map(str, types))}")
        var, _, cls = result.partition(":")
        if var == "to":
            out = attrs.get("to")
            if not isinstance(out, Scalar) or not CLASSES[cls or "any"](out):
                raise DTypeError(f"{name}: result must be {cls}, not {out}")
            if width and not WIDTHS[width](out.bits, shaped.elem.bits):
                raise DTypeError(f"{name}: {out} is not {width} than {shaped}".replace("wide than", "wide as"))
        else:
            out = bound.get(var) or SCALARS[var]
        return (shaped.with_elem(out),)

    return rule


# ---- registry -------------------------------------------------------------------------------------------------------

_REGISTRY: dict[str, Op] = {}


def register(new: Op) -> Op:
    if new.name in _REGISTRY:
        raise BugError(f"two ops are called {new.name}")
    _REGISTRY[new.name] = new
    return new


def op(name: str) -> Op:
    """The op of that name; KeyError where there is none."""
    return _REGISTRY[name]


def combines(name: str, elem: Scalar) -> None:
    """Checks that a reduction can combine elements by the lane op of that name."""
    found = _REGISTRY.get(name)
    if found is None or found.kind != "lane" or found.infer((elem, elem)) != (elem,):
        raise DTypeError(f"{name} does not combine {elem}s")


def find(name: str) -> Op | None:
    return _REGISTRY.get(name)


def all_ops() -> Iterator[Op]:
    return iter(list(_REGISTRY.values()))


def lane_op(name: str, signature: str, meaning: Callable[..., Any], **kw: Any) -> Op:
    return register(Op(name, "lane", signature, meaning=meaning, **kw))


def warp_op(name: str, signature: str | Rule, meaning: Callable[..., Any], **kw: Any) -> Op:
    kw.setdefault("effect", Effect(convergent=True))
    return register(Op(name, "warp", signature, meaning=meaning, levels="kernel", **kw))


def machine_op(name: str, rule: str | Rule, effect: Effect | None, **kw: Any) -> Op:
    return register(Op(name, "machine", rule, effect=effect, **kw))


def math_op(name: str, signature: str, spec: Any, **kw: Any) -> Op:
    return register(Op(name, "math", signature, spec=spec, **kw))


def form_op(name: str, rule: str | Rule, **kw: Any) -> Op:
    return register(Op(name, "form", rule, **kw))


# ---- building -------------------------------------------------------------------------------------------------------


def freeze_attrs(attrs: dict[str, Any]) -> Attrs:
    """Attributes as kept on nodes and instructions: sorted pairs, None left out."""
    if not attrs:
        return ()
    if len(attrs) == 1:
        [(k, v)] = attrs.items()
        return () if v is None else ((k, v),)
    return tuple(sorted((k, v) for k, v in attrs.items() if v is not None))


class LaneOps:
    """Mixin of all builders: `b.fadd(x, y, rnd="rn")` makes the op of that name through `b.emit`.

    Code written against it (the definitions of mathematics, decompositions) serves graph, tile, kernel and the interpreter.
    `const(type, value)` makes a constant shaped like `type`; `cond(p, then, otherwise)` is a rarely taken branch that a level
    without branches turns into `select`.
    """

    def emit(self, op: Op, args: Sequence[Any], attrs: Attrs) -> Any:
        raise BugError("a builder must define emit")

    def const(self, ty: Type, value: Any) -> Any:
        raise BugError("a builder must define const")

    def type_of(self, value: Any) -> Type:
        return value.type  # type: ignore[no-any-return]

    def like(self, x: Any, value: Any, elem: Scalar | None = None) -> Any:
        """A constant of x's shape (and type, unless `elem` is given)."""
        ty = self.type_of(x)
        return self.const(ty if elem is None else ty.with_elem(elem), value)

    def cond(self, pred: Any, then: Callable[[], Sequence[Any]], otherwise: Sequence[Any]) -> list[Any]:
        return [self.emit(op("select"), (pred, a, b), ()) for a, b in zip(then(), otherwise)]

    def __getattr__(self, name: str) -> Callable[..., Any]:
        found = _REGISTRY.get(name)
        if found is None:
            raise AttributeError(f"{type(self).__name__} has no attribute or op {name!r}")

        def make(self: LaneOps, *args: Any, **attrs: Any) -> Any:
            return self.emit(found, args, freeze_attrs(attrs))

        make.__name__, make.__doc__ = name, found.doc
        setattr(LaneOps, name, make)
        return make.__get__(self)  # type: ignore[no-any-return]
