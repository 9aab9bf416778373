"""YAML that anybody may have written: nothing recurses, nothing is built before it is counted."""

import math
import tracemalloc
from typing import Any

import pytest
import yaml

from penstock.core.files import yaml_documents
from penstock.core.files.documents import DocumentError

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 10)
)
CHAIN = "c0: &c0 [x]\n" + "".join(f"c{level}: &c{level} [*c{level - 1}]\n" for level in range(1, 3000))
TOO_DEEP = "expected at most 64 lists and mappings in one another, found more"
REFUSED = [
    (BOMB, "p.yaml:6: expected at most 200,000 values, found more; an alias counts as all that it stands for"),
    (CHAIN, f"p.yaml:64: {TOO_DEEP}"),
    ("a: &a [*a]", "p.yaml:1: no value above is marked &a; text that begins with * stands in quotes"),
    ("a: *", "p.yaml:1: this is not YAML"),
    ("a: " + "[" * 3000, f"p.yaml:1: {TOO_DEEP}"),
    ("- " * 3000 + "a", f"p.yaml:1: {TOO_DEEP}"),
    ("".join(" " * level + "a:\n" for level in range(300)), f"p.yaml:65: {TOO_DEEP}"),
    ("a: !!bool maybe", "p.yaml:1: 'maybe' is no !!bool; text stands in quotes"),
    ("a: !!int 3x", "p.yaml:1: '3x' is no !!int"),
    ("a: !!int ''", "p.yaml:1: '' is no !!int"),
    ("a: !secret x", "p.yaml:1: unknown tag !secret: expected plain YAML, without it"),
    ("a: !!python/object/apply:os.system [x]", "p.yaml:1: unknown tag !!python/object/apply:os.system"),
    ("a: !!set {x}", "p.yaml:1: unknown tag !!set"),
    ("a: !!seq x", "p.yaml:1: unknown tag !!seq"),
    ("a:\n  - \x1b[31m", "p.yaml:2: found the character U+001B, which no YAML may hold: remove it"),
    ("a: \0", "p.yaml:1: found the character U+0000"),
    ('a: "\\0"', "p.yaml:1: found the character U+0000, which no program can be given: remove it"),
    ('"\\0": a', "p.yaml:1: found the character U+0000"),
    ("a: \ud800", "p.yaml:1: found the character U+D800"),
    ('a: "\\ud800"', "p.yaml:1: "),
    ("a: 99999999999999999999", "p.yaml:1: '99999999999999999999' is too large for a number; text stands in quotes"),
    ("a: " + "9" * 5000, "is too large for a number"),
    ("a: 1\nb: {c: 1}\na: 3", "p.yaml:3: key 'a' is here again, first in line 1"),
    ("a: {b: 1, 'b': 2}", "p.yaml:1: key 'b' is here again"),
    ("a: {{ label }}", "p.yaml:1: a key is a list or a mapping: expected text; a template's {{ }} stands in quotes"),
    ("? [a]\n: b", "p.yaml:1: a key is a list or a mapping"),
    ("a:\n\tb: 1", "p.yaml:2: this is not YAML: found character '\\t' that cannot start any token; lines begin with"),
]


@pytest.mark.parametrize(("text", "sentence"), REFUSED)
def test_what_is_refused_is_told_with_its_line(text: str, sentence: str) -> None:
    """In a compiled pipeline as well."""
    for parse in (yaml_documents.parse, yaml_documents.parse_compiled):
        with pytest.raises(DocumentError) as caught:
            parse(text, "p.yaml")
        assert sentence in str(caught.value)


def test_what_is_without_end_is_not_built() -> None:
    tracemalloc.start()
    for text in (BOMB, CHAIN, "a: " + "[" * 1_000_000):
        with pytest.raises(DocumentError):
            yaml_documents.parse(text, "p.yaml")
    assert tracemalloc.get_traced_memory()[1] < 50 << 20
    tracemalloc.stop()


def test_a_mistake_in_a_long_text_is_told_by_the_faster_parser() -> None:
    for text in (
        "{" + "a" * 100_000,
        "a: [1,\n" + "#" * 100_000,
        "# \x85\u2028\n" * 30_000 + "a: [",
        "a: %" + "b" * 99_999,
    ):
        for parse in (yaml_documents.parse, yaml_documents.parse_compiled):
            with pytest.raises(DocumentError, match=r"^p\.yaml:\d+: this is not YAML: "):
                parse(text, "p.yaml")


def test_values_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_documents, "MOST_VALUES", 1000)
    with pytest.raises(DocumentError, match=r"p\.yaml:1000: expected at most 200,000 values"):
        yaml_documents.parse("- a\n" * 2000, "p.yaml")


def test_a_persons_yaml() -> None:
    """YAML 1.2's core schema; keys are text, as in JSON; an alias is a copy, which --set may change by itself."""
    text = """
a: &a {b: [1, -2.5, 1e-3, yes, 12:30, 2024-01-01, ~, null, "3", .inf]}
c: *a
2019: &label label
*label : true
d: [!!str 3, !!float 3, ! 4]
"""
    read = yaml_documents.parse(text, "p.yaml")
    a = {"b": [1, -2.5, 0.001, "yes", "12:30", "2024-01-01", None, None, "3", math.inf]}
    assert read.value == {"a": a, "c": a, "2019": "label", "label": True, "d": ["3", 3.0, "4"]}
    assert read.value["a"]["b"] is not read.value["c"]["b"]
    assert read.lines["a", "b"] == 2
    assert read.lines["a", "b", 1] == 2
    assert read.lines["d",] == 6


@pytest.mark.parametrize(("text", "value"), [("", None), ("# nothing", None), ("---\n", None), ("[]", []), ("x", "x")])
def test_a_document_of_little(text: str, value: Any) -> None:
    assert yaml_documents.parse(text, "p.yaml").value == value


def test_two_documents_are_one_too_many() -> None:
    with pytest.raises(DocumentError, match="expected one document, found 2: take out the lines of ---"):
        yaml_documents.parse("a: 1\n---\nb: 2", "p.yaml")
    assert yaml_documents.parse_compiled("a: 1\n---\n# nothing\n---\nb: 2", "p.yaml") == [{"a": 1}, {"b": 2}]


def test_a_text_of_the_command_line_has_no_lines() -> None:
    with pytest.raises(DocumentError, match=r"^--set a: no value above is marked &x"):
        yaml_documents.parse("*x", "--set a", numbered=False)


@pytest.mark.parametrize(
    "value", ["1e-3", "yes", "12:30", "0o17", "<<", "=", "2024-01-01", "1234567e12", "~", " a", 0.1]
)
def test_compiled_pipelines_are_read_as_they_are_written(value: str | float) -> None:
    """PyYAML, and so KFP, writes text without quotes that YAML 1.2 takes for a number."""
    shared = [value]
    spec = {"a": value, "b": shared, "c": shared, value if isinstance(value, str) else "d": 1}
    assert yaml_documents.parse_compiled(yaml.safe_dump(spec), "p.yaml") == [spec]
