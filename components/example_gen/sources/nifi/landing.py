"""Files that a flow lands, and the manifests that it writes after them: only what a manifest lists is read.

A manifest is `<any name><number>.manifest.json`, right in the landing folder; its number is a span's. It holds

    {"files": [{"name": "trips-1.jsonl", "size": 5120, "sha256": "9f86d0…"}]}

with names relative to the folder. It is written last, so that nothing half-landed is ever read.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from penstock.components.example_gen.configs import SpanRange
from penstock.components.example_gen.sources.spooled.folder import SpoolFolder
from penstock.core.arguments import check_list, check_object, check_string, check_whole_number, parse_object
from penstock.core.errors import ConfigError, DataError

_NAME = re.compile(r"(?:.*\D)?(\d{1,15})\.manifest\.json")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Landed:
    """A file that a manifest lists."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """A manifest: its file's name, the span that it is, and a digest of its content."""

    name: str
    span: int
    sha256: str
    files: tuple[Landed, ...]


def manifests(folder: SpoolFolder, where: str, wanted: SpanRange | None) -> list[Manifest]:
    """Returns the manifests of the spans that are wanted, the oldest first; by default the newest one.

    A rolling range counts manifests, not numbers. Raises a DataError where there is none, and for two of one span, or
    with one file.
    """
    found: dict[int, str] = {}
    for name in folder.names(""):
        match = _NAME.fullmatch(name)
        if match and (other := found.setdefault(int(match[1]), name)) != name:
            raise DataError(f"{where}: expected manifests of different numbers, found {other} and {name}")
    if not found:
        raise DataError(f"{where}: no manifest has landed: expected <name><number>.manifest.json after its files")
    asked = wanted or SpanRange()
    spans = [span for span in sorted(found) if asked.first is None or span >= asked.first]
    spans = spans[-asked.count :] if asked.last is None else [span for span in spans if span <= asked.last]
    if not spans:
        raise DataError(f"{where}: no manifest in the range: the newest one is {found[max(found)]}")
    read = [parsed(folder, where, found[span]) for span in spans]
    owners: dict[str, str] = {}
    for manifest in read:
        for file in manifest.files:
            if owners.setdefault(file.name, manifest.name) != manifest.name:
                raise DataError(f"{where}: {file.name} is listed in {owners[file.name]} and in {manifest.name}")
    return read


def parsed(folder: SpoolFolder, where: str, name: str) -> Manifest:
    """Reads a manifest; a DataError for what is none."""
    place, content = f"{where.rstrip('/')}/{name}", folder.read(name)
    if content is None:
        raise DataError(f"{place}: it is not there any more")
    try:
        document = parse_object(place, content.decode(), ("files",), '{"files": [...]}')
        files = tuple(
            _landed(f"{place}: files[{index}]", item)
            for index, item in enumerate(check_list(f"{place}: files", document.get("files")))
        )
    except UnicodeDecodeError:
        raise DataError(f"{place}: expected JSON in UTF-8") from None
    except ConfigError as error:
        raise DataError(error.message) from None
    if not files:
        raise DataError(f"{place}: files: expected at least one, found none")
    match = _NAME.fullmatch(name)
    assert match
    return Manifest(name, int(match[1]), hashlib.sha256(content).hexdigest(), files)


def _landed(where: str, item: object) -> Landed:
    values = check_object(where, item, ("name", "size", "sha256"))
    name = check_string(f"{where}.name", values.get("name"), "a file's name")
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\\" in name:
        raise ConfigError(f"{where}.name: expected a name below the landing folder, found {name!r}")
    sha256 = str(values.get("sha256", "")).lower()
    if not _SHA256.fullmatch(sha256):
        raise ConfigError(f"{where}.sha256: expected 64 hexadecimal digits, found {sha256[:80]!r}")
    return Landed(name, check_whole_number(f"{where}.size", values.get("size"), of="bytes"), sha256)


def fetch(folder: SpoolFolder, where: str, manifest: Manifest, scratch: Path) -> dict[str, Path]:
    """Returns local copies of a manifest's files by their names; a DataError for one that is not as it says."""
    copies = {file.name: scratch / str(number) for number, file in enumerate(manifest.files)}
    for file in manifest.files:
        if not folder.has(file.name):
            raise DataError(f"{where}: {manifest.name} lists {file.name}, which is not there: land the files first")
    folder.fetch(copies)
    for file in manifest.files:
        with copies[file.name].open("rb") as copy:
            digest = hashlib.file_digest(copy, "sha256").hexdigest()
        size = copies[file.name].stat().st_size
        if (size, digest) != (file.size, file.sha256):
            what = f"{file.size:,} bytes, found {size:,}" if size != file.size else "the checksum there, found another"
            raise DataError(f"{where}/{file.name}: expected as {manifest.name} says {what}: land it again")
    return copies
