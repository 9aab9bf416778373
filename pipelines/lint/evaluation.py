"""Gates that never open: an Evaluator without a threshold blesses no model, as in TFX."""

from collections.abc import Iterator, Mapping
from typing import Any

from penstock.pipelines.config.evaluation import eval_config
from penstock.pipelines.lint.pipeline import Pipeline
from penstock.pipelines.lint.rule import Broken, rule


@rule("never-blessed")
def never_blessed(pipeline: Pipeline) -> Iterator[Broken]:
    """An Evaluator whose verdict something waits for, and whose eval_config has no threshold: it blesses no model."""
    for where, graph in pipeline.placed_graphs:
        for name, task in graph.items():
            text = _parameter(task, "eval_config", pipeline)
            if not isinstance(text, str) or eval_config.has_threshold(text) or _may_have_margins(task, pipeline):
                continue
            if _is_waited_for(name, graph):
                yield Broken(
                    name,
                    f"{name}: no metric in eval_config has a threshold, so no model is ever blessed: give one a "
                    "threshold",
                    (*where, name),
                )


def _parameter(task: Mapping[str, Any], key: str, pipeline: Pipeline) -> Any:
    """Returns what a task gets as a parameter; None where that is not known before it runs."""
    source = task.get("inputs", {}).get("parameters", {}).get(key, {})
    if "componentInputParameter" in source:
        return pipeline.parameters.get(source["componentInputParameter"], {}).get("defaultValue")
    return source.get("runtimeValue", {}).get("constant")


def _may_have_margins(task: Mapping[str, Any], pipeline: Pipeline) -> bool:
    """Whether an Evaluator gets margins over the trivial model, or something that is not known before it runs."""
    is_given = "better_than_trivial" in task.get("inputs", {}).get("parameters", {})
    return is_given and _parameter(task, "better_than_trivial", pipeline) != ""


def _is_waited_for(evaluator: str, graph: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a task takes the Evaluator's bare bool, as conditions do, or its blessing, as the Pusher does."""
    for task in graph.values():
        inputs = task.get("inputs", {})
        taken = [source.get("taskOutputParameter", {}) for source in inputs.get("parameters", {}).values()]
        taken += [source.get("taskOutputArtifact", {}) for source in inputs.get("artifacts", {}).values()]
        for source in taken:
            output = source.get("outputParameterKey") or source.get("outputArtifactKey")
            if source.get("producerTask") == evaluator and output in ("Output", "blessing"):
                return True
    return False


RULES = (never_blessed,)
