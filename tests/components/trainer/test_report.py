"""The page of a training: learning curves of the loop's own history, and none of a user's file of that name."""

import json
import re
from pathlib import Path

import pytest
import vl_convert

from penstock.components.trainer import epochs, report
from penstock.core.page import numbers
from penstock.trainer.hardware.devices import Device
from penstock.trainer.loop import fitting
from tests.trainer import penguin_training

_VERSION = vl_convert.get_vegalite_versions()[-1]


@pytest.mark.slow
def test_learning_curves_and_epochs(tmp_path: Path, penguins_csv: Path) -> None:
    settings = fitting.Settings(batch_size=32, epochs=2)
    device = Device("cpu", "the <processor>", 1, "float32")
    data = penguin_training.data(penguins_csv)
    fitted = fitting.fit(penguin_training.build, *data, settings, tmp_path, device=device)
    text = report.write(tmp_path / "page", tmp_path).read_text()
    assert "the &lt;processor&gt;, float32, tensorflow" in text
    assert f"best epoch 2 of 2, on the eval split: loss {numbers.number(fitted.history[1]['val_loss'])}" in text
    specs = [json.loads(spec) for spec in re.findall(r'<script type="application/json">(.*?)</script>', text)]
    loss = {(row["epoch"], row["split"]): row["value"] for row in specs[0]["layer"][0]["data"]["values"]}
    assert loss == pytest.approx(
        {
            (epoch["epoch"], split): epoch[name]
            for epoch in fitted.history
            for split, name in (("train", "loss"), ("eval", "val_loss"))
        }
    )
    assert "<summary>2 epochs</summary>" in text
    assert f"{fitted.history[0]['examples_per_second']:,}</td>" in text
    assert f'<td class="number good">{numbers.number(fitted.history[1]["val_loss"], 4)}</td>' in text


@pytest.mark.parametrize(
    "content",
    [
        *('{"epochs": [1, 2]}', '{"epochs": []}', "{", "[]", "[" * 10_000, '{"loss": [0.5, 0.4], "val_loss": [1, 2]}'),
        *('{"best_epoch": 3, "epochs": [{"epoch": 1}]}', '{"epochs": [{"epoch": 1, "loss": [0.5]}]}'),
    ],
)
def test_a_users_file_of_that_name_is_no_history(tmp_path: Path, content: str) -> None:
    (tmp_path / "history.json").write_text(content)
    assert epochs.read(tmp_path) is None
    text = report.write(tmp_path / "page", tmp_path).read_text()
    assert "<h1>Training</h1>" in text
    assert "<script" not in text


EPOCH = {
    "epoch": 1,
    "loss": 0.5,
    "val_loss": 0.6,
    "batch_size": 32,
    "examples_per_second": 1000,
    "seconds": 0.5,
    "utilisation": {"cpu": 0.5},
}


def _without(*names: str) -> dict[str, object]:
    return {name: value for name, value in EPOCH.items() if name not in names}


@pytest.mark.parametrize(
    "history",
    [
        [EPOCH],
        [_without("val_loss")],
        [_without("loss", "val_loss")],
        [_without("val_loss"), {**EPOCH, "epoch": 2}],  # an eval split from then on
        [{**EPOCH, "loss": None, "val_loss": None}],
        [EPOCH, {**EPOCH, "epoch": 2, "loss": None, "utilisation": {"gpu": 1.0}}],
        [{**EPOCH, "loss": float("nan"), "val_loss": float("inf")}],
        [{**EPOCH, "val_mean_squared_error": None, "a.b[0] 'c'": 1}],
    ],
)
def test_every_history_that_is_read_is_drawn(tmp_path: Path, history: list[dict[str, object]]) -> None:
    """A fault in drawing would fail a task whose training is done."""
    history = [*history, {**history[-1], "epoch": len(history) + 1}]
    (tmp_path / "history.json").write_text(json.dumps({"best_epoch": 1, "epochs": history}))
    read = epochs.read(tmp_path)
    assert read
    text = report.write(tmp_path / "page", tmp_path).read_text()
    assert f"<summary>{len(history)} epochs</summary>" in text
    specs = re.findall(r'<script type="application/json">(.*?)</script>', text)
    assert len(specs) == len({name.removeprefix("val_") for name in read.measures})
    for spec in specs:
        assert "best epoch" in vl_convert.vegalite_to_svg(json.loads(spec), vl_version=_VERSION)


def test_squared_errors_are_shown_in_the_unit_of_the_label(tmp_path: Path) -> None:
    history = [{"epoch": n, "mean_squared_error": n * 4e8, "val_mean_squared_error": n * 9e8} for n in (1, 4)]
    (tmp_path / "history.json").write_text(json.dumps({"best_epoch": 1, "epochs": history}))
    plan = {"label": {"name": "price", "problem": "regression", "classes": []}, "features": [], "ignored": {}}
    (tmp_path / "plan.json").write_text(json.dumps(plan | {"notes": {}}))
    text = report.write(tmp_path / "page", tmp_path).read_text()
    assert "<figcaption>RMSE in price</figcaption>" in text
    (spec,) = (json.loads(spec) for spec in re.findall(r'<script type="application/json">(.*?)</script>', text))
    assert [row["value"] for row in spec["layer"][0]["data"]["values"]] == [20_000, 30_000, 40_000, 60_000]
    assert '<td class="number good">20,000</td><td class="number good">30,000</td>' in text
    assert ">RMSE in price</th>" in text
    assert ">eval RMSE in price</th>" in text
    assert "best epoch 1 of 2, on the eval split: RMSE in price 30,000</p>" in text


def test_without_a_best_epoch_the_last_one_is_told(tmp_path: Path) -> None:
    history = {"epochs": [{"epoch": epoch, "accuracy": 1 / epoch, "val_accuracy": 0.5 / epoch} for epoch in (1, 2)]}
    (tmp_path / "history.json").write_text(json.dumps(history))
    text = report.write(tmp_path / "page", tmp_path).read_text()
    assert "<p>2 epochs, on the eval split: accuracy 25%</p>" in text
    assert text.count('<th class="number">') == 3, "no column of what is not known"
    assert "number good" not in text


def test_one_epoch_is_no_curve(tmp_path: Path) -> None:
    (tmp_path / "history.json").write_text(json.dumps({"epochs": [EPOCH]}))
    text = report.write(tmp_path / "page", tmp_path).read_text()
    assert "<p>1 epoch, on the eval split: loss 0.6</p>" in text
    assert '<td class="number">1,000</td>' in text
    assert "<script" not in text
