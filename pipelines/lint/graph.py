"""The graph: what kfp.local cannot run, or runs wrongly, of loops, sub-pipelines and kinds of components."""

from collections.abc import Iterator

from penstock.pipelines.lint.pipeline import Pipeline, named_output
from penstock.pipelines.lint.rule import Broken, rule

_LIGHTWEIGHT = "kfp.dsl.executor_main"
_CONTAINERIZED = ["python3", "-m", _LIGHTWEIGHT]


@rule("named-list-in-loop", bites=("local",))
def named_list(pipeline: Pipeline) -> Iterator[Broken]:
    """A loop over a named output: a local run ends with an error."""
    for name, task, path in pipeline.tasks():
        channel = task.get("parameterIterator", {}).get("items", {}).get("inputParameter", "")
        output = named_output(task, channel)
        if output:
            yield Broken(
                name,
                f"{name}: a local run cannot loop over the output {output}: let the task return this one list, "
                "`-> List[...]`",
                path,
            )


@rule("artifacts-only", bites=("local",))
def artifacts_only(pipeline: Pipeline) -> Iterator[Broken]:
    """An ExitHandler's body or a sub-pipeline that gets artifacts from outside but no parameter: a local run ends with
    an error."""
    for name, task, path in pipeline.tasks():
        inputs = task.get("inputs", {})
        loop = "parameterIterator" in task or "artifactIterator" in task
        if "dag" in pipeline.component(task) and "artifacts" in inputs and "parameters" not in inputs and not loop:
            yield Broken(
                name,
                f"{name}: a local run loses the artifacts of an ExitHandler's body or a sub-pipeline that gets no "
                "parameter: give it one, such as one of the pipeline's",
                path,
            )


@rule("container-component", targets=("local",))
def container_component(pipeline: Pipeline) -> Iterator[Broken]:
    """A component that is no lightweight Python component: a local run refuses it."""
    for name, container, path in pipeline.containers():
        command = [*container.get("command", []), *container.get("args", [])]
        if command[: len(_CONTAINERIZED)] == _CONTAINERIZED or not any(_LIGHTWEIGHT in part for part in command):
            yield Broken(
                name,
                f"component {name}: a local run starts no containers: make it a lightweight Python component "
                "(@dsl.component on a function, without target_image)",
                path,
            )


RULES = (named_list, artifacts_only, container_component)
