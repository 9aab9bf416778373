"""The stand-in for a cluster itself: what it gives tasks, and what it shows of them, held against what was captured."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kfp
import pytest
import yaml
from kfp import dsl

from penstock.components.wrapper import component
from penstock.pipelines import cli


@component
def check() -> bool:
    return True


@component
def write(data: dsl.Output[dsl.Dataset], number: int = 3) -> int:
    import os
    open(data.path, "w").write(str(number))
    data.metadata["rows"] = number
    print(sorted(os.listdir("/")), os.getuid(), dict(os.environ), os.listdir("/s3"), os.listdir("/minio"))
    return number


@component
def add(numbers: list, data: dsl.Input[dsl.Dataset]) -> str:
    return f"{sum(numbers)} {open(data.path).read()} {data.metadata['rows']} {data.name}"


@component
def tell(status: dsl.PipelineTaskFinalStatus) -> str:
    return status.state


@dsl.pipeline(name="shapes")
def shapes(limit: float = 0.5) -> None:
    with dsl.ExitHandler(tell()):
        checked = check()
        first = write()
        with dsl.If(checked.output == True):  # noqa: E712
            one = write(number=1)
        with dsl.Else():
            two = write(number=2)
        chosen = dsl.OneOf(one.outputs["Output"], two.outputs["Output"])
        with dsl.If(limit > 0.6):
            write(number=4)
        with dsl.ParallelFor([1, 2]) as number:
            passed = write(number=number)
        add(numbers=dsl.Collected(passed.outputs["Output"]), data=first.outputs["data"])
        write(number=chosen)


def test_x(kubeflow: Any, tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "shapes.yaml"
    kfp.compiler.Compiler().compile(shapes, str(file))
    with kubeflow() as place:
        code = cli.main(["submit", str(file), "--host", place.server.url, "--wait", "--interval", "0.1"])
        print(code)
        for k, v in place.cluster.logs.items():
            print("----", k, v)
        (w,) = place.cluster.workflows.values()
        print(json.dumps(w.given["add"], indent=1))
        print(sorted(r.get("display_name", "-") for r in w.tree.records()))
    assert 0
