"""A file of the newest manifest that a flow has landed. What is pulled of a flow is no more in it: it is left there."""

import contextlib
import fnmatch
import glob
from collections.abc import Iterator
from typing import Any

from penstock.components.example_gen.configs import InputSplit
from penstock.components.example_gen.sampling.look import Look, NotLookedAt
from penstock.components.example_gen.sources.nifi import landing
from penstock.components.example_gen.sources.nifi.options import NifiOptions
from penstock.components.example_gen.sources.nifi.source import NifiSource
from penstock.components.example_gen.sources.source import Opened
from penstock.components.example_gen.sources.spooled import folder
from penstock.core.arguments import parse_object
from penstock.core.files import documents

_MOST = 256 << 20  # bytes of a file, whose checksum is looked at


@contextlib.contextmanager
def opened(look: Look) -> Iterator[Opened[Any]]:
    """Raises NotLookedAt for FlowFiles, and for a large file."""
    options = NifiOptions.of(look.asked.options)
    if options.site_to_site:
        raise NotLookedAt("FlowFiles are taken out of the flow as they are read, which a run alone does")
    split = NifiSource.resolve(look.asked).splits[-1]
    pattern = parse_object("nifi", split.pattern)
    with folder.opened(options.landing) as place:
        files = landing.parsed(place, options.landing, pattern["manifest"]).files
    wanted = [file for file in files if fnmatch.fnmatchcase(file.name, pattern["names"])]
    smallest = min(wanted, key=lambda file: (not file.size, file.size), default=None)
    if smallest and smallest.size > _MOST:
        raise NotLookedAt(f"the files of {pattern['manifest']} have more than {_MOST >> 20} MiB each")
    names = glob.escape(smallest.name) if smallest else pattern["names"]
    with NifiSource.open(look.request([InputSplit(split.name, documents.json_text(pattern | {"names": names}))])) as it:
        yield it
