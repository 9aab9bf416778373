"""The words of text: how many rows have each frequent one, and how many have one that training did not have.

Rows are counted, and not words: those of one text come together, and rows are independent of each other.
"""

import base64
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from penstock.components.monitoring.measures.distances import Indices

_SLOTS = 1 << 18  # of hashes: of 50,000 known words, one new word in six is taken for a known one
_MOST = 500  # frequent words
_FREQUENT = 0.01  # of the texts
_FEWEST = 20  # texts, of a frequent word
_NO_WORD = r"[^\p{L}\p{N}]+"


@dataclass(frozen=True)
class Vocabulary:
    """Words of training's texts, in lower case.

    frequent: Those that many texts have.
    known: A bit for each hash, 1 if a word of training has it.
    unseen: The share of texts with a word of training that no other text has. So many of a like sample have a new one.
    """

    frequent: tuple[str, ...]
    known: bytes
    unseen: float

    @property
    def size(self) -> int:
        """How many counts there are: of each frequent word, and of rows with a new one."""
        return len(self.frequent) + 1

    @classmethod
    def of(cls, values: pa.Array) -> "Vocabulary":
        """Learns the words of texts, which are bytes."""
        words, texts_of = _words(values)
        rows, different = len(values), words.dictionary
        codes = _once(texts_of, words.indices.to_numpy(), len(different))[1]
        counts = np.bincount(codes, minlength=len(different))
        order = np.argsort(-counts, kind="stable")[:_MOST]
        chosen = order[counts[order] >= max(_FEWEST, _FREQUENT * rows)]
        hashes = _hashes(different)
        bits: npt.NDArray[np.bool_] = np.zeros(_SLOTS, bool)
        bits[hashes] = True
        by_text, hashed = _once(texts_of, hashes[words.indices.to_numpy()], _SLOTS)
        alone = np.bincount(hashed, minlength=_SLOTS)[hashed] == 1
        unseen = len(np.unique(by_text[alone])) / max(1, rows)
        return cls(tuple(different.take(pa.array(chosen)).to_pylist()), np.packbits(bits).tobytes(), unseen)

    def count(self, values: pa.Array, rows: Indices) -> Indices:
        """Returns how many rows have each frequent word, and how many a new one; `rows` are those of the values."""
        words, texts_of = _words(values)
        places = self._places(words.dictionary)[words.indices.to_numpy()]
        kept = places >= 0
        return np.bincount(_once(rows[texts_of[kept]], places[kept], self.size)[1], minlength=self.size)

    def is_new(self, words: pa.Array) -> npt.NDArray[np.bool_]:
        """Returns which words training did not have."""
        bits = np.unpackbits(np.frombuffer(self.known, np.uint8))
        return bits[_hashes(words)] == 0

    def _places(self, words: pa.Array) -> Indices:
        places_of = pc.fill_null(pc.index_in(words, value_set=pa.array(self.frequent, pa.large_string())), -1)
        places: Indices = places_of.to_numpy(zero_copy_only=False).astype(np.int64)
        places[self.is_new(words)] = len(self.frequent)
        return places

    def document(self) -> dict[str, Any]:
        """Returns it as JSON holds it."""
        known = base64.b64encode(zlib.compress(self.known)).decode()
        return {"frequent": list(self.frequent), "known": known, "unseen": self.unseen}

    @classmethod
    def of_document(cls, document: dict[str, Any]) -> "Vocabulary":
        """Reads what `document` returned."""
        known = zlib.decompress(base64.b64decode(document["known"]))
        return cls(tuple(document["frequent"]), known, document["unseen"])


def _words(values: pa.Array) -> tuple[pa.DictionaryArray, Indices]:
    """Returns the words of texts, and of which text each is."""
    lower = pc.utf8_lower(_decoded(values))
    split = pc.split_pattern_regex(lower, _NO_WORD)
    words = pc.list_flatten(split)
    texts_of = pc.list_parent_indices(split).to_numpy(zero_copy_only=False)
    kept = pc.not_equal(words, "")
    return words.filter(kept).dictionary_encode(), np.asarray(texts_of, np.int64)[np.asarray(kept)]


def _decoded(values: pa.Array) -> pa.Array:
    try:
        return values.cast(pa.large_string())
    except pa.ArrowInvalid:  # bytes that are no UTF-8
        texts = [None if value is None else value.decode(errors="replace") for value in values.to_pylist()]
        return pa.array(texts, pa.large_string())


def _hashes(words: pa.Array) -> Indices:
    return np.array([zlib.crc32(word.encode()) % _SLOTS for word in words.to_pylist()], np.int64)


def _once(rows: Indices, codes: npt.NDArray[np.integer[Any]], size: int) -> tuple[Indices, Indices]:
    """Returns pairs of row and code, each once."""
    pairs = np.unique(rows * size + codes)
    return pairs // size, pairs % size
