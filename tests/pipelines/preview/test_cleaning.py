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


def told(folder: Path, capsys: pytest.CaptureFixture[str], rule: str, data: str = "data.csv") -> tuple[int, str]:
    """Returns how validating ends for data with a rule, and what it says."""
    if not (folder / "data.csv").exists():
        proposed(folder, capsys, ROWS)
    file = folder / "pipeline.yaml"
    file.write_text(f"data: {{path: {data}}}\nlabel: label\ncleaning: {{rules: [{rule}]}}\n")
    code = main.main(["validate", str(file)])
    return code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (
            '{rule: check, expression: "payment > 3"}',
            "cleaning: rule 'check payment > 3': column 'payment' holds text, and 3 is a number",
        ),
        ("{rule: range, columns: [payment], min: 0}", "column 'payment' holds text, and this is a rule of numbers"),
        ("{rule: text, columns: [fare], case: lower}", "column 'fare' holds numbers, and this is a rule of text"),
        (
            "{rule: unit, columns: [fare], by: id, to: g, units: {kg: {factor: 1000}}}",
            "column 'id' holds whole numbers, which name no unit",
        ),
        ("{rule: pattern, columns: [payment], regex: '(?=C).*'}", "(?= at character 1: RE2 has no lookaround"),
        (
            "{rule: range, columns: [fare], max: 3}, {rule: range, columns: [fare], min: 4}",
            "min is 4, and rules[0] leaves",
        ),
        (
            '{rule: check, expression: "fare > 1 or label == 0", otherwise: missing, columns: [fare]}',
            "a missing value of 'fare' would tell the model what the label 'label' is",
        ),
        (
            "{rule: reference, columns: [payment], file: kinds.csv, key: nam}",
            "kinds.csv has no column 'nam'; did you mean 'name'?",
        ),
        (
            "{rule: reference, columns: [payment], file: kinds.parquet}",
            "kinds.parquet has no column 'payment'; the col",
        ),
        ("{rule: reference, columns: [payment], file: latin.csv}", "latin.csv: expected CSV text in UTF-8"),
        ("{rule: reference, columns: [payment], key: name, file: late.csv}", "late.csv: expected CSV text in UTF-8"),
        ("{rule: reference, columns: [payment], file: damaged.parquet}", "damaged.parquet: expected a Parquet file"),
    ],
)
def test_rules_that_no_run_could_apply(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rule: str, sentence: str
) -> None:
    kinds = pd.DataFrame({"name": ["Cash", "Card"]})
    kinds.to_csv(tmp_path / "kinds.csv", index=False)
    (tmp_path / "late.csv").write_bytes(b"name\n" + b"Cash\n" * 5000 + b"Caf\xe9\n")
    kinds.to_parquet(tmp_path / "kinds.parquet")
    (tmp_path / "latin.csv").write_bytes("Zürich\n".encode("latin-1"))
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1")
    code, said = told(tmp_path, capsys, rule)
    assert (code, sentence in said) == (2, True), said


def test_files_of_references_that_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pd.DataFrame({"name": ["Cash", "Card"]}).to_csv(tmp_path / "kinds.csv.gz", index=False)
    rule = "{rule: reference, columns: [payment], key: name, file: %s}"
    assert told(tmp_path, capsys, rule % "kinds.csv.gz")[0] == 0
    assert told(tmp_path, capsys, rule % "s3://bucket/kinds.csv")[0] == 0


def test_rules_that_do_not_fit_the_first_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    proposed(tmp_path, capsys, ROWS)
    pd.read_csv(tmp_path / "data.csv").to_parquet(tmp_path / "data.parquet")
    code, said = told(tmp_path, capsys, "{rule: text, columns: [fare], case: lower}", "data.parquet")
    assert (code, "this is a rule of text" in said) == (0, True), (
        said
    )  # of which cells do not say whether they are text
    code, said = told(tmp_path, capsys, "{rule: missing, columns: [far]}", "data.parquet")
    assert (code, "cleaning.rules[0]: the data has no column 'far'; did you mean 'fare'?" in said) == (2, True)


def test_units_that_no_row_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unit = "{rule: unit, columns: [fare], by: payment, to: Euro, units: {%s: {factor: 0.01}}}"
    code, said = told(tmp_path, capsys, unit % "Cent")
    sentence = "no row that was looked at has one of 'Cent', 'Euro' in column 'payment', but 'Cash', 'Card'"
    assert (code, sentence in said) == (0, True), said
    few = "150 of 300 rows have 'Card' in column 'payment', which is none of 'Cash', 'Euro': their numbers stay"
    assert few in told(tmp_path, capsys, unit % "Cash")[1]
    named = "{rule: values, columns: [payment], mapping: {Cash: Cent}}"
    assert "no row" not in told(tmp_path, capsys, f"{named}, {unit % 'Cent'}")[1]


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("{rule: type, columns: [payment], to: integer}", "is a number, but 'Cash', 'Card'"),
        ("{rule: pattern, columns: [payment], regex: 'as|ard'}", "is as a whole 'as|ard', but 'Cash', 'Card'"),
        ("{rule: pattern, columns: [payment], regex: 'C.*'}", ""),
        ("{rule: values, columns: [payment], allowed: [cash, card]}", "is one of 'cash', 'card', but 'Cash'"),
        ("{rule: values, columns: [payment], allowed: [x], mapping: {Cash: x}}", ""),
        ("{rule: values, columns: [id], allowed: ['7', '8']}", ""),
        (
            "{rule: reference, columns: [id], key: name, file: kinds.csv}",
            "kinds.csv, which has 'Cash', 'Bar', but '0',",
        ),
        ("{rule: reference, columns: [payment], key: name, file: kinds.csv}", ""),
        ("{rule: text, columns: [payment], case: lower}, {rule: values, columns: [payment], allowed: [cash]}", ""),
    ],
)
def test_rules_that_no_value_passes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rule: str, sentence: str
) -> None:
    (tmp_path / "kinds.csv").write_text("name\nCash\nBar\n")
    code, said = told(tmp_path, capsys, rule)
    assert (code, sentence in said, "all of them would be wrong" in said) == (0, True, bool(sentence)), said
