"""What a compiled pipeline may not do: what a runner gets silently wrong, and what a server refuses.

Each rule is a function of the compiled pipeline that yields a sentence for each place it finds: what is wrong there,
and what to write instead. Pipelines are meant to run unchanged everywhere, so a rule for one runner holds for all,
but for those that only clusters have (`CLUSTER_RULES`).
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from penstock.components.errors import ConfigError
from penstock.pipelines.targets import Target

# Linux takes no argument of a process that is longer (MAX_ARG_STRLEN).
LONGEST_TEXT = 128 << 10
# What a Kubernetes API server stores of one object at most, etcd's default, less what Argo adds to a workflow.
LARGEST_SPEC = 1 << 20
_SECRET = re.compile(r"(^|_)(password|passwd|secret|token|api_?key|credentials?|private_?key)($|_)", re.IGNORECASE)
_CHANNEL = re.compile(r"parameter_values\['([^']+)'\]")


@dataclass(frozen=True)
class Pipeline:
    """A compiled pipeline: its first document, and views of it that rules share."""

    spec: Mapping[str, Any]

    def tasks(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yields name and task, those of conditions and loops after the outer ones."""
        for component in (self.spec["root"], *self.spec.get("components", {}).values()):
            yield from component.get("dag", {}).get("tasks", {}).items()

    def named_outputs(self) -> dict[str, str]:
        """Returns, by the channel that carries it, each output of a task that has a name of its own."""
        found = {}
        for _, task in self.tasks():
            for channel, given in task.get("inputs", {}).get("parameters", {}).items():
                source = given.get("taskOutputParameter", {})
                if source.get("outputParameterKey", "Output") != "Output":
                    found[channel] = f"{source['producerTask']}.{source['outputParameterKey']}"
        return found


Rule = Callable[[Pipeline], Iterator[str]]


def named_output_in_a_condition(pipeline: Pipeline) -> Iterator[str]:
    named = pipeline.named_outputs()
    for name, condition in _conditions(pipeline):
        for channel in _CHANNEL.findall(condition):
            if channel in named:
                yield (
                    f"{name}: the output {named[channel]} in a condition is always False in a local run: let the task "
                    "return this one value, `-> bool`, and compare its `.output`"
                )


def whole_number_against_a_fraction(pipeline: Pipeline) -> Iterator[str]:
    for name, condition in _conditions(pipeline):
        for number in re.findall(r"double\((-?\d+)\)", condition):
            yield f"{name}: a float compared with the int {number} is always False in a local run: write {number}.0"


def quote_in_a_condition(pipeline: Pipeline) -> Iterator[str]:
    for name, condition in _conditions(pipeline):
        texts = re.findall(r"(?:==|!=|>=|<=|>|<) '(.*?)'(?= &&| \|\||\)|$)", condition)
        if any("'" in text or '"' in text for text in texts):
            yield f"{name}: a text with a quote in it is compared wrongly in a local run: compare it inside a component"


def named_list_to_loop_over(pipeline: Pipeline) -> Iterator[str]:
    named = pipeline.named_outputs()
    for name, task in pipeline.tasks():
        channel = task.get("parameterIterator", {}).get("items", {}).get("inputParameter", "")
        if channel in named:
            yield (
                f"{name}: a local run cannot loop over the output {named[channel]}: let the task return this one "
                "list, `-> List[...]`"
            )


def long_text(pipeline: Pipeline) -> Iterator[str]:
    for name, given in _constants(pipeline):
        size = len((given if isinstance(given, str) else json.dumps(given)).encode())
        if size >= LONGEST_TEXT:
            yield (
                f"{name}: its value has {size:,} bytes, and the limit is {LONGEST_TEXT:,}: write it to a file, and "
                "give the file's path or an artifact"
            )


def secret_in_a_parameter(pipeline: Pipeline) -> Iterator[str]:
    for name, given in _constants(pipeline):
        if _SECRET.search(name.rpartition(" ")[2]) and isinstance(given, str) and given:
            yield f"{name}: a secret in plain text is there for all who see the pipeline: take it from a Secret's env"


def evaluator_that_never_blesses(pipeline: Pipeline) -> Iterator[str]:
    waits = any("triggerPolicy" in task for _, task in pipeline.tasks())
    for name, task in pipeline.tasks():
        given = task.get("inputs", {}).get("parameters", {}).get("eval_config", {}).get("runtimeValue", {})
        text = given.get("constant")
        if waits and isinstance(text, str) and text and "threshold" not in text.lower():
            yield f"{name}: no metric in eval_config has a threshold, so no model is ever blessed: give one a threshold"


def image_without_a_tag(pipeline: Pipeline) -> Iterator[str]:
    images = {
        executor["container"]["image"]
        for executor in pipeline.spec.get("deploymentSpec", {}).get("executors", {}).values()
        if "container" in executor
    }
    for image in sorted(images):
        if "@" not in image and ":" not in image.rpartition("/")[2]:
            yield f"image {image}: without a tag a node may run any version of it: add :TAG or @sha256:DIGEST"


def large_spec(pipeline: Pipeline) -> Iterator[str]:
    size = len(json.dumps(pipeline.spec).encode())
    if size > LARGEST_SPEC:
        yield (
            f"the compiled pipeline has {size:,} bytes, and servers refuse more than {LARGEST_SPEC:,}: give large "
            "values as files"
        )


RULES: tuple[Rule, ...] = (
    named_output_in_a_condition,
    whole_number_against_a_fraction,
    quote_in_a_condition,
    named_list_to_loop_over,
    long_text,
    secret_in_a_parameter,
    evaluator_that_never_blesses,
)
CLUSTER_RULES: tuple[Rule, ...] = (image_without_a_tag, large_spec)


def findings(spec: Mapping[str, Any], target: Target) -> list[str]:
    """Returns a sentence for each place where a rule is broken, in the rules' order, none twice.

    Raises a ConfigError for what is no compiled pipeline.
    """
    if not isinstance(spec, Mapping) or not {"root", "deploymentSpec"} <= spec.keys():
        raise ConfigError("expected a compiled pipeline, with root and deploymentSpec, as `penstock compile` writes it")
    pipeline = Pipeline(spec)
    rules = RULES if target.accelerators is None else (*RULES, *CLUSTER_RULES)
    return list(dict.fromkeys(sentence for rule in rules for sentence in rule(pipeline)))


def check(spec: Mapping[str, Any], target: Target) -> None:
    """Raises a ConfigError that says what `findings` returns, if anything."""
    found = findings(spec, target)
    if len(found) == 1:
        raise ConfigError(found[0])
    if found:
        raise ConfigError(f"the pipeline breaks {len(found)} rules", "\n".join(found))


def _conditions(pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    for name, task in pipeline.tasks():
        condition = task.get("triggerPolicy", {}).get("condition", "")
        if condition:
            yield name, condition


def _constants(pipeline: Pipeline) -> Iterator[tuple[str, Any]]:
    """Yields place and value of what is known when the pipeline is compiled."""
    for name, entry in pipeline.spec["root"].get("inputDefinitions", {}).get("parameters", {}).items():
        if "defaultValue" in entry:
            yield f"parameter {name}", entry["defaultValue"]
    for task_name, task in pipeline.tasks():
        for name, given in task.get("inputs", {}).get("parameters", {}).items():
            if "constant" in given.get("runtimeValue", {}):
                yield f"{task_name}: parameter {name}", given["runtimeValue"]["constant"]
