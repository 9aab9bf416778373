"""Data that DVC tracks: a revision's files are fetched from the repository's remote, and read as any files are."""

import contextlib
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from penstock.components.example_gen import sources
from penstock.components.example_gen.configs import InputSplit
from penstock.components.example_gen.sources.dvc import repository
from penstock.components.example_gen.sources.dvc.options import DvcOptions
from penstock.components.example_gen.sources.dvc.repository import Tracked
from penstock.components.example_gen.sources.pieces import FilePiece
from penstock.components.example_gen.sources.source import Asked, Block, Opened, Request, Resolved, Source
from penstock.core.arguments import parse_object
from penstock.core.errors import ConfigError, DataError, PenstockError
from penstock.core.examples import payloads
from penstock.core.files import documents, formats, patterns
from penstock.core.suggestions import listed


class DvcSource(Source[FilePiece]):
    """Resolves a revision to its commit, and reads that. What reads the files is the source of their format."""

    @classmethod
    def resolve(cls, asked: Asked) -> Resolved:
        """Finds the commit and DVC's hash of the data, which is the fingerprint: it fetches no data."""
        options = DvcOptions.parse(asked.options)
        if asked.spans:
            raise ConfigError(
                "range_config (data.range_config): expected none for data of DVC: a rev says what is read"
            )
        with repository.opened(options, options.rev) as found:
            if not options.rev:
                found.check_committed()
            tracked = found.tracked()
        lines = []
        for split in asked.splits:
            names = chosen(tracked, split, options)
            digest = tracked.hash if len(names) == len(tracked.files) else _digest(tracked, names)
            lines.append(f"split:{split.name},num_files:{len(names)},{digest}")
        splits = [
            InputSplit(
                split.name,
                documents.json_text({"commit": tracked.commit, "hash": tracked.hash, "pattern": split.pattern}),
            )
            for split in asked.splits
        ]
        return Resolved(splits, "\n".join(lines))

    @classmethod
    @contextlib.contextmanager
    def open(cls, request: Request) -> Iterator[Opened[FilePiece]]:
        """Fetches the splits' files to the scratch folder, and opens them there."""
        options = DvcOptions.parse(parse_object("dvc", request.options))
        fixed = [parse_object("dvc", split.pattern, ("commit", "hash", "pattern")) for split in request.splits]
        splits = [InputSplit(split.name, str(one["pattern"])) for split, one in zip(request.splits, fixed, strict=True)]
        folder = request.scratch / "dvc" / options.path
        with repository.opened(options, str(fixed[0]["commit"])) as found:
            tracked = found.tracked()
            names = sorted({name for split in splits for name in chosen(tracked, split, options)})
            found.fetch(names, folder if names != [""] else folder.parent)
        kind = sources.named(file_format(options, names))
        asked = replace(
            request,
            input_base=str(folder),
            splits=splits,
            options=options.csv_text if kind is sources.named("csv") else "",
            payload_format=payloads.parse(options.payload_format),
        )
        with named_as_tracked(folder, options), kind.open(asked) as opened:
            yield replace(opened, origin=_origin(options, tracked))

    def read(self, piece: FilePiece) -> Iterator[Block]:
        raise NotImplementedError("the source of the files' format reads them")


def chosen(tracked: Tracked, split: InputSplit, options: DvcOptions) -> list[str]:
    """Returns the names of a split's files; a DataError if none matches its pattern."""
    if list(tracked.files) == [""]:
        return [""]
    whole = patterns.translate(f"{split.pattern}/*" if split.pattern.endswith("**") else split.pattern)
    matches = re.compile(whole, re.DOTALL).fullmatch
    names = [name for name in tracked.files if matches(name) and not patterns.is_marked(name, split.pattern)]
    if not names:
        raise DataError(
            f"split {split.name!r}: no file matches {split.pattern!r} in {options.path} of {options.repo}, which has "
            f"{listed(sorted(tracked.files))}"
        )
    return names


def file_format(options: DvcOptions, names: Sequence[str]) -> str:
    """Returns the format of files, by their names below the path."""
    return options.format or formats.of_names([name or options.path for name in names]) or "csv"


def _digest(tracked: Tracked, names: Sequence[str]) -> str:
    lines = "".join(f"{name}\0{tracked.files[name]}\n" for name in sorted(names))
    return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"


def _origin(options: DvcOptions, tracked: Tracked) -> Mapping[str, str]:
    origin = {
        "repo": options.repo,
        "path": options.path,
        "rev": options.rev,
        "commit": tracked.commit,
        "hash": tracked.hash,
        "remote": options.remote,
    }
    return {name: text for name, text in origin.items() if text}


@contextlib.contextmanager
def named_as_tracked(folder: Path, options: DvcOptions) -> Iterator[None]:
    """Names in errors what the repository has, and not the copy."""
    try:
        yield
    except PenstockError as error:
        error.message = error.message.replace(str(folder), f"dvc://{options.path}")
        raise
