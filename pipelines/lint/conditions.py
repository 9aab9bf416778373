"""Conditions: kfp.local evaluates them with Python's eval, after it has put values in as text; an error is False."""

import re
from collections.abc import Iterator

from penstock.pipelines.lint.pipeline import Pipeline, named_output
from penstock.pipelines.lint.rule import Broken, rule

_CHANNEL = re.compile(r"inputs\.parameter_values\['([^']+)'\]")
# A text as KFP's compiler writes it: between single quotes, without any escape. One without quotes, backslashes and
# line ends is the same to CEL, which servers use, and to Python.
_TEXT = re.compile(r"(?<=[=<>] )'[^'\\\r\n]*'(?=\)| &&|$)")
# A number or a bool that is compared with a text: its name becomes a text.
_NAME_AS_TEXT = re.compile(r"'(?:int\()?\[([^\]]+)\]\)?'")


@rule("named-output-in-condition", bites=("local",))
def named_output_in_condition(pipeline: Pipeline) -> Iterator[Broken]:
    """A named output in a condition: a local run takes it for False."""
    for name, task, path in pipeline.tasks():
        for channel in _CHANNEL.findall(task.get("triggerPolicy", {}).get("condition", "")):
            output = named_output(task, channel)
            if output:
                yield Broken(
                    name,
                    f"{name}: the output {output} in a condition is always False in a local run: let the task return "
                    "this one value, `-> bool`, and compare its `.output`",
                    path,
                )


@rule("int-against-float", bites=("local",))
def int_against_float(pipeline: Pipeline) -> Iterator[Broken]:
    """An int compared with a float, literal or not: a local run takes it for False."""
    for name, condition, path in pipeline.conditions():
        without_texts = _TEXT.sub("", _short(condition))
        for number in re.findall(r"double\((-?\d+)\)", without_texts):
            yield Broken(
                name,
                f"{name}: a float compared with the int {number} is always False in a local run: write {number}.0",
                path,
            )
        for channel in re.findall(r"double\(int\(\[([^\]]+)\]\)\)", without_texts):
            yield Broken(
                name,
                f"{name}: an int, {_source(channel)}, compared with a float is always False in a local run: let both "
                "be ints, or both floats",
                path,
            )


@rule("text-against-number")
def text_against_number(pipeline: Pipeline) -> Iterator[Broken]:
    """A text compared with a number or a bool: KFP compares the text with the other's name."""
    for name, condition, path in pipeline.conditions():
        for channel in _NAME_AS_TEXT.findall(_short(condition)):
            yield Broken(
                name,
                f"{name}: a number or bool, {_source(channel)}, compared with a text is never equal: let both be of "
                "one type",
                path,
            )


@rule("text-in-condition")
def text_in_condition(pipeline: Pipeline) -> Iterator[Broken]:
    """A text with a single quote, a backslash, a line end or `pipelinechannel--` in a condition: KFP writes it without
    an escape, so that runners compare something else."""
    for name, condition, path in pipeline.conditions():
        rest = _NAME_AS_TEXT.sub("", _short(condition))
        if "'" in _TEXT.sub("", rest) or any("pipelinechannel--" in text for text in _TEXT.findall(rest)):
            yield Broken(
                name,
                f"{name}: a text with a single quote, a backslash, a line end or `pipelinechannel--` in it is compared "
                "wrongly: compare it in a component that returns a bool",
                path,
            )


def _short(condition: str) -> str:
    """Returns the condition with [channel] for each channel: the only single quotes left are those of texts."""
    return _CHANNEL.sub(r"[\1]", condition)


def _source(channel: str) -> str:
    """Returns what a channel carries as the pipeline's author wrote it: `task.output`, or a parameter's name."""
    name = channel.removeprefix("pipelinechannel--")
    return f"{name.removesuffix('-Output')}.output" if name.endswith("-Output") else name


RULES = (named_output_in_condition, int_against_float, text_against_number, text_in_condition)
