"""What cannot be monitored is told of before anything runs: text on Vertex AI, and labels by a key that nobody has."""

from pathlib import Path

import pytest
import yaml

from penstock.pipelines.cli import main

IMAGE = "europe-west4-docker.pkg.dev/my-project/penstock/penstock-serving:1"
SCHEMA = """
feature { name: "note" type: BYTES natural_language_domain {} }
feature { name: "colour" type: BYTES string_domain { value: "red" } }
feature { name: "label" type: INT }
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Data with a column of text, and a schema that says so."""
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"trip {row} went well,{['red', 'blue'][row % 2]},{row % 2}\n" for row in range(1500))
    (tmp_path / "data.csv").write_text(f"note,colour,label\n{rows}")
    (tmp_path / "schema.pbtxt").write_text(SCHEMA)
    return tmp_path


def configure(project: Path, thresholds: dict[str, object], schema: bool = False, service: bool = True) -> None:
    monitoring = {"thresholds": thresholds, **({"vertex_ai": {}} if service else {})}
    document = {
        "data": {"path": "data.csv"},
        "label": "label",
        "push": {"vertex_ai": {"storage": "gs://bucket/models", "image": IMAGE}},
        "monitoring": monitoring,
        **({"schema": {"file": "schema.pbtxt"}} if schema else {}),
    }
    (project / "pipeline.yaml").write_text(yaml.safe_dump(document))


@pytest.mark.parametrize("command", [["validate"], ["compile", "-o", "compiled.yaml"]])
def test_a_schema_that_says_it_is_text(project: Path, capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    configure(project, {"colour": 0.1, "note": 0.1}, schema=True)
    assert main.main(command) == 2
    said = capsys.readouterr().err
    assert "monitoring.thresholds.note: " in said
    assert "schema.pbtxt says that it is text, which Vertex AI does not measure: leave out its threshold" in said
    assert not (project / "compiled.yaml").exists()


def test_rows_that_look_like_text(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure(project, {"colour": 0.1, "note": {"missing": 0.1}})
    assert main.main(["validate"]) == 0
    said = capsys.readouterr().err
    assert "monitoring.thresholds.note: 1,500 values differ, so it is most likely text, which Vertex" in said
    assert "thresholds.colour" not in said


@pytest.mark.parametrize(
    ("thresholds", "service"),
    [({"note": None, "colour": 0.1}, True), ({"note": {"missing": None}}, True), ({"note": 0.1}, False)],
)
def test_what_vertex_ai_need_not_hold(
    project: Path, capsys: pytest.CaptureFixture[str], thresholds: dict[str, object], service: bool
) -> None:
    for schema in (True, False):
        configure(project, thresholds, schema=schema, service=service)
        assert main.main(["validate"]) == 0
        assert "thresholds" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("color", "requests have no feature 'color'; did you mean 'colour'? the columns are note, colour"),
        (["colour", "label"], "requests have no feature 'label'; "),
        (["colour", "note"], ""),
        (["request_id", "row"], ""),
    ],
)
def test_a_key_of_labels_is_a_column_or_of_the_log(
    key: object, words: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monitoring = {"labels": {"files": "labels.csv", "key": key}}
    document = {"data": {"path": "data.csv"}, "label": "label", "monitoring": monitoring}
    (project / "pipeline.yaml").write_text(yaml.safe_dump(document))
    assert main.main(["validate"]) == (2 if words else 0)
    said = capsys.readouterr().err
    assert f"monitoring.labels.key: {words}" in said if words else "labels" not in said
