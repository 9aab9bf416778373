"""A local run of a configuration: compiled for this machine, its tasks run as processes or in containers."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from penstock.core.artifacts.retraining import Retraining
from penstock.pipelines import local, registry
from penstock.pipelines.compiling import compile
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.local.records import origin
from penstock.pipelines.local.summary import RunSummary
from penstock.pipelines.targets import jobs
from penstock.pipelines.targets import target as targets

type Runner = Literal["subprocess", "docker"]
type Say = Callable[[str], None]


def launch(
    config: Config,
    warn: Say,
    note: Say,
    *,
    runner: Runner = "subprocess",
    no_cache: bool = False,
    verbose: bool = False,
    retraining: Retraining | None = None,
) -> RunSummary:
    """Runs a configuration, and shows its progress on standard error; returns what came of it, also if it failed.

    The run's record has the `retraining` that it is of.
    `warn` and `note` are given sentences, or "" for none, before the first task. Raises what compiling raises, a
    UserError without the runtime, and what `local.run` raises.
    """
    if runner == "docker":
        target = targets.DOCKER
        containers = local.containers_for(config, target.image(config))
    else:
        target, containers = targets.LOCAL, None
        local.require_runtime()
    compiled = compile.compile_for_run(config, target)
    warn(config.idle_settings)
    for sentence in lone_workers(config):
        note(sentence)
    warn(compiled.published.left_out)
    note(compiled.published.keras_note)
    return local.run(
        compiled.path,
        name=config.name,
        pipeline_root=Path(config.pipeline_root),
        arguments=compiled.arguments,
        sources=compiled.published.sources,
        no_cache=no_cache,
        verbose=verbose,
        containers=containers,
        origin=origin.of(config, compiled.published.sources, retraining),
    )


def lone_workers(config: Config) -> list[str]:
    """Says which components several machines would work on, elsewhere."""
    return [
        f"{component.section}.workers: this machine {component.workers.verb} alone, not {count} of them"
        for component in registry.COMPONENTS
        if component.workers and (count := jobs.asked(config, component)) > 1
    ]
