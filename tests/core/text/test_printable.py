"""Text of others: it commands no terminal, and it has an end."""

import pickle

import pytest

from penstock.core.errors import ConfigError
from penstock.core.text import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("tips", "tips"),
        ("größe 年齢 👩‍🔬 5 €", "größe 年齢 👩‍🔬 5 €"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b[31mred\x07\x9b0m", "\\x1b[31mred\\x07\\x9b0m"),
        ("\u202etxt.exe\u2028\ufeff", "\\u202etxt.exe\\u2028\\ufeff"),
        ("\udcff", "\\udcff"),
        ("\U000e0001", "\\U000e0001"),
    ],
)
def test_what_is_not_seen_is_written_out(text: str, shown: str) -> None:
    assert printable.printable(text) == shown
    assert printable.printable(shown) == shown


def test_a_long_text_keeps_its_beginning_and_its_end() -> None:
    text = printable.shortened("a" * 3_000_000 + ": do this", 100)
    assert len(text) == 100
    assert text.startswith("aaa")
    assert text.endswith(": do this")
    assert printable.value("x" * 1000) == "'" + "x" * 79 + "…"
    assert printable.value(["a\x1b"]) == "['a\\x1b']"


def test_names_are_short_and_all_different() -> None:
    longs = [f"https://example.org/{number}/{'x' * 50}/page" for number in range(2)]
    assert printable.names(["oak", "", *longs], 24) == [
        *("oak", "(empty)"),
        *("https://example … x/page #3", "https://example … x/page #4"),
    ]
    assert printable.name("a\n" + "x" * 100) == "a\\n" + "x" * 25 + " … " + "x" * 10


def test_an_error_is_printable_whatever_it_was_made_of() -> None:
    name = "\x1b[2J\n" + "x" * 3_000_000
    error = ConfigError(f"label: the data has no column {name}; did you mean 'tips'?", "\n".join(["a\x1b"] * 3000))
    assert error.message.startswith("label: the data has no column \\x1b[2J\\nxxx")
    assert error.message.endswith("xxx; did you mean 'tips'?")
    assert len(str(error)) < 10_000
    assert error.details.splitlines()[:2] == ["a\\x1b", "a\\x1b"]
    assert error.details.endswith("and 2,901 more lines")
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.message, copy.details) == (error.message, error.details)


def test_many_words_have_an_end_too() -> None:
    assert len(ConfigError("no column " + "ab " * 1_000_000 + "that").message) <= printable.LONGEST


def test_lines_stay_lines() -> None:
    assert printable.lines("task\tstatus\n\x1b[31m") == "task    status\n\\x1b[31m"
