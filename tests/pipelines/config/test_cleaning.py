"""The cleaning section: what it makes of the graph, and the mistakes in it that are told when it is read."""

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from penstock.core.cleaning import parsing
from penstock.core.cleaning.rules import KINDS
from penstock.core.errors import ConfigError
from penstock.pipelines.compiling.compile import compile_config
from penstock.pipelines.config import csv_columns
from penstock.pipelines.config import training_pipeline as configs
from penstock.pipelines.config.cleaning.rule import CleaningRule
from penstock.pipelines.lint import local_paths, places
from penstock.pipelines.lint.pipeline import Pipeline
from penstock.pipelines.targets import target as targets

type Load = Callable[..., configs.Config]


@pytest.fixture
def load(tmp_path: Path, penguins_csv: Path) -> Load:
    """Returns a function that reads a configuration of penguins with these rules."""

    def load(*rules: str, more: str = "", label: str = "label: species") -> configs.Config:
        listed = "".join(f"\n    - {rule}" for rule in rules)
        data = f"data: {{path: {penguins_csv}, csv: {{null_values: [NA]}}}}"
        path = tmp_path / "pipeline.yaml"
        path.write_text(f"{data}\n{label}\ncleaning:\n  rules:{listed}\n{more}")
        return configs.load(path)

    return load


def test_every_rule_and_key_is_in_the_configuration() -> None:
    fields = CleaningRule.model_fields
    keys = {field.name for kind in KINDS.values() for field in dataclasses.fields(kind)} - {"digest"}
    assert keys | {"rule"} == set(fields)
    schema = CleaningRule.model_json_schema()["properties"]["rule"]["enum"]
    assert schema == list(KINDS)


def test_all_that_comes_after_takes_the_cleaned_examples(load: Load, tmp_path: Path) -> None:
    config = load("{rule: duplicates}", more="bulk_inference: {}\nmonitoring: {}\npush: {directory: out}\n")
    compiled = yaml.safe_load(compile_config(config, targets.LOCAL, tmp_path / "ir.yaml").path.read_text())
    taken: dict[str, str] = {}
    tasks = compiled["root"]["dag"]["tasks"]
    for name, task in tasks.items():
        for artifact, source in task.get("inputs", {}).get("artifacts", {}).items():
            made = source.get("taskOutputArtifact", {})
            if artifact == "examples" and made:
                taken[name] = made["producerTask"]
    assert taken.pop("example-cleaner") == "csv-example-gen"
    assert taken.pop("trainer") == "transform"
    assert set(taken.values()) == {"example-cleaner"}
    assert {"statistics-gen", "transform", "evaluator", "bulk-inferrer", "model-monitor"} <= taken.keys()
    cleaning = tasks["trainer"]["inputs"]["artifacts"]["cleaning"]["taskOutputArtifact"]
    assert cleaning == {"producerTask": "example-cleaner", "outputArtifactKey": "cleaning"}


def test_a_file_of_references_enters_by_what_it_holds(load: Load, tmp_path: Path) -> None:
    file = tmp_path / "islands.csv"
    digests = []
    for content in ("island\nBiscoe\n", "island\nBiscoe\nDream\n"):
        file.write_text(content)
        config = load("{rule: reference, columns: [island], file: islands.csv}")
        assert config.cleaning
        (rule,) = json.loads(config.cleaning.arguments("", ["train"])["rules"])
        assert rule["file"] == str(file)
        digests.append(rule["digest"])
    assert len(set(digests)) == 2


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("{rule: rang, columns: [year]}", "unknown rule 'rang'; did you mean 'range'?"),
        ("{rule: range, columns: [year]}", "cleaning: rules[0] (range): expected min, max or both"),
        (
            "{rule: range, columns: [year], min: 0, case: lower}",
            "rules[0] (range): unknown key 'case'; expected one of",
        ),
        ("{rule: range, columns: [year], min: true}", "expected a number, received true"),
        ("{rule: values, columns: [sex], allowed: [true]}", "expected a text or a number, received true"),
        ("{rule: check, expression: 'year >'}", "rules[0] (check): expression 'year >': invalid syntax"),
        ("{rule: missing, columns: [species], action: mode}", "'species' is the label, which is not filled"),
        ("{rule: reference, columns: [sex], file: none.csv}", "none.csv does not exist"),
        ("{rule: reference, columns: [sex], file: .}", "is a folder: expected a file"),
        ("{rule: reference, columns: [sex], file: /dev/zero}", "/dev/zero is a device: expected a file or a folder"),
        ("{rule: range, columns: [year], min: 3, max: 2}", "expected max, 2, or less, received 3"),
    ],
)
def test_mistakes_are_told_when_it_is_read(load: Load, rule: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(rule)
    assert sentence in raised.value.message


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("{rule: range, columns: [yeer], min: 0}", "cleaning.rules[1]: the data has no column 'yeer'; did you mean"),
        ("{rule: check, expression: bill > 0}", "cleaning.rules[1]: the data has no column 'bill'"),
        ("{rule: unit, columns: [year], by: u, to: g, units: {kg: {factor: 2}}}", "no column 'u'"),
    ],
)
def test_columns_that_are_none_are_told_before_a_run(load: Load, rule: str, sentence: str) -> None:
    flag = "{rule: range, columns: [year], min: 2008, otherwise: flag}"
    csv_columns.check(load(flag, "{rule: missing, columns: [year_flagged]}"))
    with pytest.raises(ConfigError) as raised:
        csv_columns.check(load(flag, rule))
    assert sentence in raised.value.message


def test_numbers_may_be_keys_of_a_mapping(load: Load) -> None:
    config = load("{rule: values, columns: [year], mapping: {2007: 2008}}")
    assert config.cleaning
    assert config.cleaning.rules[0].mapping == {"2007": 2008}


def test_sequences_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    (tmp_path / "rows.tfrecord").touch()
    data = "data: {path: rows.tfrecord, payload_format: FORMAT_TF_SEQUENCE_EXAMPLE}"
    path.write_text(f"{data}\ncleaning: {{rules: [{{rule: duplicates}}]}}\n")
    with pytest.raises(ConfigError, match="cleaning: rules clean the columns"):
        configs.load(path)


def test_a_file_of_references_that_a_cluster_does_not_see_is_told(load: Load, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / f"{name}.csv").write_text("island\nBiscoe\n")
    rules = [f"{{rule: reference, columns: [island], file: {name}.csv, name: {name}}}" for name in ("first", "second")]
    config = load("{rule: duplicates}", *rules)
    path = compile_config(config, targets.LOCAL, tmp_path / "ir.yaml").path
    documents = list(yaml.safe_load_all(path.read_text()))
    found = [place.value for place in places.named(Pipeline.of(documents, {})) if place.parameter == "rules.file"]
    assert found == [str(tmp_path / "first.csv"), str(tmp_path / "second.csv")]
    assert f"rules.file (cleaning.rules.file) is {tmp_path}" in local_paths.sentence(documents, "kubeflow")


PAGE = Path(__file__).resolve().parents[3] / "docs" / "cleaning.md"


@pytest.mark.parametrize("block", re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S))
def test_the_rules_of_the_page_are_rules(block: str) -> None:
    values = yaml.safe_load(block)
    rules = values if isinstance(values, list) else values["cleaning"]["rules"]
    read = parsing.rules([CleaningRule.model_validate(rule).model_dump(exclude_none=True) for rule in rules])
    assert len(read) == len(rules)
