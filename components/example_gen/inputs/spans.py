"""Which files to read: patterns with {SPAN}, {VERSION} and {YYYY}{MM}{DD}, ranges of spans, and their fingerprint.

The patterns mean what TFX's do. A range may hold several spans, which TFX's own ExampleGen refuses. Of local data
standard library only: this runs on every run of a pipeline, before anything is answered from a cache.
"""

import contextlib
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from penstock.components.engines.fold import Engine
from penstock.components.example_gen import configs
from penstock.components.example_gen.configs import InputSplit, SpanRange
from penstock.components.example_gen.inputs import folders
from penstock.components.example_gen.inputs.folders import Folder, LocalFolder, RemoteFolder
from penstock.core import span_numbers
from penstock.core.errors import ConfigError, DataError, PenstockError
from penstock.core.files import data_files as data_files_
from penstock.core.files import patterns, temporary
from penstock.core.files.data_files import DataFile

logger = logging.getLogger(__name__)
_SPECS = re.compile(r"\{(?P<spec>SPAN|VERSION|YYYY|MM|DD)(?::(?P<width>[^}]*))?\}")
_DATE_WIDTHS = {"YYYY": 4, "MM": 2, "DD": 2}


class Files[File: DataFile](dict[str, list[File]]):
    """The files of each input split, sorted; all of them are below the folder `root`, whose name begins theirs."""

    def __init__(self, root: str, of_splits: dict[str, list[File]]) -> None:
        super().__init__(of_splits)
        self.root = root

    def all(self) -> list[File]:
        """Returns the files of all splits, in their order."""
        return [file for of_split in self.values() for file in of_split]


class ResolvedInput(NamedTuple):
    """What the pattern stands for now. `resolved_input` is an Input message without specs; several patterns of one
    split have the same name, and `spans` says in words which spans and versions they are of. Without {SPAN}, the span
    is 0; without {VERSION}, the version is 0."""

    resolved_input: str
    fingerprint: str
    span: int
    version: int


def resolve(*, input_base: str, input_config: str = "", range_config: str = "") -> ResolvedInput:
    """Finds the spans and versions to read and fingerprints the files' names and contents.

    Of every span the newest version is read; without a range, the newest span. All splits must agree on both. In an
    object store that is not mounted, contents are known by the store's checksums (else the times of writing).

    Raises:
      ConfigError: patterns or the range are not as TFX defines them.
      DataError: no file matches, or the splits differ in spans or versions.
    """
    splits = configs.input_splits(input_config)
    with folders.opened(input_base) as root:
        if not root.only and splits is not configs.DEFAULT_INPUT:
            splits = tuple(InputSplit(split.name, root.literal(split.pattern)) for split in splits)
        kinds = _kinds_of_all(splits)
        wanted = configs.span_range(range_config, dated="YYYY" in kinds)
        if kinds:
            selected = _select(root, splits, wanted or SpanRange(), kinds)
        elif wanted:
            raise ConfigError(
                "range_config (data.range_config): expected {SPAN} or {YYYY}, {MM}, {DD} in the pattern, received "
                "neither"
            )
        else:
            selected = _Selected(splits)
        files = _names(root, selected.splits)
        fingerprint = "\n".join(f"split:{name},{root.fingerprint(names)}" for name, names in files.items())
    resolved = configs.resolved_input(selected.splits, selected.text)
    return ResolvedInput(resolved, fingerprint, selected.span, selected.versions.get(selected.span, 0))


class Newer(NamedTuple):
    """Spans after another one, and the bytes of their files."""

    spans: list[int]
    size: int


def newer(input_base: str, input_config: str, span: int) -> Newer:
    """Finds the spans that the data has after one, of each its newest version, whatever a range says."""
    splits = configs.input_splits(input_config)
    with folders.opened(input_base) as root:
        numbers: set[int] = set()
        size = 0
        for split in splits:
            for number, versions in _patterns(root, split).items():
                if number > span:
                    numbers.add(number)
                    names = sorted({name for pattern in versions[max(versions)] for name in root.glob(pattern)})
                    size += total_bytes(root.fingerprint(names))
    return Newer(sorted(numbers), size)


def total_bytes(fingerprint: str) -> int:
    """Returns how many bytes the files have that a fingerprint is of."""
    return sum(map(int, re.findall(r"total_bytes:(\d+)", fingerprint)))


def in_words(resolved: ResolvedInput) -> str:
    """Returns which spans and versions are read, in words; "" without {SPAN}."""
    return configs.resolved_splits(resolved.resolved_input)[1]


@contextlib.contextmanager
def data_files(input_base: str, splits: Iterable[InputSplit]) -> Iterator[Files[DataFile]]:
    """Gives the files of each input split, sorted: those of an object store that is not mounted are read from there.

    Names that begin with a dot or an underscore are not data.
    """
    with data_files_.connections():
        with folders.opened(input_base) as root:
            names = _names(root, splits)
            files = {split: root.files(of_split) for split, of_split in names.items()}
        yield Files(root.name, files)


@contextlib.contextmanager
def local_files(input_base: str, splits: Iterable[InputSplit], engine: Engine | None = None) -> Iterator[Files[Path]]:
    """Gives the files of each input split, sorted: from an object store that is not mounted, temporary copies.

    These are where the workers of the engine see them; without one, in the system's place for temporary files.

    Names that begin with a dot or an underscore are not data. What is raised of a copy names the object.
    """
    with contextlib.ExitStack() as opened:
        root = opened.enter_context(folders.opened(input_base))
        files = _names(root, splits)
        if isinstance(root, LocalFolder):
            yield Files(root.name, {split: [root.path / name for name in names] for split, names in files.items()})
            return
        assert isinstance(root, RemoteFolder)
        scratch = opened.enter_context(engine.folder() if engine else temporary.folder(prefix="penstock-data-"))
        copies = folders.fetch(root, files, scratch)
        try:
            yield Files(str(scratch), copies)
        except PenstockError as error:
            error.message = error.message.replace(str(scratch), root.name)
            raise


def extent(files: Files[DataFile]) -> dict[str, int]:
    """Returns what a source of these files says of its extent."""
    return {"files": sum(map(len, files.values()))}


def _names(root: Folder, splits: Iterable[InputSplit]) -> dict[str, list[str]]:
    """Returns the names of each input split's files, sorted."""
    files: dict[str, list[str]] = {}
    owners: dict[str, str] = {}
    for split in splits:
        names = root.glob(patterns.escape(root.only) if root.only else split.pattern)
        if not names:
            raise DataError(f"split {split.name!r}: no file matches {split.pattern!r} in {root.name}{_there(root)}")
        for name in names:
            if owners.setdefault(name, split.name) != split.name:
                raise ConfigError(
                    f"{root.name}/{name}: expected in one split, matches those of {owners[name]!r} and {split.name!r}"
                )
        files[split.name] = sorted({*files.get(split.name, []), *names}, key=PurePosixPath)
    return files


def _there(root: Folder) -> str:
    names = root.held()
    shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    nothing = "there is no such file or folder" if isinstance(root, RemoteFolder) else "it is empty"
    return f": it holds {shown}" if names else f": {nothing}"


def _kinds_of_all(splits: Sequence[InputSplit]) -> tuple[str, ...]:
    kinds = [_kinds(split) for split in splits]
    if any(kind != kinds[0] for kind in kinds):
        raise ConfigError(
            "input_config (data.splits): expected the same of {SPAN}, {VERSION} and the date in every split's pattern"
        )
    return kinds[0]


def _kinds(split: InputSplit) -> tuple[str, ...]:
    """The specs of a pattern, sorted; a ConfigError if TFX does not allow their combination."""
    specs = sorted(match["spec"] for match in _SPECS.finditer(split.pattern))
    where, date = f"input_config (data.path, data.splits): pattern {split.pattern!r}", sorted(_DATE_WIDTHS)
    rest = re.search(r"\{[^}]*\}", patterns.without_escapes(_SPECS.sub("", split.pattern)))
    if rest:
        raise ConfigError(f"{where}: unknown {rest[0]}: expected {{SPAN}}, {{VERSION}}, {{YYYY}}, {{MM}} or {{DD}}")
    for match in _SPECS.finditer(split.pattern):
        width = match["width"]
        if width is not None and (match["spec"] in _DATE_WIDTHS or not width.isdecimal() or int(width) < 1):
            raise ConfigError(f"{where}: {match[0]}: expected a width only after SPAN or VERSION, a positive number")
    if [spec for spec in specs if spec != "VERSION"] not in ([], ["SPAN"], date) or specs.count("VERSION") > 1:
        raise ConfigError(f"{where}: expected {{SPAN}} once, or each of {{YYYY}}, {{MM}} and {{DD}} once, not both")
    if specs == ["VERSION"]:
        raise ConfigError(f"{where}: expected {{SPAN}} or a date beside {{VERSION}}")
    return tuple(specs)


@dataclass(frozen=True)
class _Selected:
    """The patterns to read, the version of each span that they are of, and both in words, "" without {SPAN}."""

    splits: Sequence[InputSplit]
    versions: Mapping[int, int] = field(default_factory=dict)
    text: str = ""

    @property
    def span(self) -> int:
        """The newest span."""
        return max(self.versions, default=0)


def _select(root: Folder, splits: Sequence[InputSplit], wanted: SpanRange, kinds: Sequence[str]) -> _Selected:
    dated, versioned = "YYYY" in kinds, "VERSION" in kinds
    resolved: list[InputSplit] = []
    chosen: dict[int, int] = {}
    for split in splits:
        by_span = _patterns(root, split)
        if not by_span:
            raise DataError(f"split {split.name!r}: no file matches {split.pattern!r} in {root.name}{_there(root)}")
        window = _window(split, sorted(by_span), wanted, dated)
        versions = {span: max(by_span[span]) for span in window}
        if chosen and versions != chosen:
            raise DataError(
                f"split {split.name!r}: expected the spans and versions of split {resolved[0].name!r} "
                f"(span {span_numbers.described(chosen, dated, versioned)}), found "
                f"span {span_numbers.described(versions, dated, versioned)}"
            )
        chosen = versions
        for span, version in versions.items():
            resolved += [InputSplit(split.name, pattern) for pattern in sorted(by_span[span][version])]
    return _Selected(resolved, chosen, span_numbers.described(chosen, dated, versioned))


def _window(split: InputSplit, spans: Sequence[int], wanted: SpanRange, dated: bool) -> list[int]:
    """Returns those of the spans that are wanted; a DataError if there is none, a warning if some are missing."""
    last = spans[-1] if wanted.last is None else wanted.last
    first = last - wanted.count + 1
    if wanted.first is not None or not dated:  # no number is below 0, but there are days before 1970
        first = max(first, wanted.first or 0)
    window = [span for span in spans if first <= span <= last]
    ends = [span_numbers.text(span, dated) for span in (first, last)]
    if not window:
        raise DataError(
            f"split {split.name!r}: no span between {ends[0]} and {ends[1]}: those of {split.pattern!r} are "
            f"{span_numbers.listed(spans, dated)}"
        )
    if len(window) < last - first + 1:
        there = span_numbers.listed(window, dated)
        logger.warning("split %r: of the spans %s to %s there are only %s", split.name, *ends, there)
    return window


def _patterns(root: Folder, split: InputSplit) -> dict[int, dict[int, set[str]]]:
    """Returns the patterns without specs by span and version (0 without {VERSION})."""
    by_span: dict[int, dict[int, set[str]]] = {}
    expression = _expression(split.pattern)
    for name in root.glob(_SPECS.sub("*", split.pattern)):
        match = expression.fullmatch(PurePosixPath(name).as_posix())
        span = _number(match.groupdict()) if match else None
        if match is None or span is None:
            continue
        groups = match.groupdict()
        pattern = _SPECS.sub(lambda spec, groups=groups: groups[spec["spec"]], split.pattern)  # type: ignore[misc]
        by_span.setdefault(span, {}).setdefault(int(groups.get("VERSION") or 0), set()).add(pattern)
    return by_span


def _number(groups: dict[str, str]) -> int | None:
    """The span: a number, or the days since 1970-01-01; None if there is no such date."""
    if "SPAN" in groups:
        return int(groups["SPAN"])
    return span_numbers.of_date(int(groups["YYYY"]), int(groups["MM"]), int(groups["DD"]))


def _expression(pattern: str) -> re.Pattern[str]:
    """The regular expression of a glob pattern with a group for each spec."""
    parts, end = [], 0
    for spec in _SPECS.finditer(pattern):
        width = spec["width"] or _DATE_WIDTHS.get(spec["spec"])
        parts += [
            patterns.translate(pattern[end : spec.start()]),
            f"(?P<{spec['spec']}>[0-9]{f'{{{width}}}' if width else '+'})",
        ]
        end = spec.end()
    return re.compile("".join(parts) + patterns.translate(pattern[end:]), re.DOTALL)
