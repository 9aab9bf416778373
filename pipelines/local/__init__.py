"""The local run: the compiled pipeline by kfp.local, with warm workers, a cache, and a report."""

from penstock.pipelines.local.execution import RunSummary, explain, require_runtime, run

__all__ = ["RunSummary", "explain", "require_runtime", "run"]
