"""A model that was trained on cleaned penguins is asked about a dirty one: its answer is that to the clean one."""

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import palmerpenguins
import pandas as pd
import pyarrow as pa
import pytest
import tensorflow as tf

from penstock.components.bulk_inferrer import executor as bulk_inferrer
from penstock.components.engines import open_engine
from penstock.components.infra_validator.answers import Direct
from penstock.components.infra_validator.requests import Request
from penstock.components.model_server.settings import ModelSettings
from penstock.components.schema_gen import executor as schema_gen
from penstock.components.scoring import frames
from penstock.components.scoring import job as jobs
from penstock.components.statistics_gen import executor as statistics_gen
from penstock.components.trainer import executor as trainer
from penstock.core.artifacts import DataCleaning, Examples, Model, SavedModel
from penstock.core.errors import DataError
from penstock.core.examples import records
from penstock.core.models import loaded, prediction_logs
from tests.components.example_cleaner.conftest import Cleaned
from tests.components.example_cleaner.conftest import run as clean
from tests.servers.model_server import Client, serving

pytestmark = pytest.mark.slow
ENGINE = "local:1"
RULES: list[dict[str, Any]] = [
    {"rule": "duplicates"},
    {"rule": "missing_values", "values": ["?"]},
    {"rule": "type", "columns": ["flipper_length_mm"], "to": "integer"},
    {"rule": "text", "columns": ["island"], "case": "title", "spaces": "trim"},
    {"rule": "reference", "columns": ["island"], "file": "islands.csv", "key": "name"},
    {"rule": "unit", "columns": ["body_mass_g"], "by": "unit", "to": "g", "units": {"kg": {"factor": 1000}}},
    {"rule": "range", "columns": ["bill_length_mm"], "min": 0},
    {"rule": "outliers", "columns": ["bill_length_mm"], "high": 0.9, "otherwise": "flag"},
    {"rule": "missing", "columns": ["bill_length_mm", "flipper_length_mm", "body_mass_g"], "action": "median"},
    {"rule": "missing", "columns": ["island"], "action": "mode"},
]
DIRTY: dict[str, Any] = {"island": " DREAM ", "bill_length_mm": -9.0, "flipper_length_mm": "?", "body_mass_g": 3.5}
DIRTY |= {"unit": "kg"}
SPARSE: dict[str, Any] = {"island": "Atlantis", "bill_length_mm": 59.0, "flipper_length_mm": "190", "unit": "?"}


def penguins() -> pd.DataFrame:
    """Flippers as text, a question mark where there is none; some weights in kilograms, some islands in capitals."""
    table = pd.read_csv(Path(palmerpenguins.__file__).parent / "data/penguins.csv")
    table = table[["island", "bill_length_mm", "flipper_length_mm", "body_mass_g"]].sample(frac=1, random_state=1)
    table["flipper_length_mm"] = table.flipper_length_mm.map(lambda cell: "?" if np.isnan(cell) else f"{cell:.0f}")
    heavy = table.body_mass_g > 4500
    table["unit"] = np.where(heavy, "kg", "g")
    table["body_mass_g"] = table.body_mass_g.where(~heavy, table.body_mass_g / 1000).astype("float32")
    table["island"] = table.island.where(table.index % 3 > 0, table.island.str.upper() + " ")
    return table.astype({"bill_length_mm": "float32"})


def encoded(table: pd.DataFrame) -> list[bytes]:
    columns = {}
    for name, column in pa.Table.from_pandas(table, preserve_index=False).to_pydict().items():
        lists = [None if cell is None or cell != cell else [cell] for cell in column]
        kind = pa.binary() if any(isinstance(cell, str) for cell in column) else pa.float32()
        columns[name] = pa.array(lists, pa.list_(kind))
    return records.encode(pa.RecordBatch.from_pydict(columns), skip_nulls=True)


@pytest.fixture(scope="module")
def cleaned(tmp_path_factory: pytest.TempPathFactory) -> Cleaned:
    root = tmp_path_factory.mktemp("penguins")
    rows = encoded(penguins())
    for split, of_split in (("train", rows[:250]), ("eval", rows[250:])):
        records.write(Examples(root / "examples").shard(split, 0, 1), of_split)
    file = root / "islands.csv"
    file.write_text("name\nBiscoe\nDream\nTorgersen\n")
    made = clean(root / "examples", root, *(rule | {"file": str(file)} if "file" in rule else rule for rule in RULES))
    file.unlink()  # as on every other machine
    return made


@pytest.fixture(scope="module")
def model(cleaned: Cleaned, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained by the Trainer on what the ExampleCleaner has made, which puts the rules beside it; then taken away."""
    folders = {name: str(cleaned.root / name) for name in ("statistics", "schema", "model", "model_run")}
    examples = str(cleaned.root / "cleaned")
    statistics_gen.run(statistics=folders["statistics"], examples=examples, engine=ENGINE)
    Path(folders["schema"]).mkdir()
    schema_gen.run(schema=folders["schema"], statistics=folders["statistics"])
    trainer.run(
        model=folders["model"],
        model_run=folders["model_run"],
        examples=examples,
        schema=folders["schema"],
        cleaning=str(cleaned.root / "cleaning"),
        module_file=str(Path(__file__).with_name("penguin_sums.py")),
    )
    return Path(shutil.move(folders["model"], tmp_path_factory.mktemp("elsewhere")))


@pytest.fixture(scope="module")
def client(model: Path) -> Any:
    with serving(ModelSettings("penguins", str(Model(model).serving))) as running:
        yield running


@pytest.fixture(scope="module")
def twins(cleaned: Cleaned) -> list[dict[str, Any]]:
    """What the two rows are once they are clean, by what was learned, and so written by hand."""
    learned = {column: value for rule in cleaned.cleaning["rules"] for column, value in rule.get("learned", {}).items()}
    flipper, mass = learned["flipper_length_mm"], learned["body_mass_g"]
    bill = next(rule for rule in cleaned.cleaning["rules"] if rule["rule"] == "missing")["learned"]["bill_length_mm"]
    return [
        {"island": "Dream", "bill_length_mm": bill, "flipper_length_mm": flipper, "body_mass_g": 3500.0},
        {"island": learned["island"], "bill_length_mm": 59.0, "flipper_length_mm": 190, "body_mass_g": mass},
    ]


@pytest.fixture(scope="module")
def answers(model: Path, twins: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the model itself says of the clean rows; the second is marked as an outlier."""
    rows = []
    for twin, flag in zip(twins, (0, 1), strict=True):
        example = tf.train.Example()
        for name, value in (twin | {"bill_length_mm_flagged": flag}).items():
            feature = example.features.feature[name]
            if isinstance(value, str):
                feature.bytes_list.value.append(value.encode())
            else:
                (feature.int64_list if isinstance(value, int) else feature.float_list).value.append(value)
        rows.append(example.SerializeToString())
    outputs = tf.saved_model.load(str(Model(model).serving)).signatures["serving_default"](examples=tf.constant(rows))
    scores, places = outputs["score"].numpy(), outputs["place"].numpy()
    return [{"score": float(score), "place": place.decode()} for score, place in zip(scores, places, strict=True)]


def test_the_rules_go_with_the_model(cleaned: Cleaned, model: Path) -> None:
    beside = SavedModel(Model(model).serving).cleaning
    assert beside.read_bytes() == DataCleaning(cleaned.root / "cleaning").path.read_bytes()
    assert str(cleaned.root) not in beside.read_text()


def test_by_http(client: Client, answers: list[dict[str, Any]], twins: list[dict[str, Any]]) -> None:
    path = "/v1/models/penguins:predict"
    for rows in ([DIRTY, SPARSE], twins):
        for instances, expected in ((rows, answers), (rows[:1], answers[:1]), (rows[1:], answers[1:])):
            answer = client.post(path, {"instances": instances})
            assert answer.status == 200, answer.body
            assert answer.json["predictions"] == [pytest.approx(one) for one in expected]
    wrong = client.post(path, {"instances": [DIRTY | {"flipper_length": 3}]})
    assert (wrong.status, "did you mean 'flipper_length_mm'" in wrong.body.decode()) == (400, True)


def test_serialized_examples_by_http(client: Client, answers: list[dict[str, Any]]) -> None:
    rows = [encoded(pd.DataFrame([row]))[0] for row in (DIRTY, SPARSE)]
    instances = [{"b64": base64.b64encode(row).decode()} for row in rows]
    answer = client.post("/v1/models/penguins:predict", {"instances": instances})
    assert answer.json["predictions"] == [pytest.approx(one) for one in answers]


def test_by_bulk_inferrer(model: Path, tmp_path: Path, answers: list[dict[str, Any]], cleaned: Cleaned) -> None:
    rows = encoded(pd.DataFrame([DIRTY, SPARSE]))
    records.write(Examples(tmp_path / "new").shard("new", 0, 1), rows)
    outputs = {name: str(tmp_path / name) for name in ("inference_result", "output_examples")}
    bulk_inferrer.run(examples=str(tmp_path / "new"), model=str(model), engine=ENGINE, **outputs)
    (file,) = (tmp_path / "inference_result").glob("*.gz")
    logs = [log for batch in records.read(file) for log in map(prediction_logs.PredictionLog.FromString, batch)]
    scores = [log.predict_log.response.outputs["score"].float_val[0] for log in logs]
    assert scores == pytest.approx([one["score"] for one in answers])
    asked = [log.predict_log.request.inputs["examples"].string_val[0] for log in logs]
    assert asked == rows  # what is written is what came


def test_by_penstock_predict(model: Path, tmp_path: Path, answers: list[dict[str, Any]]) -> None:
    frame = pd.DataFrame([DIRTY, SPARSE])
    frame.to_csv(tmp_path / "new.csv", index=False)
    (tmp_path / "new.jsonl").write_text("".join(json.dumps(row) + "\n" for row in (DIRTY, SPARSE)))
    frame.to_parquet(tmp_path / "new.parquet")
    for name in ("new.csv", "new.jsonl", "new.parquet"):
        request = jobs.Request(Model(model).serving, [str(tmp_path / name)], tmp_path / "scores.jsonl", "jsonl", "{}")
        scratch = tmp_path / f"scratch-{name}"
        scratch.mkdir()
        with open_engine(ENGINE) as engine, jobs.opened(request, engine, scratch) as job:
            assert job.notes == []
            job.run()
        lines = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
        assert [line["score"] for line in lines] == pytest.approx([one["score"] for one in answers]), name


def test_the_infra_validator_expects_what_a_server_answers(model: Path, answers: list[dict[str, Any]]) -> None:
    rows: np.ndarray = np.array(encoded(pd.DataFrame([DIRTY, SPARSE]))[:1], object)
    expected = Direct(Model(model).serving).predict(Request("serving_default", 1, {"examples": rows}))
    assert expected["score"].tolist() == pytest.approx([answers[0]["score"]])


def test_by_data_frame(model: Path, answers: list[dict[str, Any]]) -> None:
    predicted = frames.predictions(model, pd.DataFrame([DIRTY, SPARSE]))
    assert predicted["score"].to_list() == pytest.approx([one["score"] for one in answers])
    assert predicted["place"].to_list() == [one["place"] for one in answers]


def test_examples_that_are_clean_are_not_cleaned_again(
    model: Path, cleaned: Cleaned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cleaned.result is not None
    metadata = cleaned.result.metadata["cleaned_examples"]
    outputs = {name: str(tmp_path / name) for name in ("inference_result", "output_examples")}

    def refuse(folder: Path) -> None:
        raise AssertionError(folder)

    monkeypatch.setattr("penstock.core.models.cleaned.cleaner", refuse)
    is_cleaned = bool(metadata[Examples.CLEANED])
    examples = str(cleaned.root / "cleaned")
    bulk_inferrer.run(examples=examples, model=str(model), engine=ENGINE, cleaned=is_cleaned, **outputs)
    assert sum(map(len, records.read(next((tmp_path / "inference_result").glob("*.gz"))))) > 0


def test_a_damaged_file_beside_the_model_is_told(model: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(Model(model).serving, tmp_path / "copy"))
    SavedModel(copy).cleaning.write_text("{")
    with pytest.raises(DataError, match="expected rules that ExampleCleaner has written"):
        loaded.load(copy, cleans=True)
    assert loaded.load(copy)
