"""The analyzer cache: accumulators of files that were analyzed before, in TFT's layout and with TFT's coders.

<cache>/<data set key>/MANIFEST                  the number of each entry (pickled, as by TFT); written last
<cache>/<data set key>/<number>-00000-of-00001.gz   gzip TFRecord of an operation's encoded accumulators
<cache>/<data set key>/METADATA-00000-of-00001   size of the data set

A data set is one file. TFX names it by its path. Here its key is the digest of its content, so that the file is
recognized in the folder of another run. `tft_beam.analyzer_cache.ReadAnalysisCacheFromFS` reads these folders.

An earlier cache may be damaged, or made by somebody else. What cannot be read is computed anew, with a warning; no
pickle in it runs code.
"""

import hashlib
import logging
import pickle
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow_transform import analyzer_nodes
from tensorflow_transform.analyzer_nodes import CacheCoder, DecodeCache
from tensorflow_transform.beam import analyzer_cache
from tensorflow_transform.beam.analyzer_cache import DatasetCache, DatasetKey
from tensorflow_transform.nodes import ValueNode

from penstock.components.transform.analysis import pickles
from penstock.components.transform.reading import Reader
from penstock.core.examples import records
from penstock.core.files import atomic

logger = logging.getLogger(__name__)
# TFX's limit on the pairs of operation and file. Beyond it, the cache costs more than it saves.
_MAX_ENTRIES = 2000
_MOST_BYTES = 16 << 20  # of a manifest
_BY_TOKEN_OR_KEY = (analyzer_nodes._BaseKVCoder, analyzer_nodes._CombinerPerKeyAccumulatorCoder)


class AnalyzerCache:
    """Reads the cache of an earlier run (`previous`, None without one) and writes the cache of this run (`root`).

    Only entries that this run's graph uses are kept, so that the cache does not grow from run to run.
    """

    def __init__(self, previous: Path | None, root: Path, files: Sequence[Path], reader: Reader):
        self._previous, self._root = previous, root
        self.keys = _keys(files, reader.fingerprint())  # of the files, in their order
        self._sizes: dict[DatasetKey, int] = {}
        self._file_keys = dict(zip(files, self.keys, strict=True))
        self._manifests: dict[DatasetKey, dict[bytes, int]] = {}
        self._numbers: dict[DatasetKey, dict[bytes, int]] = {}
        self._decoded: dict[tuple[DatasetKey, bytes], list[Any]] = {}

    def worthwhile(self, operations: int) -> bool:
        """Whether the cache is worth its cost for this number of cacheable operations; if not, logs a warning."""
        entries = operations * len(self.keys)
        if entries > _MAX_ENTRIES:
            logger.warning("analyzer cache: not used, because %d entries are more than %d", entries, _MAX_ENTRIES)
        return entries <= _MAX_ENTRIES

    def available(self) -> dict[DatasetKey, DatasetCache]:
        """Returns the earlier run's entries for these files, as TFT's graph builder expects them."""
        if self._previous is None:
            return {}
        for key in [key for key in self.keys if key not in self._manifests]:
            path = self._previous / key.key / analyzer_cache._ManifestFile._MANIFEST_FILE_NAME
            try:
                self._manifests[key] = _manifest(path)
            except FileNotFoundError:
                self._manifests[key] = {}
            except (OSError, ValueError) as error:
                logger.warning("analyzer cache: %s is damaged and passed over: %s", path, error)
                self._manifests[key] = {}
        return {key: DatasetCache(manifest, None) for key, manifest in self._manifests.items() if manifest}

    def load(self, decoded: Sequence[DecodeCache]) -> bool:
        """Reads these entries of the earlier cache; returns whether all can be read.

        Those that cannot are `available` no longer.
        """
        complete = True
        for operation in decoded:
            key, name = operation.dataset_key, operation.cache_key
            try:
                self._decoded[key, name] = self._decode(operation)
            except Exception as error:  # a coder may raise anything of an entry that it has not written
                logger.warning("analyzer cache: an entry of %s is damaged and passed over: %s", key.key, error)
                del self._manifests[key][name]
                complete = False
        return complete

    def plan(
        self, encoded: Mapping[DatasetKey, Mapping[bytes, ValueNode]], decoded: Sequence[DecodeCache]
    ) -> dict[str, tuple[Path, CacheCoder]]:
        """Numbers the entries: new ones (`encoded`, by their cache keys) and kept ones (`decoded`).

        Returns the file and the coder for the accumulator of each new entry, by the label of its operation.
        """
        names: dict[DatasetKey, set[bytes]] = {key: set(entries) for key, entries in encoded.items()}
        for operation in decoded:
            names.setdefault(operation.dataset_key, set()).add(operation.cache_key)
        self._numbers = {key: {name: i for i, name in enumerate(sorted(entries))} for key, entries in names.items()}
        files = {}
        for key, entries in encoded.items():
            for name, node in entries.items():
                encode = node.parent_operation
                label = encode.inputs[0].parent_operation.operation_def.label
                files[label] = (self._entry(key, self._numbers[key][name]), encode.operation_def.coder)
        total = sum(map(len, self._numbers.values()))
        logger.info("analyzer cache: %d of %d accumulators are taken from an earlier run", len(decoded), total)
        return files

    def decode(self, operation: DecodeCache) -> list[Any]:
        """Returns the accumulator of an entry that was loaded, in a list."""
        return self._decoded[operation.dataset_key, operation.cache_key]

    def _decode(self, operation: DecodeCache) -> list[Any]:
        """Reads the accumulator of an entry; that of tokens or keys is itself a list of pairs."""
        paths = self._cached(operation)
        if len(paths) != 1:
            raise ValueError(f"expected one file, found {len(paths)}")
        with pickles.in_place_of_pickle():
            items = [operation.coder.decode_cache(record) for batch in records.read(paths[0]) for record in batch]
        return [items] if isinstance(operation.coder, _BY_TOKEN_OR_KEY) else items

    def record_sizes(self, sizes: Mapping[Path, int]) -> None:
        """Takes the sizes of files in bytes, for the metadata of their data sets."""
        self._sizes.update({self._file_keys[path]: size for path, size in sizes.items()})

    def finish(self, decoded: Sequence[DecodeCache]) -> None:
        """Copies the entries that were used from the earlier cache, then writes the metadata and manifests."""
        for operation in decoded:
            number = self._numbers[operation.dataset_key][operation.cache_key]
            (source,) = self._cached(operation)
            with atomic.replacing(self._entry(operation.dataset_key, number)) as temporary:
                shutil.copyfile(source, temporary)
        for key, numbers in self._numbers.items():
            folder = self._root / key.key
            metadata = folder / f"{analyzer_cache._METADATA_FILE_NAME}-00000-of-00001"
            size = self._sizes.get(key)
            if size is None and self._previous is not None:
                size = _size(self._previous / key.key / metadata.name)
            if size is not None:
                content = analyzer_cache.DatasetCacheMetadata(size).encode()
                with atomic.replacing(metadata) as temporary, tf.io.TFRecordWriter(str(temporary)) as writer:
                    writer.write(content)
            atomic.write_bytes(folder / analyzer_cache._ManifestFile._MANIFEST_FILE_NAME, pickle.dumps(numbers, 0))

    def _entry(self, key: DatasetKey, number: int) -> Path:
        return self._root / str(key.key) / f"{number}-00000-of-00001.gz"

    def _cached(self, operation: DecodeCache) -> list[Path]:
        assert self._previous is not None
        number = self._manifests[operation.dataset_key][operation.cache_key]
        return sorted((self._previous / operation.dataset_key.key).glob(f"{number}-*-of-*"))


def _manifest(path: Path) -> dict[bytes, int]:
    """Reads a manifest. Raises an OSError without the file, a ValueError if its content does not fit."""
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(f"expected at most {_MOST_BYTES:,} bytes")
    manifest = pickles.loads(path.read_bytes())
    fits = isinstance(manifest, dict) and all(
        isinstance(name, bytes) and type(number) is int and number >= 0 for name, number in manifest.items()
    )
    if not fits:
        raise ValueError("expected the number of each entry")
    return dict(manifest)


def _size(metadata: Path) -> int | None:
    """Returns the size of a data set in an earlier cache; None if it is not known."""
    try:
        content = next(tf.data.TFRecordDataset(str(metadata)).as_numpy_iterator())
        size = pickles.loads(content)["dataset_size"]
    except (tf.errors.OpError, StopIteration, ValueError, LookupError, TypeError):
        return None
    return size if type(size) is int else None


def _keys(files: Sequence[Path], fingerprint: bytes) -> list[DatasetKey]:
    """Returns a key for each file: the digest of its content, with a number where several files are equal."""
    keys, seen = [], Counter[str]()
    for path in files:
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").digest()
        name = hashlib.sha256(content + fingerprint).hexdigest()[:32]
        seen[name] += 1
        keys.append(DatasetKey(name if seen[name] == 1 else f"{name}-{seen[name]}"))
    return keys
