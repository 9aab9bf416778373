"""What the first lines of a CSV tell before anything runs: names that are no columns, and text in place of numbers."""

import gzip
import re
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.core.errors import ConfigError
from penstock.pipelines.cli import main
from penstock.pipelines.config import csv_columns
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.modules import published

Load = Callable[..., Config]
BASE = "name: small\ndata:\n  path: data.csv\nlabel: label\n"
ROWS = "Fare,kind,when,label\n1.5,red,1700000000,0\n,NA,x,1\n2,blue,,2\n"
GROUPS = "tuning: {parameters: {width: {values: [8]}}, cross_validation: {method: group, feature: where}}\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            BASE.replace("label: label", "label: lable"),
            "label: the data has no column 'lable'; did you mean 'label'? the columns are Fare, kind, when, label",
        ),
        (BASE.replace("label: label", "label: x"), "label: the data has no column 'x'; the columns are Fare, kind,"),
        (
            BASE + "features: {FARE: {ignore: true}}\n",
            "features.FARE: the data has no column 'FARE'; did you mean 'Fare'",
        ),
        (BASE + "splits: {partition_feature: Kind}\n", "splits.partition_feature: the data has no column 'Kind'"),
        (BASE + GROUPS, "tuning.cross_validation.feature: the data has no column 'where'"),
        (
            BASE + "evaluation: {metrics: [auc], slices: [[kind, whn]]}\n",
            "evaluation.slices: the data has no column 'whn'",
        ),
        (
            BASE + "evaluation: {metrics: [auc], slices: [{knd: red}]}\n",
            "evaluation.slices: the data has no column 'knd'",
        ),
        (
            BASE + "evaluation: {metrics: [auc], example_weight_key: w}\n",
            "example_weight_key: the data has no column 'w'",
        ),
        (
            BASE + "features: {kind: {kind: numeric}}\n",
            "features.kind.kind: expected numbers in the column 'kind', found "
            "'red'; if that means a missing value, data.csv.null_values: [\"red\"] says so",
        ),
        (BASE + "features: {when: {kind: date, format: unix}}\n", "features.when.kind: expected numbers in the column"),
        (
            BASE + "training: {problem: binary}\n",
            "training.problem: expected two values of the label 'label' for binary, found '0', '1', '2'",
        ),
        (
            BASE.replace("label: label", "label: kind") + "training: {problem: regression}\n",
            "training.problem: expected numbers in the column 'kind', found 'red'",
        ),
    ],
)
def test_mistakes(load: Load, project: Path, text: str, sentence: str) -> None:
    (project / "data.csv").write_text(ROWS)
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        published.check(load(text=text))


@pytest.mark.parametrize(
    ("header", "options", "sentence"),
    [
        (",x,label", "", "data: the first line: expected a name for every column, found none for column 1 of 3; if it"
            " is the index of pandas, to_csv(index=False) leaves it out"),
        ("x,x,label", "", "data: the first line: expected different names, found 'x' for columns 1 and 2"),
        ("1,2,3", "  csv: {column_names: [x, x, label]}\n", "data.csv.column_names: expected different names, found"),
    ],
)  # fmt: skip
def test_columns_without_a_name_of_their_own(
    load: Load, project: Path, header: str, options: str, sentence: str
) -> None:
    (project / "data.csv").write_text(f"{header}\n1,2,3\n")
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        published.check(load(text=BASE.replace("data.csv\n", f"data.csv\n{options}")))


@pytest.mark.parametrize(
    "text",
    [
        BASE + "features: {Fare: {kind: numeric}, kind: {kind: text}}\ntraining: {problem: multiclass}\n",
        BASE.replace("csv\n", "csv\n  csv: {null_values: [NA, red, blue]}\n") + "features: {kind: {kind: numeric}}\n",
        BASE + "evaluation: {metrics: [auc], slices: [Fare, {kind: red}, kind_xf]}\n",
        BASE.replace("csv\n", "csv\n  csv: {column_names: [a, b, c, label]}\n"),
    ],
)
def test_what_fits(load: Load, project: Path, text: str) -> None:
    (project / "data.csv").write_text(ROWS)
    published.check(load(text=text))


def test_words_for_a_missing_value_are_no_text_among_numbers(load: Load, project: Path) -> None:
    (project / "data.csv").write_text("a,label\n1,0\n-,1\nnone,0\n")
    text = BASE + "features: {a: {kind: numeric}}\n"
    published.check(load(text=text))
    with pytest.raises(ConfigError, match="expected numbers in the column 'a', found '-'"):
        published.check(load(text=text.replace("csv\n", "csv\n  csv: {null_values: []}\n", 1)))


def test_numbers_that_are_one_value(load: Load, project: Path) -> None:
    (project / "data.csv").write_text("a,label\n1,0\n2,0.0\n3,1\n4,nan\n5,1.0\n")
    published.check(load(text=BASE + "training: {problem: binary}\n"))
    (project / "data.csv").write_text("a;label\n1;0,5\n2;1,5\n3;0,50\n")
    csv = '  csv: {delimiter: ";", decimal_point: ","}\n'
    published.check(load(text=BASE.replace("csv\n", "csv\n" + csv) + "training: {problem: binary}\n"))


def test_integers_that_doubles_round_are_three_values(load: Load, project: Path) -> None:
    (project / "data.csv").write_text("a,label\n1,9007199254740992\n2,9007199254740993\n3,9007199254740994\n")
    with pytest.raises(
        ConfigError, match="for binary, found '9007199254740992', '9007199254740993', '9007199254740994'"
    ):
        published.check(load(text=BASE + "training: {problem: binary}\n"))


def test_another_delimiter_is_guessed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "data.csv").write_text("a;b;label\n" + "1;2;0\n3;4;1\n" * 6)
    (project / "pipeline.yaml").write_text(BASE)
    assert main.main(["validate", str(project)]) == 2
    assert capsys.readouterr().err == (
        "penstock: label: the data has no column 'label'; there is one, 'a;b;label': is data.csv.delimiter \";\"?\n"
        '  the first file looks as if this were right:\n    data: {csv: {delimiter: ";"}}\n'
    )
    (project / "pipeline.yaml").write_text(BASE.replace("csv\n", 'csv\n  csv: {delimiter: ";"}\n'))
    assert main.main(["validate", str(project)]) == 0


@pytest.mark.parametrize("path", ["parts", "parts/*.csv", "parts/day-*", "parts/*.gz"])
def test_folders_and_patterns(load: Load, project: Path, path: str) -> None:
    (project / "parts").mkdir()
    (project / "parts" / "_SUCCESS").write_text("")
    (project / "parts" / "day-1.csv").write_text("\ufeffa,label\n1,0\n")
    (project / "parts" / "day-2.csv.gz").write_bytes(gzip.compress(b"a,label\n1,0\n"))
    text = BASE.replace("data.csv", path)
    published.check(load(text=text + "features: {a: {kind: numeric}}\n"))
    with pytest.raises(ConfigError, match="label: the data has no column 'lable'"):
        published.check(load(text=text.replace("label: label", "label: lable")))


@pytest.mark.parametrize(
    "path", ["gs://bucket/data.csv", "parts/{SPAN}/*.csv", "none-*.csv", "data.parquet", "torn.csv"]
)
def test_what_cannot_be_looked_at_is_left_to_the_run(load: Load, project: Path, path: str) -> None:
    (project / "parts" / "1").mkdir(parents=True)
    (project / "parts" / "1" / "data.csv").write_text("a,b\n1,2\n")
    (project / "data.parquet").write_bytes(b"PAR1")
    (project / "torn.csv").write_bytes(b"\xff\xfe\x00")
    published.check(load(text=BASE.replace("data.csv", path)))


@pytest.mark.parametrize("path", ["data[1].csv", "old[1]/a.csv", "old[1]", "old[1]/*.csv", "data{SPAN}.csv"])
def test_a_path_that_exists_is_that_path(load: Load, project: Path, path: str) -> None:
    for name in ("data1.csv", "data7.csv", "old1/a.csv"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text("wrong,label\n1,0\n")
    for name in ("data[1].csv", "old[1]/a.csv", "data{SPAN}.csv"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(ROWS)
    text = BASE.replace("data.csv", f'"{path}"')
    published.check(load(text=text + "features: {Fare: {kind: numeric}}\n"))
    splits = f'data: {{path: ., splits: {{train: "{path}", eval: "none.csv"}}}}\n'
    published.check(load(text=f"{splits}features: {{Fare: {{kind: numeric}}}}\nlabel: label\n"))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda packed: packed[:-12], "/data.csv.gz: the gzip data ends early: the file was cut off"),
        (lambda packed: packed[:12], "/data.csv.gz: the gzip data ends early: the file was cut off"),
        (lambda packed: packed[:20] + b"\xff\xff\xff" + packed[23:], "/data.csv.gz: the gzip data is damaged"),
    ],
)
def test_damaged_gzip_is_told(
    project: Path, damage: Callable[[bytes], bytes], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """To click, the end of a file that was cut off is Ctrl-D."""
    (project / "data.csv.gz").write_bytes(damage(gzip.compress(ROWS.encode() * 30)))
    (project / "pipeline.yaml").write_text(BASE.replace("data.csv", "data.csv.gz"))
    assert main.main(["validate", str(project)]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("name", ["plain.csv.gz", "packed.csv"])
def test_gzip_is_known_by_its_content(load: Load, project: Path, name: str) -> None:
    (project / name).write_bytes(gzip.compress(ROWS.encode()) if name == "packed.csv" else ROWS.encode())
    with pytest.raises(ConfigError, match="label: the data has no column 'lable'"):
        published.check(load(text=BASE.replace("data.csv", name).replace("label: label", "label: lable")))


@pytest.mark.parametrize("header", ["", "a,label\n"])
def test_a_line_without_an_end_is_not_read_to_its_end(load: Load, project: Path, header: str) -> None:
    """Half a gigabyte as gzip, of which little more than the first four megabytes are looked at."""
    (project / "bomb.csv").write_bytes(gzip.compress(header.encode()) + gzip.compress(b"a" * (8 << 20)) * 64)
    config = load(text=BASE.replace("data.csv", "bomb.csv"))
    tracemalloc.start()
    try:
        published.check(config)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_a_hundred_thousand_columns(load: Load, project: Path) -> None:
    names = [f"column_{number}" for number in range(100_000)]
    row = ",".join(["0"] * len(names)) + "\n"
    (project / "wide.csv").write_text(",".join(names) + "\n" + row * 30)
    started = time.process_time()
    published.check(load(text=BASE.replace("data.csv", "wide.csv").replace("label: label", "label: column_99999")))
    assert time.process_time() - started < 5
    csv_columns.check(load(text=BASE.replace("data.csv", "wide.csv").replace("label: label", "label: column_0")))


def test_rows_that_do_not_fit_into_what_is_read_are_not_taken_for_whole(
    load: Load, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_columns, "_CHARACTERS", 30)
    (project / "data.csv").write_text("name,label\nfirst,1\nsecond,12345\nthird,3\n")
    beginning = csv_columns.read(load(text=BASE))
    assert beginning == csv_columns.Beginning(["name", "label"], (["first", "1"],))
    monkeypatch.setattr(csv_columns, "_CHARACTERS", 8)
    assert csv_columns.read(load(text=BASE)).names == []
