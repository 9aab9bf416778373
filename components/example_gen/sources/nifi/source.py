"""An Apache NiFi flow as a source: what it lands is read where it is, what it offers is pulled and kept."""

import contextlib
import fnmatch
import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from penstock.components.example_gen import configs
from penstock.components.example_gen.configs import InputSplit, SpanRange
from penstock.components.example_gen.sources.nifi import landing, pulling
from penstock.components.example_gen.sources.nifi.options import NifiOptions, SiteToSite
from penstock.components.example_gen.sources.nifi.pulling import KIND, Pull, Span
from penstock.components.example_gen.sources.nifi.staging import Staging
from penstock.components.example_gen.sources.source import Asked, Opened, Request, Resolved
from penstock.components.example_gen.sources.spooled import folder, opening, spool
from penstock.components.example_gen.sources.spooled.opening import Fetched
from penstock.components.example_gen.sources.spooled.row_files import RowFiles, RowFormat
from penstock.components.example_gen.sources.spooled.spool import Kept, Snapshot, Spool
from penstock.core import span_numbers
from penstock.core.arguments import check_object, parse_object
from penstock.core.errors import ConfigError, DataError
from penstock.core.files import documents, object_stores
from penstock.core.state import open_folder

_ROWS: dict[str, RowFormat] = {"json": "json_lines", "json_lines": "json_lines", "avro": "avro"}
_PATTERN_KEYS = ("names", "manifest", "sha256", "snapshot", "state", "spans")


@dataclass(frozen=True)
class NifiSource(RowFiles):
    """Reads what a flow gives. A split's pattern is one of file names, those of landed files or FlowFiles; once it is
    resolved, JSON of it and of the manifest or the snapshot that the rows are in.
    """

    @classmethod
    def resolve(cls, asked: Asked) -> Resolved:
        """Finds manifests, a span each; or pulls all FlowFiles there are: they belong to the span that is not read yet.

        Raises a ConfigError for what does not fit, a DataError where nothing has come, and what Transport raises for a
        NiFi that does not answer.
        """
        options = NifiOptions.of(asked.options)
        configs.check_distinct_inputs(asked.splits)
        if options.site_to_site is None:
            return _landed(options, asked)
        if not asked.state:
            raise ConfigError("state: expected a folder that lasts from run to run, where FlowFiles are kept")
        return _pulled(options.site_to_site, asked)

    @classmethod
    @contextlib.contextmanager
    def open(cls, request: Request) -> Iterator[Opened[Any]]:
        """Gives the rows of the manifests or of what was pulled; nothing is asked of NiFi."""
        options = NifiOptions.of(parse_object("nifi", request.options))
        root = Path(tempfile.mkdtemp(prefix="nifi-", dir=request.scratch))  # a flow may be several splits' source
        staging = Staging(options, root / "staged")
        files: dict[str, list[Fetched]] = {}
        origin = {"landing": options.landing} if options.landing else {}
        states: set[tuple[str, tuple[tuple[int, int], ...]]] = set()
        for number, split in enumerate(request.splits):
            pattern = check_object("resolved_input", parse_object("resolved_input", split.pattern), _PATTERN_KEYS)
            scratch = root / f"fetched-{number}"
            if "manifest" in pattern:
                found = list(_of_manifest(options, pattern, scratch, staging))
                origin[pattern["manifest"]] = pattern["sha256"]
            else:
                snapshot, copies = spool.read(pattern["snapshot"], scratch)
                parts = [(copies[kept.sha256], kept) for kept in snapshot.files]
                found = [one for path, kept in parts for one in staging.flow_files(path, kept, pattern["names"])]
                origin |= {**snapshot.origin, f"{split.name}.snapshot": snapshot.digest}
                states.add((pattern["state"], tuple((span, version) for span, version in pattern["spans"])))
            files.setdefault(split.name, []).extend(found)
        for name, of_split in files.items():
            if not of_split:
                raise DataError(f"split {name!r}: no file has a row: expected at least one")
        row_format = _ROWS.get(options.format)
        source = cls(format=row_format, columns=options.columns) if row_format else options.format
        with opening.opened(files, source, request, options.csv) as opened:
            yield replace(opened, origin=origin, done=lambda: _done(states))


def _done(states: set[tuple[str, tuple[tuple[int, int], ...]]]) -> None:
    for place, versions in sorted(states):
        pulling.mark_read(open_folder(place, KIND), versions)


def _landed(options: NifiOptions, asked: Asked) -> Resolved:
    with folder.opened(options.landing) as place:
        found = landing.manifests(place, options.landing, asked.spans)
    splits = [
        InputSplit(
            split.name, documents.json_text({"names": split.pattern, "manifest": one.name, "sha256": one.sha256})
        )
        for split in asked.splits
        for one in found
    ]
    digest = hashlib.sha256("\n".join(one.sha256 for one in found).encode()).hexdigest()
    files = [file for one in found for file in one.files]
    size = sum(file.size for file in files)
    line = f"num_files:{len(files)},total_bytes:{size},sha256:{digest}"
    fingerprint = "\n".join(f"split:{split.name},{split.pattern},{line}" for split in asked.splits)
    spans = [one.span for one in found]
    return Resolved(splits, fingerprint, spans[-1], 0, span_numbers.listed(spans, False))


def _of_manifest(options: NifiOptions, pattern: dict[str, Any], scratch: Path, staging: Staging) -> Iterator[Fetched]:
    with folder.opened(options.landing) as place:
        manifest = landing.parsed(place, options.landing, pattern["manifest"])
        if manifest.sha256 != pattern["sha256"]:
            raise DataError(f"{options.landing}/{manifest.name}: it has changed since the run began: run again")
        wanted = tuple(file for file in manifest.files if fnmatch.fnmatchcase(file.name, pattern["names"]))
        copies = landing.fetch(place, options.landing, replace(manifest, files=wanted), scratch)
    for name, path in copies.items():
        yield staging.landed(path, f"{options.landing.rstrip('/')}/{name}")


def _pulled(options: SiteToSite, asked: Asked) -> Resolved:
    place = object_stores.join(asked.state, f"nifi-{_key(options)}")
    state = open_folder(place, KIND)
    with state.held(), folder.opened(place) as root, tempfile.TemporaryDirectory(prefix="penstock-") as scratch:
        kept = Spool(root, place)
        pull = Pull(options, state, kept, Path(scratch))
        spans = _wanted(pull.all()["spans"], asked.spans, options)
        snapshot = _snapshot(options, spans)
        uri = kept.add_snapshot(snapshot)
        pull.state["snapshots"] = [one for one in pull.state["snapshots"] if one != snapshot.digest] + [snapshot.digest]
        needed = pulling.tidy(pull.state, options.keep)
        pull.write()
        kept.remove_all_but(pull.state["snapshots"], needed)
    versions = [(span["number"], span["version"]) for span in spans]
    splits = [
        InputSplit(
            split.name,
            documents.json_text({"names": split.pattern, "snapshot": uri, "state": place, "spans": versions}),
        )
        for split in asked.splits
    ]
    size = sum(file.size for file in snapshot.files)
    line = f"num_files:{len(snapshot.files)},total_bytes:{size},sha256:{snapshot.digest}"
    fingerprint = "\n".join(f"split:{split.name},{split.pattern},{line}" for split in asked.splits)
    number, version = versions[-1]
    words = span_numbers.described(dict(versions), False, True)
    return Resolved(splits, fingerprint, number, version, words)


def _wanted(spans: Sequence[Span], wanted: SpanRange | None, options: SiteToSite) -> list[Span]:
    if not spans:
        raise DataError(f"{options.url}: no FlowFile has come to the output port {options.port!r} yet: start the flow")
    asked = wanted or SpanRange()
    if asked.count > options.keep:
        raise ConfigError(f"nifi.site_to_site.keep: expected as many spans as are read, {asked.count}, or more")
    last = spans[-1]["number"] if asked.last is None else asked.last
    first = max(last - asked.count + 1, asked.first or 0)
    found = [span for span in spans if first <= span["number"] <= last]
    if not found:
        numbers = span_numbers.listed([span["number"] for span in spans], False)
        raise DataError(f"{options.url}: no span between {first} and {last}: those that are kept are {numbers}")
    return found


def _snapshot(options: SiteToSite, spans: Sequence[Span]) -> Snapshot:
    files = tuple(Kept.of_json(dict(part)) for span in spans for part in span["parts"])
    return Snapshot(files, {"url": options.api, "port": options.port})


def _key(options: SiteToSite) -> str:
    return hashlib.sha256(f"{options.api} {options.port}".encode()).hexdigest()[:16]
