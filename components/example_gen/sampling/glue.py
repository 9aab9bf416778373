"""A file of a Glue table; its job is not run."""

import contextlib
from collections.abc import Iterator
from typing import Any

from penstock.components.example_gen.sampling.look import Look, NotLookedAt
from penstock.components.example_gen.sources.glue.options import GlueOptions
from penstock.components.example_gen.sources.glue.source import GlueSource
from penstock.components.example_gen.sources.source import Opened
from penstock.core.errors import DataError


@contextlib.contextmanager
def opened(look: Look) -> Iterator[Opened[Any]]:
    """Raises NotLookedAt where there is nothing, and a job that may have to make it first."""
    options = GlueOptions.of(look.asked.options)
    try:
        resolved = GlueSource.some(look.asked)
    except DataError as error:
        if options.job is None:
            raise
        raise NotLookedAt(f"the job {options.job.name} makes it first ({error.message})") from None
    with GlueSource.open(look.request(resolved.splits, look.without("job"))) as found:
        yield found
