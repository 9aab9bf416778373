"""Rules that `penstock validate` proposes: each is one that the configuration takes, and that mends what was found."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from penstock.pipelines.cli import main

ROWS = [f"{row},{row * 7 % 53 / 4},{['Cash', 'Card'][row % 2]},{'ab'[row % 2]}" for row in range(300)]


def proposed(folder: Path, capsys: pytest.CaptureFixture[str], lines: list[str], more: str = "") -> list[str]:
    (folder / "data.csv").write_text("\n".join(["id,fare,payment,label", *lines, ""]))
    (folder / "pipeline.yaml").write_text(f"data: {{path: data.csv}}\nlabel: label\n{more}")
    assert main.main(["validate", str(folder / "pipeline.yaml")]) == 0
    return [line for line in capsys.readouterr().err.splitlines() if "cleaning.rules may have" in line]


@pytest.mark.parametrize(
    ("lines", "found", "rule"),
    [
        (ROWS[:20], "20 of 320 rows are there already", "{rule: duplicates}"),
        (
            ["301,1.5, cash,a", "302,1.5,cash ,b"],
            "column payment has values in several spellings, such as 'Cash', ' cash', 'cash '",
            '{rule: values, columns: [payment], mapping: {" cash": Cash, "cash ": Cash}}',
        ),
        (
            ["301,1.5,Cash ,a"],
            "column payment has values in several spellings, such as 'Cash', 'Cash '",
            "{rule: text, columns: [payment], spaces: collapse}",
        ),
        (
            [f"{301 + row},1.5,{''.join(word)},a" for row, word in enumerate(["cASH", "CaSH", "caSH", "cAsH"] * 3)]
            + [f"{401 + row},1.5,{word},a" for row, word in enumerate(["cARD", "CaRD", "caRD", "cArD", "CARd"])],
            "column payment has values in several spellings, such as 'Cash', 'CaSH', ",
            "{rule: text, columns: [payment], case: lower, spaces: collapse}",
        ),
        (
            ["301,-999,Card,a", "302,-999,Cash,b"],
            "column fare is -999 in 2 rows and else 0 to 13",
            "{rule: range, columns: [fare], min: 0}",
        ),
        (
            ["301,9999,Card,a", "302,9999,Cash,b"],
            "column fare is 9999 in 2 rows and else 0 to 13",
            "{rule: range, columns: [fare], max: 13}",
        ),
        (["301,-0.5,Card,a"], "1 of 301 numbers in column fare are below 0", "{rule: range, columns: [fare], min: 0}"),
    ],
)
def test_a_rule_is_proposed_and_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: list[str], found: str, rule: str
) -> None:
    (sentence,) = proposed(tmp_path, capsys, ROWS + lines)
    assert sentence.startswith(found)
    assert sentence.endswith(rule)
    assert isinstance(yaml.safe_load(rule), dict)
    assert proposed(tmp_path, capsys, ROWS + lines, f"cleaning: {{rules: [{rule}]}}\n") == []


def test_nothing_is_proposed_for_clean_data_or_for_the_label(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert proposed(tmp_path, capsys, ROWS) == []
    assert proposed(tmp_path, capsys, [*ROWS, "301,1.5,Cash,A"]) == []


def test_texts_for_missing_values_are_proposed_where_no_option_names_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.DataFrame({"place": ["here", "there", "N/A"] * 20, "label": ["a", "b", "a"] * 20, "row": range(60)})
    table.to_parquet(tmp_path / "data.parquet")
    (tmp_path / "pipeline.yaml").write_text("data: {path: data.parquet}\nlabel: label\n")
    assert main.main(["validate", str(tmp_path / "pipeline.yaml")]) == 0
    told = capsys.readouterr().err
    assert 'cleaning.rules may have {rule: missing_values, columns: [place], values: ["N/A"]}' in told


def test_rules_that_do_not_fit_the_first_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rule = "{rule: text, columns: [fare], case: lower}"
    proposed(tmp_path, capsys, ROWS)
    file = tmp_path / "pipeline.yaml"
    file.write_text(f"data: {{path: data.csv}}\nlabel: label\ncleaning: {{rules: [{rule}]}}\n")
    assert main.main(["validate", str(file)]) == 0
    assert "column 'fare' holds numbers, and this is a rule of text" in capsys.readouterr().err
    pd.read_csv(tmp_path / "data.csv").to_parquet(tmp_path / "data.parquet")
    file.write_text("data: {path: data.parquet}\nlabel: label\ncleaning: {rules: [{rule: missing, columns: [far]}]}\n")
    assert main.main(["validate", str(file)]) == 2
    assert "cleaning.rules[0]: the data has no column 'far'; did you mean 'fare'?" in capsys.readouterr().err
