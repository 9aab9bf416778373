"""What a process does once it has imported, so that all that it does afterwards takes less of its time."""

import gc
import sys
import types
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary


def settle() -> None:
    """Keeps the millions of objects of its modules out of each garbage collection, and what Beam reads of functions."""
    gc.collect()
    gc.freeze()
    if "apache_beam.transforms.core" in sys.modules:
        _keep_signatures(sys.modules["apache_beam.typehints.decorators"], sys.modules["apache_beam.transforms.core"])


def _keep_signatures(*users: Any) -> None:
    """Beam inspects every method of a DoFn ten times while it builds a pipeline: a fifth of a small pipeline's time."""
    inspected = users[0].get_signature
    bound: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
    plain: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()

    def get_signature(function: Callable[..., Any]) -> Any:
        is_method = isinstance(function, types.MethodType)
        key = function.__func__ if isinstance(function, types.MethodType) else function
        if not isinstance(key, types.FunctionType):
            return inspected(function)
        known = bound if is_method else plain
        if key not in known:
            known[key] = inspected(function)
        return known[key]

    for user in users:
        user.get_signature = get_signature
