"""What a command answers, rendered in one place: as text for a person, or as one JSON document for a program.

The document is all of standard output, whether the command succeeds or not. Progress, warnings and the sentence on a
failure are on standard error. It is an object:

    version    of this form: 1. Keys may be added to it; where one goes or changes its meaning, the number rises.
    command    the command
    exit_code  that of the process
    result     what the command is for, by its schema in docs/output.schema.json; null if it came to nothing
    error      null, or an object: type, message, details (lines)
"""

import contextlib
import itertools
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Self, TypedDict

import click

from penstock.core.credentials import masks
from penstock.core.errors import PenstockError
from penstock.core.text.printable import sentence
from penstock.pipelines.cli.terminal import tell, tell_document

VERSION: Final = 1
_FLAG = "--json"
_HELP_FLAGS = {"-h", "--help"}  # what is answered by click, in text
_VERSION = "--version"  # likewise before a command; of a command it is an option of its own
_HELP = "Writes one JSON document to standard output: docs/scripts.md."
json_option = click.option(_FLAG, is_flag=True, expose_value=False, help=_HELP)
as_json_option = click.option(_FLAG, "as_json", is_flag=True, help=_HELP)  # of a command that has to know


class Error(TypedDict):
    """Why a command failed: the kind of error (core/errors.py), one sentence, lines to stand below it."""

    type: str
    message: str
    details: list[str]


class Document(TypedDict):
    """What a command writes with --json."""

    version: Literal[1]
    command: str
    exit_code: int
    result: Any
    error: Error | None


@dataclass(frozen=True)
class Failure:
    """Why a command failed, and its exit code. `type` is the name of an error; `indent` stands before the details."""

    type: str
    message: str
    details: Sequence[str] = ()
    exit_code: int = 1
    indent: str = "  "

    @classmethod
    def of(cls, error: PenstockError) -> Self:
        return cls(type(error).__name__, error.message, error.details.splitlines(), error.exit_code)


@dataclass(frozen=True)
class Answer:
    """What a command answers.

    Args:
        result: The record, of JSON's types; None of a command that has none.
        text: Returns it as a person reads it.
        failure: Why the command failed, although it may have a result: a run that failed is one as well.
    """

    result: Mapping[str, Any] | None = None
    text: Callable[[], str] = str
    failure: Failure | None = None

    def with_text(self) -> "Answer":
        """Returns the answer with its text, which may come of files, made now: that may fail as a command may."""
        text = self.text()
        return replace(self, text=lambda: text)

    @property
    def exit_code(self) -> int:
        return self.failure.exit_code if self.failure else 0


def wants_json(words: Sequence[str]) -> bool:
    """Whether a command line asks for JSON, also one that cannot be read further."""
    options = list(itertools.takewhile(lambda word: word != "--", words))
    by_format = "--format=json" in options or ("--format", "json") in itertools.pairwise(options)
    before_command = itertools.takewhile(lambda word: word.startswith("-"), options)
    return (_FLAG in options or by_format) and not _HELP_FLAGS & set(options) and _VERSION not in before_command


@contextlib.contextmanager
def standard_output_for(as_json: bool) -> Iterator[None]:
    """Sends what a command and its libraries print to standard error if standard output is for a document."""
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        yield


def render(answer: Answer, command: str, as_json: bool) -> int:
    """Writes an answer; returns the exit code."""
    if not as_json and (text := answer.text()):
        tell(text)
    if answer.failure:
        tell(f"penstock: {sentence(answer.failure.message)}", err=True)
        for line in answer.failure.details:
            tell(f"{answer.failure.indent}{line}", err=True)
    if as_json:
        tell_document(json.dumps(_plain(document(answer, command)), indent=1, allow_nan=False))
    return answer.exit_code


def document(answer: Answer, command: str) -> Document:
    """Returns an answer as JSON has it, with masks in place of credentials."""
    failure = answer.failure
    error = Error(type=failure.type, message=failure.message, details=list(failure.details)) if failure else None
    return Document(
        version=VERSION,
        command=command,
        exit_code=answer.exit_code,
        result=masks.masked_value(answer.result),
        error=masks.masked_value(error),
    )


def _plain(value: Any) -> Any:
    """Returns a value with null for numbers that JSON does not have."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
