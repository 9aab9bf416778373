"""The format of data files by their names."""

import pytest

from penstock.core.files import formats


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["notes.txt", "Trips.CSV.GZ"], "csv"),
        (["b.parquet", "a.tsv"], "csv"),
        (["*.pq"], "parquet"),
        (["day-{SPAN}/*.tfrecords.gz"], "tfrecord"),
        (["csv", "data.gz"], None),
        ([], None),
    ],
)
def test_suffixes_name_the_format(names: list[str], expected: str | None) -> None:
    assert formats.of_names(iter(names)) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("New.TXT", "csv"),
        ("a.csv.gz", "csv"),
        ("rows.pq", "parquet"),
        ("rows.tfrecord", "tfrecord"),
        ("rows.NDJSON", "jsonl"),
        ("rows.json", "jsonl"),
        ("rows.gz", None),
        ("csv", None),
    ],
)
def test_files_of_rows_may_be_json_and_text_too(name: str, expected: str | None) -> None:
    assert formats.of_rows(name) == expected
