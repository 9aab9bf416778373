"""Regular expressions are read as RE2 reads them, which is asked itself."""

import random

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from penstock.core.cleaning import patterns

TAKEN = [
    r"\d{4} - .*",
    r"(?P<year>\d+)-(?P<day>\d+)",
    r"(?i)abc",
    r"(?i-s:a.c)|b*?",
    r"[[:alpha:]_-]+",
    r"[]a][^]a][\d\-x-z][a-]",
    r"\pL\p{Lu}\P{^Greek}\p{Any}",
    r"\x41\x{20AC}\101\07\.\-\/",
    r"\Qa+b(\E*",
    r"\Aa\b\B\C\z^$",
    r"a{2}{x}{,3}{3,2",
    r"a{0,1000}(b{10}){100}",
    "ü+",
    r"(?P<a>b)(?P<a>c)",
    r"()|(|a)",
]
REFUSED = {
    r"a(?=b)": "(?= at character 2: RE2 has no lookaround",
    r"(?<!a)b": "(?<! at character 1: RE2 has no lookaround",
    r"(a)\1": r"\1 at character 4: RE2 has no backreferences",
    r"(?P<n>a)(?P=n)": "(?P= at character 9: RE2 has no backreferences",
    r"(?>a)": "(?> at character 1: RE2 has no atomic groups",
    r"(a)?(?(1)b|c)": "RE2 has no conditions",
    r"(?#a)b": "RE2 has no comments",
    r"a++": "++ at character 2: expected one repetition",
    r"a{2}*": "{2}* at character 2: expected one repetition",
    r"*a": "* at character 1: there is nothing to repeat",
    r"a|+": "there is nothing to repeat",
    r"(?:)(*)": "there is nothing to repeat",
    r"a{1001}": "{1001} at character 2: expected at most 1,000 repetitions",
    r"a{3,2}": "the lower number first",
    r"(a{100}){11}": "{11} at character 9: expected at most 1,000 repetitions, also of those in others",
    r"(a": "( at character 1: its parenthesis is never closed",
    r"a)": ") at character 2: this parenthesis closes none",
    r"[a": "[ at character 1: its bracket is never closed",
    r"[z-a]": "z-a at character 2: expected the lower character of a range first",
    r"[a-\d]": r"\d at character 4: it stands for no character",
    r"[[:word]:]]": "[:word]:] at character 2: expected one of alnum, alpha",
    r"[\b]": r"\b at character 2: it stands for no character",
    r"a\Z": r"\Z at character 2: the end of the text is \z",
    r"\u20AC": r"\u at character 1: a character by its number is \x{20AC}",
    r"\x4": r"\x4 at character 1: expected a character by its number",
    r"\x{110000}": "expected a character by its number",
    r"\p{lower}": "expected a class of Unicode such as",
    r"\pX": "expected a class of Unicode such as",
    r"(?P<a b>c)": "expected letters, digits and underscores",
    r"(?x)a": "(?x) at character 1: expected (?: or (?P<name>, or flags, of which RE2 has i, m, s, U",
    r"a\Qb": r"\Q at character 2: expected \E",
    "a\\": "\\ at character 2: a character is expected after the backslash",
    r"é\é": r"\é at character 2: RE2 has no such escape",
}


def takes(regex: str) -> bool:
    """Whether RE2 takes an expression, and also within the parentheses that the rule puts around it."""
    try:
        for form in (regex, f"^(?:{regex})$"):
            pc.match_substring_regex(pa.array(["a"]), form)
    except pa.ArrowInvalid:
        return False
    return True


def is_one(regex: str) -> bool:
    try:
        patterns.check(regex)
    except patterns.PatternError:
        return False
    return True


@pytest.mark.parametrize("regex", TAKEN)
def test_what_it_takes(regex: str) -> None:
    patterns.check(regex)
    assert takes(regex)


@pytest.mark.parametrize(("regex", "sentence"), REFUSED.items())
def test_what_it_refuses_is_told(regex: str, sentence: str) -> None:
    with pytest.raises(patterns.PatternError) as raised:
        patterns.check(regex)
    assert sentence in str(raised.value)
    assert not takes(regex)


PARTS = [
    "a",
    "b",
    "é",
    "(",
    "(?:",
    "(?i)",
    "(?P<n>",
    "(?P<m>",
    "(?=",
    ")",
    "|",
    "[",
    "[^",
    "]",
    "-",
    "^",
    "$",
    ".",
    "*",
]
PARTS += ["+", "?", "{2}", "{3,}", "{,4}", "{40}", "{2,1}", "\\", r"\d", r"\W", r"\b", r"\1", r"\12", r"\x41", r"\x{4"]
PARTS += [
    r"\pL",
    r"\p{Lu}",
    r"\P{Greek}",
    r"\p",
    "}",
    r"\Q",
    r"\E",
    r"\z",
    r"\Z",
    "[:alpha:]",
    "[:no:]",
    ":]",
    r"\_",
    "1",
]


def test_it_says_what_re2_says_of_any_expression() -> None:
    chosen = random.Random(7)
    expressions = ["".join(chosen.choices(PARTS, k=chosen.randint(1, 7))) for _ in range(4000)]
    assert [regex for regex in expressions if is_one(regex) != takes(regex)] == []
    assert 500 < sum(map(is_one, expressions)) < 3500
