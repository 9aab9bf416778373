"""Constants: the values of parameters that are known when the pipeline is compiled."""

import json
from collections.abc import Iterator

from penstock.pipelines.lint.pipeline import Constant, Pipeline
from penstock.pipelines.lint.rule import Broken, rule

# Linux takes no argument of a process that is longer (MAX_ARG_STRLEN).
LONGEST_TEXT = 128 << 10


@rule("long-text")
def long_text(pipeline: Pipeline) -> Iterator[Broken]:
    """A value of 128 KiB or more: Linux gives a process no argument of that size."""
    for constant in pipeline.constants():
        value = constant.value
        size = len((value if isinstance(value, str) else json.dumps(value)).encode())
        if size >= LONGEST_TEXT:
            yield Broken(
                constant.name,
                f"{constant.place}: its value has {size:,} bytes, and the limit is {LONGEST_TEXT:,}: write it to a "
                "file, and give the file's path or an artifact",
                constant.path,
            )


@rule("python3-in-value", targets=("local",))
def python3_in_value(pipeline: Pipeline) -> Iterator[Broken]:
    """`python3` in a value or in the pipeline's name: kfp.local puts the interpreter's path there (`penstock run` does
    not)."""
    name_of_all = Constant("the pipeline's name", "name", pipeline.name, (0, "pipelineInfo", "name"))
    for constant in (name_of_all, *pipeline.constants()):
        if "python3" in json.dumps(constant.value):
            yield Broken(
                constant.name,
                f"{constant.place}: kfp.local puts the path of its interpreter in place of every `python3`: write it "
                "another way, such as through a link of another name",
                constant.path,
            )


RULES = (long_text, python3_in_value)
