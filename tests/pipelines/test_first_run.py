"""A newcomer's data with mistakes in it: the run goes through, and its end and its report tell them."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
CONFIG = """
data: {path: data.csv, csv: {delimiter: ";"}}
label: kind
training: {epochs: 2}
evaluation: {metrics: [SparseCategoricalAccuracy, SparseCategoricalCrossentropy]}
"""


def test_mistakes_in_the_data_are_told_at_the_end(tmp_path: Path) -> None:
    draw = random.Random(1)
    rows = [(draw.random(), draw.randrange(100)) for _ in range(300)]
    lines = [f"{x:.4f};{str(y / 7).replace('.', ',')};{'low' if x < 0.5 else 'high'}" for x, y in rows]
    lines[3] = "inf" + lines[3][6:]
    lines += [f"0.{number};1,5;none" for number in range(40)] + ["0.7;2,5;rare"]
    (tmp_path / "data.csv").write_text("\n".join(["x;y;kind", *lines, ""]))
    (tmp_path / "pipeline.yaml").write_text(CONFIG)
    command = [sys.executable, "-m", "penstock.pipelines.cli.main", "run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    (report,) = tmp_path.glob("runs/*/*/report.html")
    for told in (
        "numbers that are read as text: y (",
        "column 'x': 1 number is infinite (inf, or beyond 32-bit floats)",
        "label 'kind': 'none' (40 rows) is a class like any other",
        "has no row of class 'rare' (1 in all)",
    ):
        assert (
            sum(told in line for line in done.stdout.splitlines() if line.startswith("warning: csv-example-gen")) == 1
        )
        assert told in report.read_text().replace("&#x27;", "'")
