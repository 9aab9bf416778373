"""TFX-style pipelines that run unchanged on a laptop, on Kubeflow Pipelines and on Vertex AI.

`import penstock` imports nothing: each name is imported when it is asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str

__all__ = ["__version__"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import metadata

    return metadata.version(__name__)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
