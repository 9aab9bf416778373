"""Retrainings that a person starts on a server: the training pipeline, compiled for it now."""

from collections.abc import Callable

from penstock.components.retrainer import executor, runs
from penstock.components.retrainer.executor import Changed
from penstock.components.retrainer.package import Package
from penstock.components.retrainer.runs import Runs
from penstock.components.retrainer.state import RETRAININGS, State, of_pipeline
from penstock.core.artifacts.retraining import Retraining
from penstock.core.errors import ConfigError
from penstock.core.files import temporary
from penstock.core.state import open_folder
from penstock.core.suggestions import did_you_mean
from penstock.pipelines.compiling import compile
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.monitoring import retraining_state
from penstock.pipelines.servers import submission
from penstock.pipelines.targets import target as targets

TARGETS = (targets.KUBEFLOW.name, targets.VERTEX.name)


def change[Result](config: Config, target: str, edit: Callable[[State], Result]) -> Changed[Result]:
    """Changes what is kept of the pipeline's retrainings, and starts what is due then on the target's server."""
    _check(target)
    with temporary.folder() as folder:
        compiled = compile.compile_config(config, targets.named(target), folder / "pipeline.yaml")
        read = submission.read(compiled.path)
    server = _runs(config, target, Package(read.pipeline, read.documents))
    return executor.change(retraining_state(config), config.name, server, edit)


def listed(config: Config, target: str) -> list[Retraining]:
    """Returns the retrainings of a pipeline, the newest first: those of the target's server as it says.

    Nothing is written.
    """
    _check(target)
    retrainings = of_pipeline(open_folder(retraining_state(config), RETRAININGS).read(), config.name)
    runs.settle(retrainings, _runs(config, target, Package(config.name, ())))
    return retrainings[::-1]


def _check(target: str) -> None:
    if target not in TARGETS:
        raise ConfigError(f"--target {target}: {did_you_mean(target, ('local', *TARGETS))}")


def _runs(config: Config, target: str, package: Package) -> Runs:
    """Returns the server that the configuration names."""
    if target == targets.KUBEFLOW.name:
        from penstock.components.retrainer.servers.kubeflow import KubeflowRuns

        return KubeflowRuns(config.kubeflow, package)
    from penstock.components.retrainer.servers.vertex_ai import VertexRuns

    return VertexRuns(config.vertex, package)
