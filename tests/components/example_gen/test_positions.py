"""Splits by the row's place: equal rows are in several splits, and rows stay where they are when data is added."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.components.example_gen.sources import pieces
from penstock.core.errors import ConfigError, DataError
from penstock.core.examples import records

Folder = Callable[[dict[str, str | bytes]], Path]
Generate = Callable[..., Any]
SPLITS = [{"name": "train", "hash_buckets": 2}, {"name": "eval", "hash_buckets": 1}]


def output(**method: Any) -> str:
    return json.dumps({"split_config": {"splits": method.pop("splits", SPLITS), **method}})


def csv(rows: Iterable[int], classes: int = 2) -> str:
    return "x,y\n" + "".join(f"{row},c{row % classes}\n" for row in rows)


def divided(generated: Any) -> dict[str, set[int]]:
    """The values of x in each split; every row has another one."""
    return {split: {row["x"][0] for row in generated.rows(split)} for split in generated.examples.splits()}


def stay(before: Any, after: Any) -> bool:
    """Whether every row of before is in the same split after."""
    now = divided(after)
    return all(rows <= now[split] for split, rows in divided(before).items())


@pytest.fixture
def many_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cuts a file of a few thousand rows into several shards."""
    monkeypatch.setattr(pieces, "_SMALLEST", 1 << 10)


@pytest.mark.usefixtures("many_pieces")
@pytest.mark.parametrize("method", [{"by": "row"}, {"by": "random"}, {"by": "random", "seed": 7, "stratify": True}])
def test_rows_stay_when_others_are_appended(generate: Generate, folder: Folder, method: dict[str, Any]) -> None:
    config = output(**method)
    before = generate(folder({"a.csv": csv(range(1000))}), output_config=config, label="y")
    after = generate(folder({"a.csv": csv(range(1700))}), output_config=config, label="y")
    assert len(before.examples.files("train")) > 1
    assert stay(before, after)
    shares = {split: len(rows) for split, rows in divided(after).items()}
    assert shares == pytest.approx({"train": 1700 * 2 / 3, "eval": 1700 / 3}, rel=0.08)
    again = generate(folder({"a.csv": csv(range(1700))}), output_config=config, label="y", engine="local:2")
    assert again.content() == after.content()


@pytest.mark.usefixtures("many_pieces")
def test_rows_stay_by_row_whatever_becomes_of_the_data(generate: Generate, folder: Folder) -> None:
    """New files before and behind, values and types that change, another folder: the place in the file decides."""
    config = output(by="row")
    before = generate(folder({"day/b.csv": csv(range(900))}), '{"splits": [{"name": "all", "pattern": "*/*"}]}', "",
        output_config=config)  # fmt: skip
    changed = csv(range(900)).replace("\n899,", "\n899.5,")
    files = {"day/a.csv": csv(range(2000, 2300)), "day/b.csv": changed, "day/c.csv": csv(range(3000, 3200))}
    after = generate(folder(files), '{"splits": [{"name": "all", "pattern": "*/*"}]}', "", output_config=config)
    now = divided(after)
    assert all({row for row in rows if row < 899} <= now[split] for split, rows in divided(before).items())
    assert before.metadata["column_types"] == '{"x": "int64", "y": "bytes"}'
    assert after.metadata["column_types"] == '{"x": "float", "y": "bytes"}'


@pytest.mark.usefixtures("many_pieces")
def test_equal_rows_are_divided(generate: Generate, folder: Folder) -> None:
    root = folder({"a.csv": "x,y\n" + "1,a\n2,b\n" * 600})
    for method in ({"by": "row"}, {"by": "random"}):
        generated = generate(root, output_config=output(**method), label="y")
        for split, share in (("train", 2 / 3), ("eval", 1 / 3)):
            counts = Counter(row["x"][0] for row in generated.rows(split))
            assert counts == pytest.approx({1: 600 * share, 2: 600 * share}, rel=0.12)


def test_chance_has_exact_shares_and_a_seed(generate: Generate, folder: Folder) -> None:
    root = folder({"a.csv": csv(range(300))})
    by_seed = [divided(generate(root, output_config=output(by="random", seed=seed))) for seed in (0, 0, 1)]
    assert by_seed[0] == by_seed[1] != by_seed[2]
    assert {split: len(rows) for split, rows in by_seed[2].items()} == {"train": 200, "eval": 100}
    tenths = [{"name": "train", "hash_buckets": 80}, {"name": "test", "hash_buckets": 10}, {"name": "eval",
        "hash_buckets": 10}]  # fmt: skip
    shares = divided(generate(root, output_config=output(by="random", splits=tenths)))
    assert {split: len(rows) for split, rows in shares.items()} == {"train": 240, "test": 30, "eval": 30}


@pytest.mark.usefixtures("many_pieces")
def test_stratified_splits_have_their_share_of_each_class(generate: Generate, folder: Folder) -> None:
    sizes = {"a": 600, "b": 60, "rare": 3, "": 9}
    rows = [label for label, size in sizes.items() for _ in range(size)]
    lines = [f"{row},{label}" for row, label in enumerate(sorted(rows, key=lambda label: hash((label, len(label)))))]
    root = folder({"a.csv": "\n".join(["x,y", *lines, ""])})
    generated = generate(root, output_config=output(by="random", stratify=True), label="y")
    for split, share in (("train", 2), ("eval", 1)):
        counts = Counter(row["y"][0].decode() if row["y"] else "" for row in generated.rows(split))
        assert counts == {label: size * share // 3 for label, size in sizes.items()}


def test_parquet_and_records_have_places_too(generate: Generate, folder: Folder, tmp_path: Path) -> None:
    parquet = folder({})
    table = pa.table({"x": range(900), "y": [row % 2 for row in range(900)]})
    pq.write_table(table, parquet / "a", row_group_size=250)
    lists = [pa.array([[value] for value in column.to_pylist()]) for column in table.columns]
    examples = records.encode(pa.RecordBatch.from_arrays(lists, table.column_names))
    source = folder({})
    records.write(source / "a", examples)
    rows = folder({"a": "x,y\n" + "".join(f"{row},{row % 2}\n" for row in range(900))})
    for method in ({"by": "row"}, {"by": "random", "stratify": True}):
        config = output(**method)
        expected = divided(generate(rows, output_config=config, label="y"))
        assert divided(generate(parquet, source="parquet", output_config=config, label="y")) == expected
        assert divided(generate(source, source="tfrecord", output_config=config, label="y")) == expected


@pytest.mark.parametrize(
    ("method", "label", "sentence"),
    [
        ({"by": "hash"}, "", "split_config.by: expected auto, content, row or random, received 'hash'"),
        ({"by": "row", "partition_feature_name": "x"}, "", "expected either partition_feature_name or by: row"),
        ({"by": "row", "seed": 1}, "", "split_config.seed: expected by: random with it, received row"),
        ({"stratify": True}, "y", "split_config.stratify: expected by: random with it, received content"),
        ({"by": "random", "stratify": True}, "", "split_config.stratify: expected a label, by whose classes"),
        ({"by": "random", "stratify": "y"}, "y", "split_config.stratify: expected true or false, received 'y'"),
        ({"by": "random", "seed": "one"}, "", "split_config.seed: expected a whole number"),
    ],
)
def test_mistakes(generate: Generate, folder: Folder, method: dict[str, Any], label: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        generate(folder({"a.csv": csv(range(30))}), output_config=output(**method), label=label)


def test_numbers_are_no_classes_to_stratify_by(generate: Generate, folder: Folder) -> None:
    root = folder({"a.csv": "x,y\n" + "".join(f"{row},{row}.5\n" for row in range(1100))})
    with pytest.raises(
        DataError, match=r"'y' has more than 1,000 values: expected classes; splits: \{by: random\} without"
    ):
        generate(root, output_config=output(by="random", stratify=True), label="y")
