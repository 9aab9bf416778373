"""Retrainings that a person starts on a server: the training pipeline, compiled for it now."""

from collections.abc import Callable

from penstock.components.retrainer import executor
from penstock.components.retrainer.executor import Changed
from penstock.components.retrainer.package import Package
from penstock.components.retrainer.runs import Runs
from penstock.components.retrainer.state import State
from penstock.core.errors import ConfigError
from penstock.core.files import temporary
from penstock.core.suggestions import did_you_mean
from penstock.pipelines.compiling import compile
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.monitoring import retraining_state
from penstock.pipelines.servers import submission
from penstock.pipelines.targets import target as targets

TARGETS = (targets.KUBEFLOW.name, targets.VERTEX.name)


def change[Result](config: Config, target: str, edit: Callable[[State], Result]) -> Changed[Result]:
    """Changes what is kept of the pipeline's retrainings, and starts what is due then on the target's server."""
    return executor.change(retraining_state(config), config.name, _runs(config, target), edit)


def _runs(config: Config, target: str) -> Runs:
    """Returns the server that the configuration names, with the pipeline compiled for it and its files published."""
    if target not in TARGETS:
        raise ConfigError(f"--target {target}: {did_you_mean(target, ('local', *TARGETS))}")
    with temporary.folder() as folder:
        compiled = compile.compile_config(config, targets.named(target), folder / "pipeline.yaml")
        read = submission.read(compiled.path)
    package = Package(read.pipeline, read.documents)
    if target == targets.KUBEFLOW.name:
        from penstock.components.retrainer.servers.kubeflow import KubeflowRuns

        return KubeflowRuns(config.kubeflow, package)
    from penstock.components.retrainer.servers.vertex_ai import VertexRuns

    return VertexRuns(config.vertex, package)
