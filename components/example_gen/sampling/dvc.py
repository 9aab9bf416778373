"""The beginning of a file of a revision: of text the first megabytes, of other formats a file that is small enough."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from penstock.components.example_gen import sources
from penstock.components.example_gen.configs import InputSplit
from penstock.components.example_gen.sampling import beginnings
from penstock.components.example_gen.sampling.look import Look, NotLookedAt
from penstock.components.example_gen.sources.dvc import repository
from penstock.components.example_gen.sources.dvc import source as dvc
from penstock.components.example_gen.sources.dvc.options import DvcOptions
from penstock.components.example_gen.sources.dvc.source import DvcSource
from penstock.components.example_gen.sources.pieces import FilePiece
from penstock.components.example_gen.sources.source import Opened
from penstock.core.arguments import parse_object
from penstock.core.examples import payloads
from penstock.core.files import data_files, documents, patterns

_MOST = 256 << 20  # bytes of a file of which only the whole can be read


@contextlib.contextmanager
def opened(look: Look) -> Iterator[Opened[FilePiece]]:
    """Raises NotLookedAt for a large file of a format whose end has to be known first."""
    options = DvcOptions.parse(look.asked.options)
    split = DvcSource.resolve(look.asked).splits[0]
    fixed = parse_object("dvc", split.pattern)
    folder = look.scratch / "dvc"
    with repository.opened(options, str(fixed["commit"])) as found:
        tracked = found.tracked()
        name = dvc.chosen(tracked, InputSplit(split.name, str(fixed["pattern"])), options)[0]
        form = dvc.file_format(options, [name])
        copy = folder / PurePosixPath(name or options.path).name
        file = found.file(name)
        if form in beginnings.TEXT:
            beginnings.copy(file, copy, options.csv if form == "csv" else None)
        elif data_files.size(file) > _MOST:
            raise NotLookedAt(f"{options.path} has a file of more than {_MOST >> 20} MiB, which a run alone fetches")
        else:
            beginnings.copy_all(file, copy)
    request = replace(
        look.request([InputSplit(split.name, patterns.escape(copy.name))]),
        input_base=str(folder),
        options=documents.json_text(dict(options.csv)) if options.csv and form == "csv" else "",
        payload_format=payloads.parse(options.payload_format),
    )
    with dvc.named_as_tracked(folder, options), sources.named(form).open(request) as opened_files:
        yield opened_files
