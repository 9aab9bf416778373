"""Several sources as splits: each split is read from where it is, files or a source of another kind."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from penstock.components.engines import Engine
from penstock.components.example_gen import configs, sources
from penstock.components.example_gen.configs import InputSplit
from penstock.components.example_gen.inputs import references, spans
from penstock.components.example_gen.inputs.references import Reference
from penstock.components.example_gen.sources.pieces import Piece, Shard
from penstock.components.example_gen.sources.source import Asked, Block, Opened, Request, Resolved, Source
from penstock.core.arguments import check_object, check_string, check_strings, parse_object
from penstock.core.errors import ConfigError, PenstockError
from penstock.core.examples import payloads
from penstock.core.files import documents

_FILES = "files"
_OF_FILES = ("input_base", "pattern", "format", "options", "payload_format")


@dataclass(frozen=True)
class PartPiece[P: Piece]:
    """A piece of the source that one split is read from."""

    split: str
    piece: P

    @property
    def name(self) -> str:
        return self.piece.name

    @property
    def size(self) -> int:
        return self.piece.size


@dataclass(frozen=True)
class JoinedSource(Source[PartPiece[Any]]):
    """Reads each split with the source that it is from. A column is of one type in all of them: a schema would give
    up one that is not.
    """

    typed_by_record: ClassVar[bool] = True
    parts: Mapping[str, Source[Any]]

    @classmethod
    def resolve(cls, asked: Asked) -> Resolved:
        """Asks each split's source. A ConfigError if there are patterns or spans for all of them at once."""
        if asked.splits is not configs.DEFAULT_INPUT or asked.spans:
            raise ConfigError("input_config, range_config: expected none beside splits that are sources of their own")
        found = []
        for name, part in _parts(asked.options).items():
            with _named(name):
                found.append((name, _resolved(name, part, asked.state)))
        return Resolved(
            [InputSplit(name, split.pattern) for name, part in found for split in part.splits],
            "\n".join(f"split:{name},{part.fingerprint}" for name, part in found),
            max(part.span for _, part in found),
            max(part.version for _, part in found),
            "; ".join(f"{name} {part.spans}" for name, part in found if part.spans),
        )

    @classmethod
    @contextlib.contextmanager
    def open(cls, request: Request) -> Iterator[Opened[PartPiece[Any]]]:
        """Opens each split's source; what is raised names the split."""
        with contextlib.ExitStack() as stack:
            opened = {
                name: stack.enter_context(_opened(name, part, request))
                for name, part in _parts(parse_object("splits", request.options)).items()
            }
            shards = [
                replace(shard, pieces=tuple(PartPiece(name, piece) for piece in shard.pieces))
                for name, part in opened.items()
                for shard in part.shards
            ]
            extents = [part.extent for part in opened.values()]
            yield Opened(
                cls({name: part.source for name, part in opened.items()}),
                shards,
                {unit: sum(extent.get(unit, 0) for extent in extents) for extent in extents for unit in extent},
                origin={f"{name}.{key}": text for name, part in opened.items() for key, text in part.origin.items()},
                done=lambda: _done(opened.values()),
            )

    def read(self, piece: PartPiece[Any]) -> Iterator[Block]:
        return self.parts[piece.split].read(piece.piece)

    def rows(self, piece: PartPiece[Any]) -> int:
        return self.parts[piece.split].rows(piece.piece)

    def with_all_types(self, shards: Sequence[Shard[PartPiece[Any]]], engine: Engine) -> Self:
        """Returns a source that has looked at the rows of all shards; of those parts that find types in their rows."""
        looked = dict(self.parts)
        for name, source in self.parts.items():
            own = [
                replace(shard, pieces=tuple(piece.piece for piece in shard.pieces))
                for shard in shards
                if shard.split == name
            ]
            if type(source).with_all_types is not Source.with_all_types:
                looked[name] = source.with_all_types(own, engine)
        return replace(self, parts=looked)


@contextlib.contextmanager
def _named(split: str) -> Iterator[None]:
    """Says in errors of which split they are."""
    try:
        yield
    except PenstockError as error:
        if not error.message.startswith(f"split {split!r}"):
            error.message = f"split {split!r}: {error.message}"
        raise


def _done(parts: Iterable[Opened[Any]]) -> None:
    for part in parts:
        if part.done:
            part.done()


def _parts(options: Mapping[str, Any]) -> dict[str, Reference]:
    if not options:
        raise ConfigError("splits: expected a source for each split, received none")
    return {name: references.named(f"splits.{name}", value) for name, value in options.items()}


@dataclass(frozen=True)
class _Files:
    """Files as a split, as the reference `files` has them."""

    input_base: str
    patterns: tuple[str, ...]
    format: str
    options: str
    payload_format: str

    @classmethod
    def of(cls, split: str, options: Mapping[str, Any]) -> Self:
        where = f"splits.{split}.{_FILES}"
        given = check_object(where, dict(options), _OF_FILES)
        texts = {"format": "csv", "payload_format": payloads.TF_EXAMPLE} | {
            key: check_string(f"{where}.{key}", value, "a text")
            for key, value in given.items()
            if key not in ("options", "pattern")
        }
        pattern = given.get("pattern", "*")
        several = check_strings(f"{where}.pattern", [pattern] if isinstance(pattern, str) else pattern, of="patterns")
        own = check_object(f"{where}.options", given.get("options", {}))
        if "input_base" not in texts:
            raise ConfigError(f"{where}.input_base: expected a folder or a file, received none")
        return cls(**texts, patterns=tuple(several), options=documents.json_text(own) if own else "")


def _resolved(split: str, part: Reference, state: str) -> Resolved:
    if part.name != _FILES:
        return sources.named(part.name).resolve(
            Asked(part.options, configs.DEFAULT_INPUT, state=state and f"{state}/{split}")
        )
    files = _Files.of(split, part.options)
    config = documents.json_text({"splits": [{"name": split, "pattern": pattern} for pattern in files.patterns]})
    found = spans.resolve(input_base=files.input_base, input_config=config)
    splits, words = configs.resolved_splits(found.resolved_input)
    return Resolved(splits, found.fingerprint, found.span, found.version, words)


@contextlib.contextmanager
def _opened(split: str, part: Reference, request: Request) -> Iterator[Opened[Any]]:
    own = [one for one in request.splits if one.name == split]
    scratch = request.scratch / split  # sources name their temporary files by themselves
    scratch.mkdir()
    request = replace(request, scratch=scratch)
    if part.name != _FILES:
        kind, asked = sources.named(part.name), replace(request, options=documents.json_text(dict(part.options)))
        asked = replace(asked, input_base=part.text())
    else:
        files = _Files.of(split, part.options)
        kind = sources.named(files.format)
        asked = replace(
            request,
            input_base=files.input_base,
            options=files.options,
            payload_format=payloads.parse(files.payload_format),
        )
    with contextlib.ExitStack() as stack:
        with _named(split):
            opened = stack.enter_context(kind.open(replace(asked, splits=own)))
        yield opened
