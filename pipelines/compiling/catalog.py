"""The components there are, and their export as KFP's component.yaml: whoever loads one needs no Python of ours."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kfp import compiler

from penstock.components import wrapper
from penstock.core.files import atomic, temporary
from penstock.pipelines.compiling.compile import rewritten

COMPONENTS = Path(__file__).resolve().parents[2] / "components"
FILE = "component.yaml"


def folders() -> list[str]:
    """Returns the folders of components, sorted."""
    return sorted(path.parent.name for path in COMPONENTS.glob("*/component.py"))


def components(folder: str) -> list[Any]:
    """Returns KFP's components that a folder defines, in the order of the file."""
    module = importlib.import_module(f"penstock.components.{folder}.component")
    components = [value for value in vars(module).values() if _is_component(value, module.__name__)]
    return sorted(components, key=lambda component: int(component.python_func.__code__.co_firstlineno))


def export(output: Path, image: str | None = None) -> Iterator[Path]:
    """Writes `<output>/<component>/component.yaml` for every component, and yields its path."""

    def change(spec: dict[str, Any]) -> list[dict[str, Any]]:
        for executor in spec["deploymentSpec"]["executors"].values():
            executor["container"]["image"] = image or wrapper.IMAGE
        return [spec]

    for component in (component for folder in folders() for component in components(folder)):
        path = output / component.python_func.__name__ / FILE
        with temporary.folder() as scratch:
            package = scratch / FILE
            compiler.Compiler().compile(component, str(package))
            atomic.write_text(path, rewritten(package.read_text(encoding="utf-8"), change))
        yield path


def _is_component(value: Any, module: str) -> bool:
    function = getattr(value, "python_func", None)
    return function is not None and function.__module__ == module
