"""Batches of the penguins: read into memory or streamed, and a function of (seed, epoch, step)."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from penstock.core.errors import DataError, SchemaError
from penstock.core.examples import records
from penstock.trainer.data import input_data, memory
from penstock.trainer.data.input_data import Data, InMemory, Shard, Streamed

KEPT, STREAMED = 0.5, 0.0


def read(penguins: Any, share: float = KEPT, **arguments: Any) -> Data:
    columns = {"inputs": ["row", "year"], "label": "is_gentoo", **arguments}
    return input_data.read([penguins.pattern], penguins.schema, memory_share=share, **columns)


def rows(batches: tf.data.Dataset) -> list[list[int]]:
    return [np.ravel(inputs["row"]).tolist() for inputs, *_ in batches]


@pytest.fixture(params=["in memory", "by batches", "streamed"])
def data(penguins: Any, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Data:
    if request.param == "by batches":  # as rows of more than 64 MiB are
        monkeypatch.setattr(input_data, "_GATHERED_AT_ONCE", 0)
    return read(penguins, STREAMED if request.param == "streamed" else KEPT)


def test_memory_decides(penguins: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert isinstance(read(penguins), InMemory)
    assert "344 rows in memory, 0.0 MB of the " in caplog.text
    assert isinstance(read(penguins, share=1000 / memory.free()), Streamed)
    assert "344 rows streamed in each epoch: they do not fit into 0 MB" in caplog.text
    assert isinstance(read(penguins, STREAMED), Streamed)


def test_once_is_every_row_in_the_files_order(data: Data, penguins: Any) -> None:
    assert data.rows == 344
    batches = list(data.once(100))
    assert [len(label) for _, label in batches] == [100, 100, 100, 44]
    assert rows(data.once(100)) == [
        list(range(0, 100)),
        list(range(100, 200)),
        list(range(200, 300)),
        [*range(300, 344)],
    ]
    labels = np.concatenate([label.numpy() for _, label in batches])
    assert labels.tolist() == penguins.rows[["is_gentoo"]].to_numpy().tolist()
    years = np.concatenate([inputs["year"].numpy() for inputs, _ in batches])
    assert years.tolist() == penguins.rows[["year"]].to_numpy().tolist()


def test_an_epoch_is_every_row_in_whole_batches_that_differ_from_epoch_to_epoch(data: Data) -> None:
    first, second = rows(data.batches(100, 0, 1)), rows(data.batches(100, 1, 1))
    assert [len(batch) for batch in first] == [100] * 4 == [100] * data.steps(100)
    for epoch in (first, second):
        flat = [row for batch in epoch for row in batch]
        assert sorted(flat[:344]) == list(range(344))
        assert flat[344:] == flat[:56]  # filled up with the epoch's first rows
    assert first != second
    assert rows(data.batches(100, 0, 2)) != first


@pytest.mark.slow
def test_a_position_gives_the_batches_of_a_whole_epoch(data: Data) -> None:
    whole = rows(data.batches(30, 3, 5))
    for step in (0, 1, 7, 11):
        tf.random.set_seed(step)  # what else happens in the process does not matter
        assert rows(data.batches(30, 3, 5, skip_steps=step)) == whole[step:]
    inputs, label = data.batch(30, 3, 5, 7)
    assert np.ravel(inputs["row"]).tolist() == whole[7]
    assert label.shape == (30, 1)


def test_workers_share_each_batch(data: Data) -> None:
    whole = rows(data.batches(32, 2, 1))
    parts = [rows(data.batches(32, 2, 1, shard=Shard(index, 2))) for index in range(2)]
    assert [one + other for one, other in zip(*parts, strict=True)] == whole


def test_shapes_are_static(data: Data) -> None:
    inputs, label = data.batches(32, 0, 1).element_spec
    assert inputs["year"].shape == label.shape == (32, 1)


def test_what_is_streamed_is_mixed_across_files(penguins: Any) -> None:
    data = read(penguins, STREAMED)
    assert max(rows(data.batches(40, 0, 1))[0]) >= 300 > min(rows(data.batches(40, 0, 1))[0]) + 100


def test_a_weight_and_a_preprocessing(penguins: Any) -> None:
    def preprocess(features: dict[str, Any]) -> dict[str, Any]:
        mass = tf.sparse.to_dense(features["body_mass_g"], default_value=-1.0)
        mass = tf.ensure_shape(mass, [None, 1])
        return {"mass": mass / 1000, "label": features["is_gentoo"], "weight": tf.cast(features["year"], tf.float32)}

    for share in (KEPT, STREAMED):
        data = read(penguins, share, inputs=["mass"], label="label", weight="weight", preprocess=preprocess)
        (inputs, _, weight), *_ = data.once(500)
        mass = penguins.rows["body_mass_g"].fillna(-1) / 1000
        np.testing.assert_allclose(np.ravel(inputs["mass"]), mass, rtol=1e-6)
        assert np.ravel(weight).tolist() == penguins.rows["year"].tolist()
        assert len(next(iter(data.batches(10, 0, 1)))) == 3


def test_rows_can_be_chosen(penguins: Any) -> None:
    data = read(penguins)
    assert isinstance(data, InMemory)
    chosen = data.take(np.array([5, 3, 300]))
    assert chosen.rows == 3
    assert rows(chosen.once(10)) == [[5, 3, 300]]
    assert len({data.fingerprint, chosen.fingerprint, data.take(np.array([5, 3, 301])).fingerprint}) == 3
    assert data.take(np.array([5, 3, 300])).fingerprint == chosen.fingerprint


def test_a_fingerprint_is_the_datas_own(penguins: Any, tmp_path: Path) -> None:
    assert read(penguins).fingerprint == read(penguins, STREAMED).fingerprint
    assert read(penguins, inputs=["row"]).fingerprint != read(penguins).fingerprint
    moved = tmp_path / "moved.gz"
    moved.write_bytes(penguins.files[0].read_bytes())

    def of(path: Path) -> str:
        return input_data.read([str(path)], penguins.schema, inputs=["row"], label="year").fingerprint

    assert of(moved) == of(penguins.files[0])
    changed = list(*records.read(penguins.files[0]))
    changed[70], changed[71] = changed[71], changed[70]
    records.write(moved, changed)
    assert of(moved) != of(penguins.files[0])


def test_arrays_have_a_fingerprint_too() -> None:
    one, same, other = (InMemory({"x": np.full((9, 1), value)}, np.zeros((9, 1))) for value in (1.0, 1.0, 2.0))
    assert one.fingerprint == same.fingerprint != other.fingerprint
    with pytest.raises(ValueError, match=r"columns of one length, received \[8, 9\]"):
        InMemory({"x": np.zeros((9, 1))}, np.zeros((8, 1)))


@pytest.mark.parametrize("share", [KEPT, STREAMED])
def test_bad_input(penguins: Any, tmp_path: Path, share: float) -> None:
    with pytest.raises(DataError, match=r"no file matches .*nothing"):
        input_data.read([str(tmp_path / "nothing*")], penguins.schema, inputs=["row"], label="year", memory_share=share)
    with pytest.raises(DataError, match="has no feature 'is_gento'; did you mean 'is_gentoo'"):
        read(penguins, share, label="is_gento")
    with pytest.raises(SchemaError, match="'sex': expected a dense tensor with a fixed shape"):
        read(penguins, share, inputs=["sex"])
    records.write(tmp_path / "empty.gz", [])
    with pytest.raises(DataError, match=r"empty\.gz: expected tf\.Examples, found none"):
        input_data.read([str(tmp_path / "*")], penguins.schema, inputs=["row"], label="year", memory_share=share)


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def no_examples(path: Path) -> None:
    records.write(path, [b"this is no example"])


def without_a_feature(path: Path) -> None:
    records.write(path, [b""])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (damage, "a TFRecord file is damaged"),
        (no_examples, "an example does not fit the schema: .*"),
        (without_a_feature, "an example does not fit the schema: .*is required but could not be found"),
    ],
)
def test_bad_files(penguins: Any, tmp_path: Path, spoil: Callable[[Path], None], message: str) -> None:
    path = tmp_path / "data.gz"
    path.write_bytes(penguins.files[0].read_bytes())
    spoil(path)
    with pytest.raises(DataError, match=message):
        input_data.read([str(path)], penguins.schema, inputs=["row"], label="year")


def test_free_memory_is_the_machines_or_the_groups(tmp_path: Path) -> None:
    machine, groups = tmp_path / "meminfo", tmp_path / "cgroup"
    machine.write_text("MemTotal:       16000 kB\nMemAvailable:    8000 kB\n")
    assert memory.free(machine, groups) == 8000 * 1024
    groups.mkdir()
    (groups / "memory.max").write_text("max\n")
    assert memory.free(machine, groups) == 8000 * 1024
    (groups / "memory.max").write_text("4096000\n")
    (groups / "memory.current").write_text("3096000\n")
    (groups / "memory.stat").write_text("anon 5\ninactive_file 50000\n")
    assert memory.free(machine, groups) == 1_050_000
    version_1 = groups / "memory"
    version_1.mkdir()
    (version_1 / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert memory.free(machine, groups) == 1_050_000
    (version_1 / "memory.limit_in_bytes").write_text("500000\n")
    (version_1 / "memory.usage_in_bytes").write_text("600000\n")
    (version_1 / "memory.stat").write_text("total_inactive_file 0\n")
    assert memory.free(machine, groups) == 0
    assert memory.free() > 1 << 20
