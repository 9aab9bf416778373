"""The page of a training: learning curves of the loop's own history, and none of a user's file of that name."""

import json
import re
from pathlib import Path

import pytest

from penstock.components.trainer import epochs, report
from penstock.core.page import numbers
from penstock.trainer.hardware.devices import Device
from penstock.trainer.loop import fitting
from tests.trainer import penguin_training


@pytest.mark.slow
def test_learning_curves_and_epochs(tmp_path: Path, penguins_csv: Path) -> None:
    settings = fitting.Settings(batch_size=32, epochs=2)
    device = Device("cpu", "the <processor>", 1, "float32")
    data = penguin_training.data(penguins_csv)
    fitted = fitting.fit(penguin_training.build, *data, settings, tmp_path, device=device)
    text = report.write(tmp_path / "page", tmp_path).read_text()
    assert "the &lt;processor&gt;, float32, tensorflow" in text
    assert f"best epoch 2 of 2: val_loss {fitted.history[1]['val_loss']:.4g}" in text
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


@pytest.mark.parametrize("content", ['{"epochs": [1, 2]}', "{", "[]"])
def test_a_users_file_of_that_name_is_no_history(tmp_path: Path, content: str) -> None:
    (tmp_path / "history.json").write_text(content)
    assert epochs.read(tmp_path) is None
    text = report.write(tmp_path / "page", tmp_path).read_text()
    assert "<h1>Training</h1>" in text
    assert "<script" not in text
