"""The graph: what kfp.local cannot run, or runs wrongly, of loops, sub-pipelines and kinds of components."""

from collections.abc import Iterator

from penstock.pipelines.lint.pipeline import Pipeline, named_output
from penstock.pipelines.lint.rule import rule

_LIGHTWEIGHT = "kfp.dsl.executor_main"
_CONTAINERIZED = ["python3", "-m", _LIGHTWEIGHT]


@rule("named-list-in-loop")
def named_list(pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    """A loop over a named output: a local run ends with an error."""
    for name, task in pipeline.tasks():
        channel = task.get("parameterIterator", {}).get("items", {}).get("inputParameter", "")
        output = named_output(task, channel)
        if output:
            yield (
                name,
                f"{name}: a local run cannot loop over the output {output}: let the task return this one list, "
                "`-> List[...]`",
            )


@rule("artifacts-only")
def artifacts_only(pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    """An ExitHandler's body or a sub-pipeline that gets artifacts from outside but no parameter: a local run ends with
    an error."""
    for name, task in pipeline.tasks():
        inputs = task.get("inputs", {})
        loop = "parameterIterator" in task or "artifactIterator" in task
        if "dag" in pipeline.component(task) and "artifacts" in inputs and "parameters" not in inputs and not loop:
            yield (
                name,
                f"{name}: a local run loses the artifacts of an ExitHandler's body or a sub-pipeline that gets no "
                "parameter: give it one, such as one of the pipeline's",
            )


@rule("container-component", targets=("local",))
def container_component(pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    """A component that is no lightweight Python component: a local run refuses it."""
    for name, container in pipeline.containers():
        command = [*container.get("command", []), *container.get("args", [])]
        if command[: len(_CONTAINERIZED)] == _CONTAINERIZED or not any(_LIGHTWEIGHT in part for part in command):
            yield (
                name,
                f"component {name}: a local run starts no containers: make it a lightweight Python component "
                "(@dsl.component on a function, without target_image)",
            )


RULES = (named_list, artifacts_only, container_component)
