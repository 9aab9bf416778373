"""Rules as JSON: what is read, what is written again, and one sentence for each mistake."""

import json
from typing import Any

import pytest

from penstock.core.cleaning import parsing
from penstock.core.errors import ConfigError

FARE = {"columns": ["fare"]}
GOOD: list[dict[str, Any]] = [
    {"rule": "duplicates", "columns": ["id"], "keep": "newest", "by": "time"},
    {"rule": "missing_values", "values": ["?", ""]},
    {"rule": "missing", **FARE, "action": "constant", "value": 0},
    {"rule": "text", "columns": ["company"], "case": "title", "spaces": "collapse"},
    {"rule": "values", "columns": ["company"], "allowed": ["a"], "mapping": {"A": "a"}, "otherwise": "drop"},
    {"rule": "pattern", "columns": ["company"], "regex": "[a-z]+", "otherwise": "flag"},
    {"rule": "type", **FARE, "to": "integer", "decimal_point": ","},
    {"rule": "unit", **FARE, "by": "unit", "to": "km", "units": {"mi": {"factor": 1.6, "offset": 0.5}}},
    {"rule": "unit", **FARE, "name": "kelvin", "min": 200, "offset": -273.15},
    {"rule": "range", **FARE, "min": 0, "max": 100, "otherwise": "clip"},
    {"rule": "outliers", **FARE, "method": "mad", "deviations": 5},
    {"rule": "check", "expression": "fare > 0", "name": "positive", "otherwise": "flag"},
    {"rule": "reference", "columns": ["area"], "file": "areas.csv", "key": "id"},
]


def test_rules_are_read_and_written_again() -> None:
    rules = parsing.parse(json.dumps(GOOD))
    written = [parsing.to_json(rule) for rule in rules]
    assert [{key: one[key] for key in given} for one, given in zip(written, GOOD, strict=True)] == GOOD
    assert parsing.rules(written) == rules
    assert len({rule.name for rule in rules}) == len(rules)


def test_rules_without_a_name_get_one_of_their_own() -> None:
    rules = parsing.rules([{"rule": "range", **FARE, "min": 0}, {"rule": "range", **FARE, "max": 9}])
    assert [rule.name for rule in rules] == ["range fare", "range fare 2"]


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("range", "rules[0]: expected an object such as {rule: range}, received 'range'"),
        ({"columns": ["a"]}, "rules[0]: expected the key `rule`, one of duplicates,"),
        ({"rule": "rang"}, "rules[0]: unknown rule 'rang'; did you mean 'range'?"),
        ({"rule": "range"}, "rules[0] (range): expected columns, a list of names"),
        ({"rule": "range", **FARE}, "rules[0] (range): expected min, max or both"),
        ({"rule": "range", **FARE, "mini": 3}, "rules[0] (range): unknown key 'mini'; did you mean 'min'?"),
        ({"rule": "range", **FARE, "min": 3, "max": 2}, "rules[0] (range).min: expected max, 2, or less, received 3"),
        ({"rule": "range", **FARE, "min": "3"}, "rules[0] (range).min: expected a number, received '3'"),
        ({"rule": "unit", **FARE, "max": 3, "factor": 0}, "rules[0] (unit).factor: expected another than 0"),
        ({"rule": "range", **FARE, "min": float("nan")}, "rules[0] (range).min: expected a number, received nan"),
        (
            {"rule": "range", **FARE, "min": 0, "otherwise": "mend"},
            "expected missing, clip, drop, flag, received 'mend'",
        ),
        (
            {"rule": "pattern", **FARE, "regex": "a", "otherwise": "clip"},
            "expected missing, drop, flag, received 'clip'",
        ),
        ({"rule": "range", "columns": ["a", "a"], "min": 0}, "columns: expected each once, received 'a' twice"),
        ({"rule": "range", "columns": "fare", "min": 0}, "columns: expected a list of names of columns"),
        ({"rule": "values", **FARE}, "rules[0] (values): expected allowed, mapping or both"),
        (
            {"rule": "values", **FARE, "allowed": ["a"], "mapping": {"b": "c"}},
            "rules[0] (values).mapping: 'c' is not allowed: expected one of a",
        ),
        ({"rule": "values", **FARE, "allowed": [1], "mapping": {"b": 1.0}}, "mapping: 1.0 is not allowed"),
        ({"rule": "missing", **FARE, "action": "constant"}, "rules[0] (missing): expected a value to fill in"),
        ({"rule": "missing", **FARE, "action": "mean"}, "action: expected drop_row, drop_column, constant, median"),
        ({"rule": "missing", **FARE, "value": 3}, "value: it is for the action constant, and action is drop_row"),
        ({"rule": "missing", **FARE, "above": 2}, "above: expected a share from 0 to 1, received 2"),
        ({"rule": "duplicates", "keep": "newest"}, "expected `by`, the column whose greatest value is the newest"),
        ({"rule": "duplicates", "by": "a"}, "by: it is for keep: newest, and keep is first"),
        ({"rule": "unit", **FARE, "by": "u", "min": 0}, "expected either by and units, or min and max with a factor"),
        ({"rule": "unit", **FARE, "min": 0}, "expected a factor or an offset"),
        ({"rule": "unit", **FARE, "by": "u", "units": {"a": {}}}, "expected `to`, the unit that the others become"),
        (
            {"rule": "unit", **FARE, "by": "fare", "to": "g", "units": {"kg": {"factor": 1000}}},
            "rules[0] (unit).by: 'fare' is one of the columns, whose numbers name no unit",
        ),
        (
            {"rule": "unit", **FARE, "by": "u", "to": "g", "units": {"g": {"factor": 1000}}},
            "rules[0] (unit).units.g: this is what the others become",
        ),
        ({"rule": "outliers", **FARE, "low": 0.9, "high": 0.1}, "low: expected 0 <= low < high <= 1"),
        ({"rule": "outliers", **FARE, "deviations": 0}, "deviations: expected a number above 0"),
        ({"rule": "text", **FARE}, "expected case, spaces or both"),
        ({"rule": "pattern", **FARE}, "expected a regex, which the whole text fits"),
        (
            {"rule": "pattern", **FARE, "regex": "a("},
            "regex: expected a regular expression of RE2, received 'a(': ( at",
        ),
        ({"rule": "pattern", **FARE, "regex": "a(?!b)"}, "(?! at character 2: RE2 has no lookaround"),
        ({"rule": "missing_values"}, "expected values, the texts that mean a missing one"),
        ({"rule": "check"}, "expected an expression, such as trip_seconds > 0"),
        ({"rule": "check", "expression": "a > 0", "otherwise": "flag"}, "expected a name, of which the column"),
        ({"rule": "check", "expression": "a > 0", "otherwise": "missing"}, "expected columns, whose values are taken"),
        ({"rule": "check", "expression": "a >"}, "rules[0] (check): expression 'a >': invalid syntax"),
        ({"rule": "reference", "columns": ["a", "b"], "file": "f"}, "columns: expected one column"),
        ({"rule": "missing", "columns": ["y"], "action": "mode"}, "'y' is the label, which is not filled"),
        (
            {"rule": "check", "expression": "fare > y", "name": "a", "otherwise": "flag"},
            "rules[0] (check): 'a_flagged' would be made of the label 'y' and tell the model what it is",
        ),
        ({"rule": "range", "columns": ["y"], "min": 0, "otherwise": "flag"}, "'y_flagged' would be made of the label"),
        (
            {"rule": "check", "expression": "fare > y", "otherwise": "missing", "columns": ["fare"]},
            "a missing value of 'fare' would tell the model what the label 'y' is: expected otherwise: drop",
        ),
        (
            {"rule": "check", "expression": "fare > y", "otherwise": "missing", "columns": ["y"]},
            "by 'fare' rows would lack the label 'y'",
        ),
        (
            {"rule": "unit", **FARE, "by": "y", "to": "g", "units": {"kg": {"factor": 1000}}},
            "'fare' would be changed by the label 'y' and tell the model what it is",
        ),
        ({"rule": "missing", "columns": ["y"], "action": "drop_column"}, "'y' is the label, which is not dropped"),
    ],
)
def test_mistakes_are_told_in_a_sentence(rule: Any, sentence: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parsing.rules([rule], label="y")
    assert sentence in raised.value.message
    assert "\n" not in raised.value.message


def test_a_check_of_the_label_alone_may_take_it_for_missing() -> None:
    parsing.rules([{"rule": "check", "expression": "y >= 0", "otherwise": "missing", "columns": ["y"]}], label="y")


LOW = {"rule": "range", **FARE, "max": 10}
HIGH = {"rule": "range", **FARE, "min": 20, "name": "high"}


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        ([LOW, HIGH], "rules[1] (range): min is 20, and rules[0] leaves no number of 'fare' above 10: expected"),
        ([HIGH, {"rule": "text", "columns": ["a"], "case": "lower"}, LOW], "rules[2] (range): max is 10, and rules[0]"),
        ([LOW, {"rule": "unit", **FARE, "min": 100, "factor": 2}], "rules[1] (unit): min is 100, and rules[0] leaves"),
    ],
)
def test_ranges_that_exclude_each_other(rules: list[Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parsing.rules(rules)
    assert sentence in raised.value.message


@pytest.mark.parametrize(
    "between",
    [
        {"rule": "unit", **FARE, "max": 10, "factor": 10},
        {"rule": "values", **FARE, "mapping": {"1": 30}},
        {"rule": "missing", **FARE, "action": "constant", "value": 30},
    ],
)
def test_ranges_of_other_numbers_exclude_nothing(between: dict[str, Any]) -> None:
    assert len(parsing.rules([LOW, between, HIGH])) == 3
    assert len(parsing.rules([LOW | {"otherwise": "flag"}, HIGH, HIGH | {"columns": ["tips"], "name": "other"}])) == 3


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[]", "rules: expected at least one rule"),
        ("{}", "rules: expected a list, received {}"),
        ("[", "rules: expected JSON, received '['"),
        (
            '[{"rule": "duplicates", "name": "a"}, {"rule": "duplicates", "name": "a"}]',
            "rules[1].name: 'a' is another rule's",
        ),
    ],
)
def test_texts_that_hold_no_rules(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parsing.parse(text)
    assert sentence in raised.value.message


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"allowed": ["Cash"]}, "'Cash' is in no row after rules[0] (text), which makes 'cash' of it in 'paid'"),
        (
            {"mapping": {"No  charge": "None"}},
            "'No  charge' is in no row after rules[0] (text), which makes 'no",
        ),
        ({"allowed": ["Cash"], "mapping": {"cash": "Cash"}}, ""),
        ({"allowed": ["cash", "Cash"]}, ""),
    ],
)
def test_values_that_texts_have_no_more(values: dict[str, Any], wrong: str) -> None:
    text = {"rule": "text", "columns": ["paid"], "case": "lower", "spaces": "collapse"}
    rules = [text, {"rule": "values", "columns": ["paid"], **values}]
    said = ""
    try:
        parsing.parse(json.dumps(rules))
    except ConfigError as error:
        said = error.message
    assert (wrong in said, bool(said)) == (True, bool(wrong)), said
