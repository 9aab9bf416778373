"""The components there are, and their export as KFP's component.yaml: whoever loads one needs no Python of ours."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from kfp import compiler

from penstock.components import storage, wrapper

COMPONENTS = Path(__file__).resolve().parent.parent / "components"
FILE = "component.yaml"


def folders() -> list[str]:
    """Returns the folders of components, sorted."""
    return sorted(path.parent.name for path in COMPONENTS.glob("*/component.py"))


def components(folder: str) -> list[Any]:
    """Returns KFP's components that a folder defines, in the order of the file."""
    module = importlib.import_module(f"penstock.components.{folder}.component")
    found = [value for value in vars(module).values() if _is_component(value, module.__name__)]
    return sorted(found, key=lambda component: int(component.python_func.__code__.co_firstlineno))


def export(output: Path, image: str | None = None) -> Iterator[Path]:
    """Writes `<output>/<component>/component.yaml` for every component, and yields its path."""
    for folder in folders():
        for component in components(folder):
            path = output / component.python_func.__name__ / FILE
            with storage.replacing(path) as temporary:
                written = temporary.with_suffix(".yaml")  # KFP looks at the ending
                compiler.Compiler().compile(component, str(written))
                _set_image(written, image or wrapper.IMAGE)
                written.rename(temporary)
            yield path


def _set_image(path: Path, image: str) -> None:
    comment, separator, text = path.read_text(encoding="utf-8").partition("components:")
    spec = yaml.safe_load(separator + text)
    for executor in spec["deploymentSpec"]["executors"].values():
        executor["container"]["image"] = image
    path.write_text(comment + yaml.safe_dump(spec, sort_keys=True, allow_unicode=True), encoding="utf-8")


def _is_component(value: Any, module: str) -> bool:
    function = getattr(value, "python_func", None)
    return function is not None and function.__module__ == module
