"""TFX-style pipelines that run unchanged on a laptop, on Kubeflow Pipelines and on Vertex AI.

    run = penstock.run("pipeline.yaml", {"training.epochs": 3})
    run.metrics

`import penstock` imports nothing: each name is imported when it is asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.pipelines.api import Report, Run, run, runs

    __version__: str

__all__ = ["Report", "Run", "__version__", "run", "runs"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "__version__":
        from importlib import metadata

        return metadata.version(__name__)
    from penstock.pipelines import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
