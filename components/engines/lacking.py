"""What workers on other machines do not have, though the task has it: files, and secrets."""

import os
import re
from collections.abc import Sequence

from penstock.core.errors import ConfigError, NoCredentials

STORAGE = "expected storage that all workers and this task have at the same path, such as a mounted bucket or volume"


def files(error: BaseException) -> list[str]:
    """Returns the files that were not there, of an error and of those that it came of."""
    chain: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in chain:
        chain.append(one)
        one = one.__cause__ or one.__context__
    named: list[str] = []
    for one in chain:
        if isinstance(one, FileNotFoundError):
            named += [one.filename] if one.filename else re.findall(r"/[^\s'\":]+", str(one))
    return [os.fspath(name) for name in named]


def explained(error: BaseException, missing: Sequence[str], variables_by: str) -> BaseException:
    """Returns a ConfigError for what only workers lack, else the error itself.

    `missing` are the `files` of the error, as its worker found them. `variables_by` is how a person gives workers an
    environment variable; NAME stands for its name.
    """
    if here := next((name for name in missing if os.path.exists(name)), None):
        return ConfigError(f"engine: the workers do not see {here}, which this task sees: {STORAGE}")
    if not isinstance(error, NoCredentials):
        return error
    if not error.variable:
        return ConfigError(f"engine: on the workers: {error.message}")
    if error.variable not in os.environ:
        return error
    how = variables_by.replace("NAME", error.variable)
    return ConfigError(f"engine: the workers have no environment variable {error.variable}, which this task has: {how}")
