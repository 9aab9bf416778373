"""Compiles a configuration: the user's files published, the pipeline built, the target's choices put in."""

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kfp import compiler
from kfp.dsl import base_component

from penstock.core.errors import ConfigError
from penstock.core.files import atomic, object_stores, temporary, yaml_documents
from penstock.pipelines import lint
from penstock.pipelines.config.section import is_remote
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.modules import published as publishing
from penstock.pipelines.modules.published import Published
from penstock.pipelines.monitoring import monitoring_pipeline
from penstock.pipelines.preview.monitoring import check_thresholds
from penstock.pipelines.servers.submission import TARGET_COMMENT
from penstock.pipelines.targets.target import KUBEFLOW, LOCAL, Target
from penstock.pipelines.training import parameters, training_pipeline

# libyaml's where PyYAML was built with it: ten times faster.
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
# Rules of kfp.local that do not hold for `penstock run`, which runs its tasks in workers of its own.
_HANDLED = ("python3-in-value",)


@dataclass(frozen=True)
class Compiled:
    """A compiled pipeline: the file, its parameters' values, and the user's files that a run of it reads."""

    path: Path
    arguments: dict[str, Any]
    published: Published


def compile_for_run(config: Config, target: Target) -> Compiled:
    """Compiles into the pipeline root, to a name of its own, so that runs at the same time do not meet."""
    if is_remote(config.pipeline_root):
        raise ConfigError(
            f"pipeline_root: expected a local folder to run on this machine, received {config.pipeline_root!r}"
        )
    if not target.containers:  # else the image has it, or does not
        for place in config.data.places:
            place.require_package()
    root = Path(config.pipeline_root)
    with temporary.folder() as folder:
        compiled = compile_config(config, target, folder / "pipeline.yaml")
        content = compiled.path.read_bytes()
    path = root / "compiled" / f"{hashlib.sha256(content).hexdigest()[:16]}.yaml"
    atomic.write_bytes(path, content)
    return dataclasses.replace(compiled, path=path)


def compile_config(config: Config, target: Target, path: Path) -> Compiled:
    """Writes the pipeline's IR for a target to `path`, and publishes the user's files when that has been checked."""
    compiled = compile_unpublished(config, target, path)
    publishing.write(compiled.published)
    return compiled


def compile_unpublished(config: Config, target: Target, path: Path) -> Compiled:
    """As `compile_config`, but the user's files are still to be published."""
    check_thresholds(config)
    published = publishing.plan(config)
    atomic.write_text(path, _targeted(_text(config, published), target, config))
    return Compiled(path, parameters(config, published), published)


def compile_monitoring(config: Config, target: Target, path: Path) -> str:
    """Writes the IR of the monitoring pipeline for a target; returns its name.

    Where it may start retrainings the training pipeline is published with it, compiled for the same target.
    """
    pipeline = monitoring_pipeline(config, _published_training(config, target) if config.retrains else "")
    atomic.write_text(path, _targeted(_of_kfp(pipeline), target, config))
    return str(pipeline.name)


def _published_training(config: Config, target: Target) -> str:
    """Publishes the compiled training pipeline below the pipeline root, by its content; returns its path or URI."""
    with temporary.folder() as folder:
        compiled = compile_config(config, target, folder / "pipeline.yaml")
        content = compiled.path.read_bytes()
    name = f"compiled/{hashlib.sha256(content).hexdigest()[:16]}.yaml"
    path = object_stores.join(config.pipeline_root, name)
    publishing.write_file(path, content)
    return path


def check_secrets(config: Config) -> None:
    """Raises a ConfigError that says which secrets in plain text compiling would refuse, and writes nothing."""
    [spec] = yaml_documents.parse_compiled(_text(config, publishing.plan(config)), "what KFP compiled")
    target = KUBEFLOW if config.kubernetes else LOCAL
    others = (rule.id for rule in lint.RULES if rule not in lint.secrets.RULES)
    lint.check(target.apply(spec, config), target, (*config.lint.allow, *others))


def _text(config: Config, published: Published) -> str:
    """Returns the pipeline's IR as kfp writes it."""
    return _of_kfp(training_pipeline(config, published))


def _of_kfp(pipeline: base_component.BaseComponent) -> str:
    with temporary.folder() as folder:
        package = folder / "pipeline.yaml"
        compiler.Compiler().compile(pipeline, str(package))
        return package.read_text(encoding="utf-8")


def rewritten(text: str, change: Callable[[dict[str, Any]], list[dict[str, Any]]], note: str = "") -> str:
    """Returns an IR with what `change` makes of its document. The comment above it, which lists the inputs, stays, and
    gets the line `note`."""
    comment = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))
    [spec] = yaml_documents.parse_compiled(text, "what KFP compiled")
    documents = change(spec)
    return comment + note + yaml.dump_all(documents, Dumper=_DUMPER, sort_keys=True, allow_unicode=True)


def _targeted(text: str, target: Target, config: Config) -> str:
    """Puts the target's choices into an IR, and checks it. A comment names the target, for who submits the file."""

    def change(spec: dict[str, Any]) -> list[dict[str, Any]]:
        documents = target.apply(spec, config)
        lint.check(documents, target, (*config.lint.allow, *_HANDLED))
        return documents

    return rewritten(text, change, f"{TARGET_COMMENT}{target.name}\n")
