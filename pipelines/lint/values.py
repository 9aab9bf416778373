"""Constants: the values of parameters that are known when the pipeline is compiled."""

import json
from collections.abc import Iterator

from penstock.pipelines.lint.pipeline import Pipeline
from penstock.pipelines.lint.rule import rule

# Linux takes no argument of a process that is longer (MAX_ARG_STRLEN).
LONGEST_TEXT = 128 << 10


@rule("long-text")
def long_text(pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    """A value of 128 KiB or more: Linux gives a process no argument of that size."""
    for constant in pipeline.constants():
        value = constant.value
        size = len((value if isinstance(value, str) else json.dumps(value)).encode())
        if size >= LONGEST_TEXT:
            yield (
                constant.name,
                f"{constant.place}: its value has {size:,} bytes, and the limit is {LONGEST_TEXT:,}: write it to a "
                "file, and give the file's path or an artifact",
            )


@rule("python3-in-value", targets=("local",))
def python3_in_value(pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    """`python3` in a value or in the pipeline's name: kfp.local puts the interpreter's path there (`penstock run` does
    not)."""
    places = [(constant.name, constant.place, json.dumps(constant.value)) for constant in pipeline.constants()]
    for name, place, text in [("name", "the pipeline's name", pipeline.name), *places]:
        if "python3" in text:
            yield (
                name,
                f"{place}: kfp.local puts the path of its interpreter in place of every `python3`: write it another "
                "way, such as through a link of another name",
            )


RULES = (long_text, python3_in_value)
