"""What `penstock validate` tells of the data: what no run could read, and what a person may want to mend."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from penstock.pipelines.cli import main

Look = Callable[..., list[str]]
ROWS = "".join(f"{row % 7},{'ab'[row % 2]}\n" for row in range(40))
EVAL_CONFIG = (
    "eval_config: {model_specs: [{label_key: %s}], metrics_specs: [{metrics: [{class_name: MeanAbsoluteError}]}]}"
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def validate(project: Path, capsys: pytest.CaptureFixture[str]) -> Look:
    """Returns a function that validates a configuration of data.csv and label, and returns what is told of it."""

    def validate(content: str | bytes, more: str = "", code: int = 0, data: str = "{path: data.csv}") -> list[str]:
        (project / "data.csv").write_bytes(content.encode() if isinstance(content, str) else content)
        (project / "pipeline.yaml").write_text(f"data: {data}\nlabel: label\n{more}")
        assert main.main(["validate"]) == code
        told = capsys.readouterr()
        assert (told.out == "pipeline.yaml: valid\n") == (code == 0)
        return told.err.splitlines()

    return validate


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "data.csv: the file is empty: expected a header and rows"),
        ("x,label\n", "data.csv: there is a header and no row: expected at least one row"),
        ("x,label\n\n\n", "data.csv: there is a header and no row: expected at least one row"),
        ("x,label\n1,a\n", "data.csv: there is one row: expected some for each split, to learn from and to evaluate"),
        (
            "x,label\n" + "1,a\n2,a\n" * 20,
            "the label 'label' is 'a' in every row: expected two values or more",
        ),
        ("x,label\n" + "1,1\n2,1.0\n" * 20, "the label 'label' is '1' in every row"),
        ("x,label\n" + "1,\n2,NA\n" * 20, "label 'label': no row has a value: expected two values"),
        ("x,label\n" + "1,a\n2,b\n" * 4, "expected at least 10 rows with a label to train on, found 8"),
        (
            b"x,label\n" + ROWS.encode() + b"caf\xe9,a\n",
            "data.csv, line 42: expected utf-8, found the bytes b'\\xe9",
        ),
        (b"x,label\n" + ROWS.encode() + b"1,\xc3", "data.csv, line 42: expected utf-8, found the bytes b'\\xc3'"),
        (b"x,label\n" + ROWS.encode() + b"\0,a\n", "data.csv, line 42: expected text, found a NUL byte"),
        (
            "x,label\n" + ROWS + '"two\nlines",b,3\n',
            "line 42: expected 2 cells as in the header, found 3: two",
        ),
    ],
)
def test_what_no_run_could_read(validate: Look, content: str | bytes, sentence: str) -> None:
    told = validate(content, code=2)
    assert sentence in told[0]


def test_a_pattern_that_matches_nothing(validate: Look) -> None:
    (told,) = validate("x,label\n", data='{path: "parts/*.csv"}', code=2)
    assert told.startswith("penstock: data.path: no file matches '")
    assert "parts/*.csv'" in told
    (told,) = validate("x,label\n", data='{path: "parts-{SPAN}.csv"}', code=2)
    assert "no file matches" in told


def test_all_files_of_a_pattern_are_looked_at(validate: Look, project: Path) -> None:
    (project / "more.csv").write_bytes(b"x,label\n1,a\n\xff,b\n")
    (told,) = validate("x,label\n" + ROWS, data='{path: "*.csv"}', code=2)
    assert "more.csv, line 3: expected utf-8" in told
    (project / "more.csv").write_text("label,x\nc,1\n")
    (told,) = validate("x,label\n" + ROWS, data='{path: "*.csv"}', code=2)
    assert "more.csv: expected the columns of data.csv, x,label, found label,x" in told
    (project / "more.csv").write_text("x,label\n1,c\n")
    assert validate("x,label\n" + "1,a\n" * 20, data='{path: "*.csv"}') == []


def test_words_for_a_missing_value_and_slips(validate: Look) -> None:
    rows = [f"{row},{('none', 'A', '-')[row % 3]},{row % 9}" for row in range(60)]
    rows[10], rows[20], rows[30] = "NA,A,abt 5", "-,B,4", "?,B,7"
    told = validate("\n".join(["x,grade,label", *rows]) + "\n", "training: {problem: multiclass}\n")
    assert told == [
        "warning: taken for missing values: 'NA' in x (1 row); '-' in x (1 row); '?' in x (1 row); "
        "data.csv.null_values decides it: a list of such cells, [] for none",
        "warning: values like any other, though they may mean missing ones: 'none' in grade (19 rows); '-' in grade "
        '(19 rows); data.csv.null_values: ["NA", "-", "?", "none"] says that they do',
        "warning: columns of numbers that are text for a few cells: label: 'abt 5' (line 12); mend these, or "
        'data.csv.null_values: ["NA", "-", "?", "abt 5"] takes them for missing',
    ]
    explicit = '{path: data.csv, csv: {null_values: ["NA", "-", "?", "abt 5"]}}'
    told = validate("\n".join(["x,grade,label", *rows]) + "\n", data=explicit)
    assert told == ["warning: 1 of 60 rows have no value of the label 'label': they are left out"]


def test_what_takes_slips_for_missing_names_all_that_is_missing_in_their_column(validate: Look) -> None:
    rows = [f"{row},{'ab'[row % 2]}" for row in range(60)]
    rows[10], rows[20], rows[30] = "-,a", "NA,b", "abt 5,a"
    text = "\n".join(["x,label", *rows]) + "\n"
    _, told = validate(text)
    assert told.endswith('data.csv.null_values: ["NA", "-", "abt 5"] takes them for missing')
    assert validate(text, data='{path: data.csv, csv: {null_values: ["NA", "-", "abt 5"]}}') == []
    (told,) = validate(text, data='{path: data.csv, csv: {null_values: ["?", "NA", "-"]}}')
    assert told.endswith('data.csv.null_values: ["?", "NA", "-", "abt 5"] takes them for missing'), "none is lost"


def test_leaks_and_keys(validate: Look) -> None:
    rng = np.random.default_rng(0)
    price = np.round(rng.lognormal(3, 1, 400), 2)
    table = pd.DataFrame(
        {
            "order_id": rng.choice(10**6, 400, replace=False),
            "receipt": [f"r{row:05}x" for row in range(400)],
            "gross": np.round(price * 1.19, 2),
            "refund": np.where(price > 60, "", price),
            "size": rng.normal(size=400) + price / 100,
            "label": price,
        }
    )
    told = validate(table.to_csv(index=False))
    assert told == [
        "warning: column gross alone gives the label label away (R² 1 on other rows; always the mean has 0): is it "
        "known when the model is asked? if not, features: {gross: {ignore: true}}",
        "warning: left out, as their values differ as those of keys do: order_id, receipt; features: {order_id: {kind: "
        "numeric}} keeps one",
    ]
    table["label"] = np.where(price > 60, "dear", "cheap")
    told = validate(table.to_csv(index=False), "features: {gross: {ignore: true}, order_id: {kind: numeric}}\n")
    assert told[0].startswith(
        "warning: column refund alone gives the label label away by whether it has a value (AUC 1"
    )
    assert told[1].startswith(
        "warning: left out, as their values differ as those of keys do: receipt; features: {receipt:"
    )


def test_dates_in_two_formats(validate: Look) -> None:
    days = [f"2024-01-{day:02}" for day in range(1, 29)] + [f"{day:02}/02/2024" for day in range(12, 20)]
    rows = [f"{day},{day},{number % 2}" for number, day in enumerate([*days, *days])]
    content = "\n".join(["day,again,label", *rows]) + "\n"
    (told,) = validate(content, "features: {again: {ignore: true}}\n")
    assert told == (
        "warning: column day holds dates in two formats, iso (56 rows) and %d/%m/%Y (16, such as '12/02/2024' in line "
        "30): expected all in one, to be read as dates"
    )
    assert validate("day,label\n" + "".join(f"{day},{number % 2}\n" for number, day in enumerate(days[:28]))) == []


@pytest.mark.parametrize(
    ("label", "key", "sentence"),
    [
        ("1.5 2.5 7", "metrics: [rmse, auc]", "metrics: AUC is for classes, and the label is a number: expected such"),
        ("1.5 2.5 7", "thresholds: {auc: {min: 0.5}}", "thresholds: AUC is for classes, and the label is a number"),
        ("a b c", "metrics: [rmse]", "metrics: RootMeanSquaredError is for numbers, and the label is one of several"),
        ("a b", "metrics: [SparseCategoricalAccuracy]", "metrics: SparseCategoricalAccuracy is for several classes"),
        ("a b c", EVAL_CONFIG % "label", "eval_config: MeanAbsoluteError is for numbers, and the label is one of"),
    ],
)
def test_metrics_that_do_not_suit_the_label(validate: Look, label: str, key: str, sentence: str) -> None:
    values = label.split()
    content = "x,label\n" + "".join(f"{row % 7},{values[row % len(values)]}\n" for row in range(60))
    (told,) = validate(content, f"evaluation: {{{key}}}\n", code=2)
    assert told.startswith(f"penstock: evaluation.{sentence}")


def test_metrics_that_may_suit_the_label(validate: Look) -> None:
    """Of integers that are classes only where there are rows enough, and of numbers that are from 0 to 1."""
    content = "x,label\n" + "".join(f"{row % 7},{row % 5}\n" for row in range(60))
    (told,) = validate(content, "evaluation: {metrics: [rmse]}\n")
    assert told == (
        "warning: evaluation.metrics: RootMeanSquaredError is for numbers, and the label is one of several classes: "
        "expected such as sparse_categorical_accuracy; training.problem says it if the label is something else"
    )
    assert validate(content, "evaluation: {metrics: [rmse]}\ntraining: {problem: regression}\n") == []
    content = "x,label\n" + "".join(f"{row % 7},{row % 13 / 13:.3f}\n" for row in range(60))
    assert validate(content, "evaluation: {metrics: [auc, rmse]}\n") == []
    content = "x,label\n" + "".join(f"{row % 7},{'abc'[row % 3]}\n" for row in range(60))
    assert validate(content, f"evaluation: {{{EVAL_CONFIG % 'label_length'}}}\n") == [], "another label"
    config = EVAL_CONFIG % "label"
    of_an_output = config.replace("label_key: label", "label_keys: {fare: label_length}")
    assert validate(content, f"evaluation: {{{of_an_output}}}\n") == [], "another label, of an output"
    for each in ("binarize: {class_ids: {values: [1]}}", "aggregate: {micro_average: true}"):
        of_classes = config.replace("metrics_specs: [{", f"metrics_specs: [{{{each}, ")
        assert validate(content, f"evaluation: {{{of_classes}}}\n") == [], "what is compared is a class, yes or no"


def test_values_to_slice_by_that_no_row_has(validate: Look) -> None:
    content = "x,kind,label\n" + "".join(f"{row % 7},{['oak', 'elm'][row // 2 % 2]},{row % 2}\n" for row in range(60))
    told = validate(content, "evaluation: {slices: [{kind: oak, x: 6}, {kind: oka}, {x: 7}, {x: '1.0'}, kind]}\n")
    assert told == [
        "warning: evaluation.slices: no row has 'oka' in the column kind; did you mean 'oak'?",
        "warning: evaluation.slices: no row has 7 in the column x; its values are 0, 1, 2, 3, 4, 5, 6",
    ]


def test_of_parquet_too(validate: Look, project: Path) -> None:
    pd.DataFrame({"x": range(200), "y": [None, 1.5] * 100, "label": [0, 1] * 100}).to_parquet(project / "a.parquet")
    told = validate("", data="{path: a.parquet}")
    assert [line.partition(" (")[0] for line in told] == [
        "warning: column y alone gives the label label away by whether it has a value",
        "warning: left out, as their values differ as those of keys do: x; features: {x: {kind: numeric}} keeps one",
    ]
    (project / "a.parquet").write_bytes(b"PAR1 and no more")
    (line,) = validate("", data="{path: a.parquet}", code=2)
    assert "a.parquet: expected a Parquet file" in line


def test_without_the_runtime_it_says_what_it_did_not_look_at(
    validate: Look, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    lacking = ("numpy", "pyarrow", "tensorflow")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in lacking else found(name))
    (told,) = validate("x,label\n" + ROWS)
    assert told.startswith("columns that give the label away: not looked for, as it takes the runtime: pip install")
    (project / "a.parquet").write_bytes(b"")
    (told,) = validate("", data="{path: a.parquet}")
    assert told.startswith("data.path: not looked at, for Parquet files take the runtime: pip install")


def test_what_is_not_installed_here(validate: Look, project: Path) -> None:
    (project / "beside.py").write_text("import importlib\n")
    (project / "module.py").write_text(
        "import os, tensorflow as tf\nimport beside\nimport nowhere.more\ntry:\n    import optional\n"
        "except ImportError:\n    optional = None\ntry:\n    import other\nexcept* ImportError:\n    pass\n\n\n"
        "def run_fn(fn_args):\n    from nothere import this\n"
    )
    (told,) = validate("x,label\n" + ROWS, "module_file: module.py\ntraining: {train_steps: 1}\n")
    assert told == (
        "warning: modules that are imported and not installed here: nowhere (module.py, line 3), nothere (module.py, "
        "line 15): a local run needs them, such as by `pip install nowhere`, and so does the image of other runs"
    )
