"""Runs that are killed before one of their steps, each of which is a method that they call."""

import itertools
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

_KILLED = 9


def killed_at(step: int, steps: Sequence[tuple[type, str]], run: Callable[[], Any]) -> bool:
    """Runs a function in another process, which is killed before its step of this number; whether there was one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of the server, which the child does not need
        child = os.fork()
    if child == 0:
        try:
            points = itertools.count()
            for owner, name in steps:
                setattr(owner, name, _killing(getattr(owner, name), points, step))
            run()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == _KILLED


def _killing(method: Callable[..., Any], points: Iterator[int], step: int) -> Callable[..., Any]:
    def wrapped(*arguments: Any, **options: Any) -> Any:
        if next(points) == step:
            os._exit(_KILLED)
        return method(*arguments, **options)

    return wrapped
