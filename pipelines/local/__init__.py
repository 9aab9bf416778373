"""The local run: the compiled pipeline by kfp.local, with warm workers, a cache, and a report."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.pipelines.local.docker.containers import containers_for
    from penstock.pipelines.local.orchestrator import require_runtime, run
    from penstock.pipelines.local.summary import RunSummary

__all__ = ["RunSummary", "containers_for", "require_runtime", "run"]


def __getattr__(name: str) -> Any:
    """Imports what runs pipelines when it is asked for: the workers start in this package without kfp's compiler."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from penstock.pipelines.local import orchestrator
    from penstock.pipelines.local.docker import containers

    return getattr(containers if name == "containers_for" else orchestrator, name)
