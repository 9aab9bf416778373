"""A source of a person's own: its module is a file that travels with the pipeline, or one of an installed package.

What it raises becomes one sentence with the person's own lines, as of all code of theirs. An engine's worker imports
the module before it unpickles anything of it.
"""

import contextlib
import pickle
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from penstock.components.engines import Engine
from penstock.components.example_gen.sources.pieces import Piece, Shard
from penstock.components.example_gen.sources.source import (
    Asked,
    Block,
    Opened,
    Request,
    Resolved,
    Source,
    TypesGrew,
)
from penstock.core import user_modules
from penstock.core.errors import ConfigError, ModuleError, PenstockError

_INTERFACE = f"{Source.__module__}.{Source.__name__}"


@dataclass(frozen=True)
class Carried[T]:
    """Something of a person's module, which is imported first wherever this is unpickled."""

    module: str
    value: T

    def __reduce__(self) -> tuple[Callable[[str, bytes], Any], tuple[str, bytes]]:
        return _carried, (self.module, pickle.dumps(self.value))


def _carried(module: str, pickled: bytes) -> Carried[Any]:
    user_modules.load(module)
    return Carried(module, pickle.loads(pickled))


@dataclass(frozen=True)
class OwnPiece:
    """A piece of a source of one's own."""

    carried: Carried[Piece]

    @property
    def name(self) -> str:
        return self.carried.value.name

    @property
    def size(self) -> int:
        return self.carried.value.size


@dataclass(frozen=True)
class OwnSource(Source[OwnPiece]):
    """Reads with a person's source. `named` makes the class of it that resolves and opens."""

    carried: Carried[Source[Any]]
    reference: ClassVar[str] = ""
    kind: ClassVar[type[Source[Any]]]

    @classmethod
    def resolve(cls, asked: Asked) -> Resolved:
        with _guarded(f"{cls.reference}: resolve"):
            resolved = cls.kind.resolve(asked)
        if not isinstance(resolved, Resolved):
            raise ModuleError(f"{cls.reference}: resolve: expected it to return a Resolved, received {resolved!r}")
        return resolved

    @classmethod
    def may_be_looked_at(cls, asked: Asked) -> bool:
        with _guarded(f"{cls.reference}: may_be_looked_at"):
            return cls.kind.may_be_looked_at(asked)

    @classmethod
    @contextlib.contextmanager
    def open(cls, request: Request) -> Iterator[Opened[OwnPiece]]:
        module = cls.reference.rpartition(":")[0]
        with contextlib.ExitStack() as stack:
            with _guarded(f"{cls.reference}: open"):
                opened = stack.enter_context(cls.kind.open(request))
            if not isinstance(opened, Opened):
                raise ModuleError(f"{cls.reference}: open: expected it to yield an Opened, received {opened!r}")
            own = _OwnRecords if opened.source.typed_by_record else OwnSource
            shards = [
                replace(shard, pieces=tuple(OwnPiece(Carried(module, piece)) for piece in shard.pieces))
                for shard in opened.shards
            ]
            yield replace(opened, source=own(Carried(module, opened.source)), shards=shards)

    def read(self, piece: OwnPiece) -> Iterator[Block]:
        with _guarded(f"{self._name}: read"):
            yield from self.carried.value.read(piece.carried.value)

    def rows(self, piece: OwnPiece) -> int:
        with _guarded(f"{self._name}: rows"):
            return self.carried.value.rows(piece.carried.value)

    def with_all_types(self, shards: Sequence[Shard[OwnPiece]], engine: Engine) -> Self:
        own: list[Shard[Any]] = [
            Shard(shard.split, shard.index, shard.count, tuple(piece.carried.value for piece in shard.pieces))
            for shard in shards
        ]
        module, source = self.carried.module, self.carried.value
        with _guarded(f"{self._name}: with_all_types"):
            return replace(self, carried=Carried(module, source.with_all_types(own, _Importing(engine, module))))

    @property
    def _name(self) -> str:
        return type(self.carried.value).__qualname__


class _OwnRecords(OwnSource):
    typed_by_record: ClassVar[bool] = True


@dataclass(frozen=True)
class _Calling[T, R]:
    """Calls a function of a person's module, or one that holds something of it. Picklable."""

    function: Carried[Callable[[T], R]]

    def __call__(self, shard: Carried[T]) -> R:
        return self.function.value(shard.value)


@dataclass(frozen=True)
class _Importing(Engine):
    """An engine whose workers import a person's module before they unpickle functions and shards that hold of it."""

    engine: Engine
    module: str

    def results[T, R](self, function: Callable[[T], R], shards: Iterable[T]) -> Generator[R]:
        carried = [Carried(self.module, shard) for shard in shards]
        return self.engine.results(_Calling(Carried(self.module, function)), carried)


def named(name: str) -> type[OwnSource]:
    """Returns the source that a module and a class name, `path/module.py:Class` or `package.module:Class`, also with a
    dot before the class; a ConfigError or ModuleError if there is none.
    """
    module, _, class_name = name.rpartition(":" if ":" in name else ".")
    top = module.partition(".")[0]
    try:
        loaded = user_modules.load(module)
    except ModuleError as error:
        if isinstance(error.__cause__, ModuleNotFoundError) and error.__cause__.name == top:
            raise ConfigError(
                f"source: {name}: there is no package {top!r} where this task runs: expected an image or environment "
                "that has it"
            ) from None
        raise
    kind = getattr(loaded, class_name, None)
    if not (isinstance(kind, type) and issubclass(kind, Source)):
        raise ConfigError(f"source: {name}: expected a class that extends {_INTERFACE}, received {kind!r}")
    return type(class_name, (OwnSource,), {"reference": f"{module}:{class_name}", "kind": kind})


@contextlib.contextmanager
def _guarded(what: str) -> Iterator[None]:
    try:
        yield
    except (PenstockError, TypesGrew):
        raise
    except SystemExit as error:  # it would end the task as if it were done
        message = f"{what} called sys.exit({error.code!r}): expected it to return, or to raise an error"
        raise ModuleError(message, user_modules.user_lines(error)) from error
    except Exception as error:
        raise user_modules.error_of(what, error) from error
