"""What the training data looks like: bins, and the counts of its rows over them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from penstock.components.monitoring.measures import bins as binning
from penstock.components.monitoring.measures.bins import FeatureBins, Kind
from penstock.components.monitoring.measures.combinations import Combinations
from penstock.components.monitoring.measures.counts import FeatureCounts, WindowCounts, row_bins
from penstock.components.monitoring.measures.vocabulary import Vocabulary

MOST_PAIRED = 64  # features, between which dependence is looked at


@dataclass(frozen=True)
class Reference:
    """The training data as counts, and which combinations of two features' values it hardly has."""

    counts: WindowCounts
    combinations: Combinations = field(default_factory=Combinations)

    @property
    def bins(self) -> Mapping[str, FeatureBins]:
        return self.counts.bins

    @classmethod
    def of(
        cls,
        batches: Sequence[pa.RecordBatch],
        kinds: Mapping[str, Kind] | None = None,
        paired: Iterable[str] | None = None,
    ) -> "Reference":
        """Counts rows over bins that are made from them.

        kinds: What features are, where it is not plain from their values, such as whole numbers that are names.
        paired: The features between which dependence is looked at, by default the first MOST_PAIRED that are no text.
        """
        counts = cls.empty(pa.Table.from_batches(batches), kinds, paired)
        for batch in batches:
            counts.add(batch)
        return cls.counted(counts, batches)

    @classmethod
    def counted(cls, counts: WindowCounts, sample: Sequence[pa.RecordBatch]) -> "Reference":
        """Returns the training data of these counts; a sample of its rows says which combinations are rare."""
        paired = {name: counts.bins[name] for name in counts.paired}
        if not paired:
            return cls(counts)
        return cls(counts, Combinations.of(paired, np.concatenate([row_bins(paired, batch) for batch in sample])))

    @staticmethod
    def empty(
        sample: pa.Table, kinds: Mapping[str, Kind] | None = None, paired: Iterable[str] | None = None
    ) -> WindowCounts:
        """Makes bins from a sample of training rows, over which shards of all of them can be counted."""
        made = binning.feature_bins(sample, kinds or {})
        if paired is None:
            paired = [name for name, one in made.items() if one.kind != "text"][:MOST_PAIRED]
        return WindowCounts.empty(made, [name for name in paired if name in made])

    def window(self) -> WindowCounts:
        """Returns counts over the reference's bins, of no rows yet."""
        return WindowCounts.empty(self.bins, self.counts.paired, self.combinations)

    def document(self) -> dict[str, Any]:
        """Returns it as JSON holds it. Bytes that are no UTF-8 are escaped as Python does (surrogateescape)."""
        features = [_document(one, self.counts.features[name]) for name, one in self.bins.items()]
        joint = {"features": list(self.counts.paired), "counts": self.counts.joint.tolist()}
        rare = self.combinations.document()
        return {"rows": self.counts.rows, "features": features, "joint": joint, "combinations": rare}

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> "Reference":
        """Reads what `document` returned."""
        made, features = {}, {}
        for one in document["features"]:
            name = one["name"]
            values = tuple(value.encode("utf-8", "surrogateescape") for value in one["values"])
            vocabulary = Vocabulary.of_document(one["vocabulary"]) if "vocabulary" in one else None
            edges, groups = tuple(one["edges"]), tuple(one["groups"])
            made[name] = FeatureBins(name, one["kind"], edges, values, one["unseen"], groups, vocabulary)
            counts, lengths, words = (np.asarray(one.get(key, []), np.int64) for key in ("counts", "lengths", "words"))
            features[name] = FeatureCounts(counts, lengths, words)
        joint = document["joint"]
        size = len(joint["features"]) * binning.GROUPS
        matrix = np.asarray(joint["counts"], np.int64).reshape(size, size)
        counts = WindowCounts(made, tuple(joint["features"]), features, matrix, document["rows"])
        # Baselines of earlier versions have none.
        return cls(counts, Combinations.of_document(document.get("combinations", {"places": {}, "pairs": []})))


def _document(bins: FeatureBins, counts: FeatureCounts) -> dict[str, Any]:
    document = {
        "name": bins.name,
        "kind": bins.kind,
        "edges": list(bins.edges),
        "values": [value.decode("utf-8", "surrogateescape") for value in bins.values],
        "unseen": bins.unseen,
        "groups": list(bins.groups),
        "counts": counts.values.tolist(),
        "lengths": counts.lengths.tolist(),
    }
    if bins.vocabulary:
        document |= {"vocabulary": bins.vocabulary.document(), "words": counts.words.tolist()}
    return document
