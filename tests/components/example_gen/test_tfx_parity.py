"""The same records in the same splits as TFX's CsvExampleGen, which runs on the same files in a process of its own."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from penstock.core import artifacts
from penstock.core.examples import records

pytestmark = pytest.mark.usefixtures("forks")

ODD = (
    "id,text,number,mixed,hex,wide,empty,name,name_2\n"
    + "".join(
        f'{row},"{"x" * row}, ""q""\n{row}",{row * 7 - 300},{row / 8},{row},{row * 10**16},,é{row},{-row}\n'
        for row in range(200)
    )
    + "1_000,NA, 5,1e39,0x1F,9999999999999999999999,,,\n"
    + "007,,-0,inf,2,3,,null,+5\n"
    + "\n"
    + "9223372036854775807,nan,,,,,,,\n"
)


def canonical(root: Path) -> dict[str, list[bytes]]:
    examples = artifacts.Examples(root)
    return {
        split: sorted(
            tf.train.Example.FromString(record).SerializeToString(deterministic=True)
            for path in examples.files(split)
            for batch in records.read(path)
            for record in batch
        )
        for split in examples.splits()
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "output_config"),
    [
        ("taxi", ""),
        ("odd", ""),
        (
            "taxi",
            '{"split_config": {"splits": [{"name": "train", "hash_buckets": 60}, {"name": "test", "hash_buckets": 10},'
            ' {"name": "eval", "hash_buckets": 30}], "partition_feature_name": "company"}}',
        ),
    ],
)
def test_tfx_writes_the_same_records_in_the_same_splits(
    generate: Callable[..., Any], taxi_head: Callable[[int], Path], tmp_path: Path, data: str, output_config: str
) -> None:
    base = taxi_head(3000)
    if data == "odd":
        (base / "data.csv").write_text(ODD)
    oracle = tmp_path / "tfx"
    script = Path(__file__).with_name("tfx_csv_example_gen.py")
    subprocess.run([sys.executable, script, base, oracle, output_config], check=True, capture_output=True)
    ours = generate(base, output_config=output_config, engine="local:2")
    assert canonical(ours.examples.root) == canonical(oracle)
    assert sum(map(len, canonical(oracle).values())) == (3000 if data == "taxi" else 203)


@pytest.mark.slow
def test_tfdv_reads_the_files(generate: Callable[..., Any], taxi_head: Callable[[int], Path]) -> None:
    import tensorflow_data_validation as tfdv

    root = generate(taxi_head(2000)).examples.root
    statistics = tfdv.generate_statistics_from_tfrecord(str(root / "Split-*" / "*.gz"))
    (dataset,) = statistics.datasets
    assert dataset.num_examples == 2000
    types = {feature.path.step[0]: feature.type for feature in dataset.features}
    assert types["company"] == 2  # STRING
    assert types["fare"] == 1  # FLOAT
    assert types["trip_start_hour"] == 0  # INT
