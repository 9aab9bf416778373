"""The trainer without code, on real and awkward tables: what it exports predicts what was trained."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from penstock.components.trainer import executor
from penstock.core import progress
from penstock.core.errors import DataError
from penstock.core.labels import Label
from penstock.core.models import predict
from penstock.trainer import default
from penstock.trainer.data import memory
from penstock.trainer.network import model
from penstock.trainer.plan import date_cells
from penstock.trainer.plan.date_cells import DateCells
from tests.trainer.tables import Table

Tables = Callable[..., Any]
QUICK = {"epochs": 3, "members": 2, "width": 16}


def train(table: Table, label: str, training: dict[str, Any] | None = None, **config: Any) -> Path:
    """Runs Transform and the Trainer; returns the folder of the model."""
    config = {"label": label, "training": QUICK | (training or {}), **config}
    table.transform(config)
    folders = {name: table.root / name for name in ("model", "model_run", "transform_graph", "schema", "statistics")}
    executor.run(
        **{name: str(folder) for name, folder in folders.items()},
        examples=str(table.root / "transformed_examples"),
        run_fn="penstock.trainer.default.run_fn",
        custom_config=json.dumps(config),
    )
    return folders["model"]


def without(examples: list[bytes], label: str) -> list[bytes]:
    found = [tf.train.Example.FromString(example) for example in examples]
    for example in found:
        example.features.feature.pop(label, None)
    return [example.SerializeToString(deterministic=True) for example in found]


@pytest.mark.slow
def test_penguins(table: Tables, penguins_csv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The served prediction of raw examples is the network's on transformed ones, to the bit."""
    kept: list[Any] = []

    export = default.export

    def keep(trained: Any, plan: Any, head: Any, fn_args: Any) -> None:
        kept.extend((trained, head))
        export(trained, plan, head, fn_args)

    monkeypatch.setattr(default, "export", keep)
    frame = pd.read_csv(penguins_csv).sample(frac=1, random_state=0)
    data = table(frame, eval_rows=100)
    monkeypatch.setenv(progress.ENVIRONMENT_VARIABLE, str(data.root / "progress.jsonl"))
    folder = train(data, "species", {"epochs": 30})
    told = [json.loads(line) for line in (data.root / "progress.jsonl").read_text().splitlines()]
    assert [fact["said"].split(":")[0] for fact in told if "said" in fact][:2] == [
        "epoch 1 of at most 30",
        "epoch 2 of at most 30",
    ]
    served = predict.predict(folder, without(data.examples("eval"), "species"))
    assert served["classes"][0].tolist() == [b"Adelie", b"Chinstrap", b"Gentoo"]
    written = json.loads((data.root / "model_run" / "plan.json").read_text())
    assert written["label"]["classes"] == ["Adelie", "Chinstrap", "Gentoo"]
    assert written["vocabularies"] == {"island_xf": 3, "sex_xf": 2, "year_xf_ids": 3}
    assert written["missing"]["sex"] == pytest.approx(frame["sex"][:-100].isna().mean(), abs=1e-4)
    right = served["classes"][0][served["scores"].argmax(axis=1)] == frame["species"][-100:].str.encode("utf-8")
    assert right.mean() > 0.95
    network, head = kept
    transformed = data.transformed("eval")
    inputs = {tensor.name: transformed[tensor.name] for tensor in network.inputs}
    assert np.array_equal(model.predictions(network(inputs, training=False), head), served["scores"])
    loaded = tf.saved_model.load(str(folder / "Format-Serving"))
    labels = loaded.signatures["transform_features"](examples=tf.constant(data.examples("eval")))
    assert np.array_equal(labels["species_xf"], transformed["species_xf"])
    assert set(labels) == set(transformed)


@pytest.mark.slow
def test_binary_and_regression(table: Tables, taxi_csv: Path) -> None:
    frame = pd.read_csv(taxi_csv, nrows=2000)
    frame["card"] = np.where(frame["payment_type"] == "Credit Card", "yes", "no")
    frame = frame[["card", "tips", "fare", "trip_miles", "trip_start_timestamp", "company"]]
    days = pd.to_datetime(frame["trip_start_timestamp"], unit="s").dt.strftime("%d.%m.%Y")
    data = table(frame.assign(day=days), eval_rows=500)
    folder = train(data, "card")
    assert date_cells.read(folder / "Format-Serving") == {"day": DateCells("%d.%m.%Y")}
    assert Label.read(folder / "Format-Serving") == Label("card", "card_xf", "binary", ("no", "yes"))
    probabilities = predict.predict(folder, without(data.examples("eval"), "card"))["probabilities"]
    assert probabilities.shape == (500, 1)
    card = (frame["card"][-500:] == "yes").to_numpy()
    assert probabilities[card].mean() > 2 * probabilities[~card].mean()
    data = table(frame, eval_rows=500)
    folder = train(data, "fare", features={"trip_start_timestamp": {"kind": "date", "format": "unix"}})
    fares = predict.predict(folder, without(data.examples("eval"), "fare"))["predictions"]
    actual = frame["fare"][-500:].to_numpy()
    assert np.corrcoef(fares[:, 0], actual)[0, 1] > 0.8
    assert fares.mean() == pytest.approx(actual.mean(), rel=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("free", [1 << 30, 0])
def test_rows_without_the_label_are_left_out(
    table: Tables, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, free: int
) -> None:
    monkeypatch.setattr(memory, "free", lambda: free)  # without any, rows are streamed, and these have no weight
    rows = 300
    columns = {
        "x": [row % 17 / 3 for row in range(rows)],
        "label": [None if row % 10 == 0 else ["a", "b", "c"][row % 17 % 3] for row in range(rows)],
    }
    caplog.set_level(logging.INFO)
    data = table(columns, eval_rows=100)
    served = predict.predict(train(data, "label", {"epochs": 40}), without(data.examples("eval"), "label"))
    told = [value.decode() for value in served["classes"][0][served["scores"].argmax(axis=1)]]
    assert np.mean([said == actual for said, actual in zip(told, columns["label"][-100:], strict=True)]) > 0.6
    assert ("streamed in each epoch" in caplog.text) == (free == 0)
    assert "Split-train: 20 of 200 rows have no label that the training data has: they are left out" in caplog.text
    assert "Split-eval: 10 of 100 rows have no label that the training data has: they are left out" in caplog.text


def test_too_few_rows(table: Tables) -> None:
    data = table({"x": [row / 3 for row in range(12)], "label": [row % 2 for row in range(12)]}, eval_rows=4)
    with pytest.raises(DataError, match="expected at least 10 rows with a label to train on, found 8"):
        train(data, "label")


@pytest.mark.slow
def test_a_leak_is_named(table: Tables, caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(0)
    fare = rng.gamma(2, 5, 400)
    columns = {
        "fare": fare,
        "with_tax": fare * 1.19,
        "noise": rng.normal(size=400),
        "dear": np.where(fare > 10, "dear", "cheap"),
        "weak": np.where(fare + rng.normal(size=400) * 5 > 10, "dear", "cheap"),
    }
    data = table(columns, eval_rows=100)
    train(data, "fare", features={"dear": {"ignore": True}})
    told = "feature with_tax alone gives the label fare away (R² 1 on other rows; always the mean has 0): "
    assert told in caplog.text
    caplog.clear()
    others = {name: columns[name] for name in ("noise", "weak", "dear")}
    train(table({"noise_xf": fare, **others}, eval_rows=100), "dear")  # its output begins as that of noise
    told = "feature noise_xf alone gives the label dear away (AUC 1 on other rows; chance has 0.5): is it "
    assert told in caplog.text
    assert "feature noise alone" not in caplog.text
    assert "feature weak" not in caplog.text
