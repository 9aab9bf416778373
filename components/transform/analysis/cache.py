"""The analyzer cache: accumulators of files that were analyzed before, in TFT's layout and with TFT's coders.

<cache>/<data set key>/MANIFEST                  which entry has which number (pickle, as TFT writes it); written last
<cache>/<data set key>/<number>-00000-of-00001.gz   gzip TFRecord of an operation's encoded accumulators
<cache>/<data set key>/METADATA-00000-of-00001   size of the data set

A data set is one file. TFX names it by its path; here the key is the digest of its content, so that a file is known
again in whatever run's folder it lies. `tft_beam.analyzer_cache.ReadAnalysisCacheFromFS` reads these folders.
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
from tensorflow_transform.beam import analyzer_cache

from penstock.components.transform.reading import Reader
from penstock.core.examples import records
from penstock.core.files import atomic

logger = logging.getLogger(__name__)
# TFX's bound: beyond it, an entry for each pair of operation and file costs more than it saves.
_MAX_ENTRIES = 2000
_BY_TOKEN_OR_KEY = (analyzer_nodes._BaseKVCoder, analyzer_nodes._CombinerPerKeyAccumulatorCoder)


class AnalyzerCache:
    """Reads what an earlier run wrote (`previous`, None if there is none) and writes the cache of this run (`root`).

    Only entries that this run's graph uses are taken over: a cache does not grow from run to run.
    """

    def __init__(self, previous: Path | None, root: Path, files: Sequence[Path], reader: Reader):
        self._previous, self._root = previous, root
        self.keys_of_files = _keys(files, reader.fingerprint())
        self._sizes: dict[Any, int] = {}
        self._file_keys = dict(zip(files, self.keys_of_files, strict=True))
        self._manifests: dict[Any, dict[bytes, int]] = {}
        self._numbers: dict[Any, dict[bytes, int]] = {}

    @property
    def keys(self) -> list[analyzer_cache.DatasetKey]:
        return self.keys_of_files

    def worthwhile(self, operations: int) -> bool:
        """Whether so many cacheable operations over all files stay within the bound; says so in the log if not."""
        entries = operations * len(self.keys_of_files)
        if entries > _MAX_ENTRIES:
            logger.warning("analyzer cache: not used, for %d entries are more than %d", entries, _MAX_ENTRIES)
        return entries <= _MAX_ENTRIES

    def available(self) -> dict[analyzer_cache.DatasetKey, analyzer_cache.DatasetCache]:
        """Returns what the earlier run left of these data sets, in the form that TFT's graph builder takes."""
        if self._previous is None:
            return {}
        for key in self.keys_of_files:
            manifest = analyzer_cache._ManifestFile(str(self._previous / key.key)).read()
            if manifest:
                self._manifests[key] = dict(manifest)
        return {key: analyzer_cache.DatasetCache(manifest, None) for key, manifest in self._manifests.items()}

    def plan(self, encoded: Mapping[Any, Mapping[bytes, Any]], decoded: Sequence[Any]) -> dict[str, tuple[Path, Any]]:
        """Numbers the entries, kept and new.

        Returns where the accumulator of each operation of the graph, named by its label, is to be written, and its
        coder.
        """
        names: dict[Any, set[bytes]] = {key: set(entries) for key, entries in encoded.items()}
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

    def decode(self, operation: analyzer_nodes.DecodeCache) -> list[Any]:
        """Returns the accumulators of an entry: one, and for tokens and keys a list of pairs as that one."""
        items = [
            operation.coder.decode_cache(record)
            for path in self._cached(operation)
            for batch in records.read(path)
            for record in batch
        ]
        return [items] if isinstance(operation.coder, _BY_TOKEN_OR_KEY) else items

    def record_sizes(self, sizes: Mapping[Path, int]) -> None:
        self._sizes.update({self._file_keys[path]: size for path, size in sizes.items()})

    def finish(self, decoded: Sequence[Any]) -> None:
        """Takes over the entries that were used, then writes each data set's metadata and its manifest."""
        for operation in decoded:
            number = self._numbers[operation.dataset_key][operation.cache_key]
            (source,) = self._cached(operation)
            with atomic.replacing(self._entry(operation.dataset_key, number)) as temporary:
                shutil.copyfile(source, temporary)
        for key, numbers in self._numbers.items():
            folder = self._root / key.key
            metadata = folder / f"{analyzer_cache._METADATA_FILE_NAME}-00000-of-00001"
            earlier = self._previous / key.key / metadata.name if self._previous is not None else None
            if key in self._sizes:
                content = analyzer_cache.DatasetCacheMetadata(self._sizes[key]).encode()
                with atomic.replacing(metadata) as temporary, tf.io.TFRecordWriter(str(temporary)) as writer:
                    writer.write(content)
            elif earlier is not None and earlier.is_file():
                atomic.write_bytes(metadata, earlier.read_bytes())
            atomic.write_bytes(folder / analyzer_cache._ManifestFile._MANIFEST_FILE_NAME, pickle.dumps(numbers, 0))

    def _entry(self, key: analyzer_cache.DatasetKey, number: int) -> Path:
        return self._root / str(key.key) / f"{number}-00000-of-00001.gz"

    def _cached(self, operation: analyzer_nodes.DecodeCache) -> list[Path]:
        assert self._previous is not None
        number = self._manifests[operation.dataset_key][operation.cache_key]
        return sorted((self._previous / operation.dataset_key.key).glob(f"{number}-*-of-*"))


def _keys(files: Sequence[Path], fingerprint: bytes) -> list[analyzer_cache.DatasetKey]:
    """Returns a key for each file: the digest of its content, numbered where several files are the same."""
    keys, seen = [], Counter[str]()
    for path in files:
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").digest()
        name = hashlib.sha256(content + fingerprint).hexdigest()[:32]
        seen[name] += 1
        keys.append(analyzer_cache.DatasetKey(name if seen[name] == 1 else f"{name}-{seen[name]}"))
    return keys
