"""The words of texts, counted by rows, and windows of texts against training: words as often as natural ones (Zipf)."""

import json

import numpy as np
import pyarrow as pa
import pytest

from penstock.components.monitoring.measures.comparison import Shift, compare
from penstock.components.monitoring.measures.reference import Reference
from penstock.components.monitoring.measures.vocabulary import Vocabulary

ROWS = 1000


def column(texts: list[list[str] | None]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array(texts, pa.large_list(pa.large_string()))], ["review"])


def written(rows: int, seed: int, replaced: tuple[str, str] = ("", "")) -> pa.RecordBatch:
    """Texts of ten words each: the first of 20,000 in every other text, and many in one text alone."""
    generator = np.random.default_rng(seed)
    words = np.minimum(generator.zipf(1.6, (rows, 10)), 20_000)
    names = {replaced[0]: replaced[1]}
    return column([[" ".join(names.get(f"w{word}", f"w{word}") for word in text)] for text in words.tolist()])


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference.of([written(6000, 1)])


def shift(reference: Reference, window: pa.RecordBatch) -> Shift:
    counts = reference.window()
    counts.add(window)
    return compare(reference, counts)[0]


def alerting(shift: Shift) -> set[str]:
    return {one.measure for one in shift.measures if one.alerts}


def test_words_are_counted_once_a_row_in_any_writing() -> None:
    known = Vocabulary.of(pa.array([b"Good, good food", b"good\nservice"] * 20, pa.large_binary()))
    assert set(known.frequent) == {"good", "food", "service"}
    assert known.unseen == 0
    texts = pa.array([b"GOOD good!", b"bad food", b"worse", b"", b"\xff bad"], pa.large_binary())
    counts = dict(zip([*known.frequent, "new"], known.count(texts, np.array([0, 1, 1, 2, 3])).tolist(), strict=True))
    assert counts == {"good": 1, "food": 1, "service": 0, "new": 2}


def test_as_many_texts_as_are_expected_have_a_new_word(reference: Reference) -> None:
    vocabulary = reference.bins["review"].vocabulary
    assert vocabulary is not None
    assert 0.1 < vocabulary.unseen < 0.9
    values = [one.value for one in shift(reference, written(4000, 2)).measures if one.measure == "new_words"]
    assert values == pytest.approx([vocabulary.unseen], abs=0.04)


def test_texts_as_before_are_quiet_and_others_alert_by_their_words(reference: Reference) -> None:
    quiet = [shift(reference, written(ROWS, seed)) for seed in range(10, 30)]
    assert sum(one.alerts for one in quiet) <= 3
    assert "words" in alerting(shift(reference, written(ROWS, 3, ("w2", "w3"))))
    assert alerting(shift(reference, written(ROWS, 3, ("w1", "xx")))) == {"words", "new_words"}


def test_rows_without_text_have_no_words(reference: Reference) -> None:
    counts = reference.window()
    counts.add(column([None, [], [""]]))
    counts.add(pa.RecordBatch.from_arrays([pa.array([[None, b"\xff"]], pa.large_list(pa.large_binary()))], ["review"]))
    counts.add(pa.RecordBatch.from_arrays([pa.array([1.0])], ["other"]))
    assert counts.features["review"].words.sum() == 0
    assert counts.features["review"].missing == 3
    assert counts.rows == 5


def test_shards_of_texts_add_up_and_are_read_as_written(reference: Reference) -> None:
    rows = written(300, 5)
    read = Reference.of_document(json.loads(json.dumps(reference.document())))
    whole, first, second = read.window(), read.window(), read.window()
    whole.add(rows)
    first.add(rows.slice(0, 100))
    second.add(rows.slice(100))
    first.merge(second)
    np.testing.assert_array_equal(first.features["review"].words, whole.features["review"].words)
    assert compare(read, first) == compare(reference, whole)
