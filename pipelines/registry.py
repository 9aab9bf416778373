"""The components of our pipelines: one entry each, which says what others than its own folder and the graph must know.

From the entries come the keys of `resources` and `kubernetes`, the jobs of several machines, and which tasks of a run
have made what its end, its page and later commands show. KFP counts tasks and executors of one component from the
second on (`evaluator-2`), so a task is known by the function that it executes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

_FUNCTION = "--function_to_execute"  # KFP's executor is told by it which function of its source to call

# The outputs of components that a run is asked for later, by KFP's names of them.
type Output = Literal[
    "examples",
    "cleaned_examples",
    "statistics",
    "schema",
    "model",
    "evaluation",
    "validation",
    "infra_validation",
    "pushed_model",
    "baseline",
]


@dataclass(frozen=True)
class Workers:
    """How several machines do a component's work: as many as `workers` in its section of the configuration says.

    Args:
        verb: What a machine does, as in "this machine trains alone".
        runtime: The TrainingRuntime of Kubeflow that the jobs refer to; docs/training_runtime.yaml makes it.
        joinable: Whether the others go on without a machine that is lost, until it comes back. Where they do not, all
            start anew, from the last checkpoint.
    """

    verb: str
    runtime: str
    joinable: bool = False


@dataclass(frozen=True)
class Component:
    """A component.

    Args:
        name: Its key in `resources` and `kubernetes`.
        title: What a person calls it, within a sentence.
        section: The section of the configuration that it is for; "" where there is none.
        functions: The functions of its KFP components, beside the one that has its own name.
        outputs: Those of its outputs that a run is asked for later.
        workers: How several machines do its work; None where one always does.
    """

    name: str
    title: str
    section: str = ""
    functions: tuple[str, ...] = ()
    outputs: tuple[Output, ...] = ()
    workers: Workers | None = None

    def executes(self, function: str) -> bool:
        """Whether a task that executes this function is one of the component."""
        return function in (self.name, *self.functions)


COMPONENTS = (
    Component("input_resolver", "the InputResolver", section="data"),
    Component(
        "example_gen",
        "ExampleGen",
        section="data",
        functions=(
            "csv_example_gen",
            "file_example_gen",
            "import_example_gen",
            "parquet_example_gen",
            "source_example_gen",
        ),
        outputs=("examples",),
    ),
    Component("example_cleaner", "the ExampleCleaner", section="cleaning", outputs=("cleaned_examples",)),
    Component("statistics_gen", "StatisticsGen", section="statistics", outputs=("statistics",)),
    Component(
        "schema_gen",
        "SchemaGen",
        section="schema",
        functions=("import_schema_gen",),
        outputs=("schema",),
    ),
    Component("example_validator", "ExampleValidator", section="validation"),
    Component("transform", "Transform", section="transform"),
    Component(
        "tuner", "the Tuner", section="tuning", workers=Workers("searches", runtime="penstock-search", joinable=True)
    ),
    Component(
        "trainer",
        "the Trainer",
        section="training",
        outputs=("model",),
        workers=Workers("trains", runtime="penstock"),
    ),
    Component("latest_blessed_model", "LatestBlessedModel", section="evaluation"),
    Component("evaluator", "the Evaluator", section="evaluation", outputs=("evaluation", "validation")),
    Component("infra_validator", "the InfraValidator", section="infra_validation", outputs=("infra_validation",)),
    Component("pusher", "the Pusher", section="push", outputs=("pushed_model",)),
    Component("bulk_inferrer", "the BulkInferrer", section="bulk_inference"),
    Component("model_monitor", "the ModelMonitor", section="monitoring", outputs=("baseline",)),
    Component("serving_baseline", "ServingBaseline"),
    Component("window_monitor", "the WindowMonitor"),
    Component("alerter", "the Alerter"),
    Component("retrainer", "the Retrainer"),
)


def component(function: str) -> Component | None:
    """Returns the component whose tasks execute a function; None for a function that is none of ours."""
    return next((entry for entry in COMPONENTS if entry.executes(function)), None)


def executed_function(command: Sequence[str]) -> str:
    """Returns the function that a container's command line executes; "" for what is no lightweight component."""
    return command[command.index(_FUNCTION) + 1] if _FUNCTION in command[:-1] else ""
