"""`penstock eject`: the model without code as a module file, of what a run has learnt about the data."""

from pathlib import Path

from penstock.core import artifacts
from penstock.core.errors import ConfigError, UserError
from penstock.core.files import atomic
from penstock.pipelines.config.training_pipeline import OWN, Config
from penstock.pipelines.local import runs
from penstock.pipelines.local.records import record
from penstock.pipelines.local.records.record import RunRecord
from penstock.pipelines.modules import default_trainer


def eject(config: Config, output: Path, run: str | None = None, force: bool = False) -> str:
    """Writes the module file; returns what the configuration has to say instead from now on.

    The plan is made of the schema and statistics of the newest run that has both, or of `run`, its folder or its name.
    Raises a ConfigError if there is a module already, a UserError if there is no such run or the file exists.
    """
    if not config.without_code:
        why = f"it is made by {config.module}" if config.module else "there is none: expected a label to predict"
        raise ConfigError(f"eject: expected a model without code; {why}")
    if output.exists() and not force:
        raise UserError(f"{output} exists already: expected a new name, or --force to overwrite it")
    if output.suffix != ".py":
        raise UserError(f"{output}: expected the name of a Python file, such as {config.name.replace('-', '_')}.py")
    chosen, schema, statistics = _learnt(config, run)
    from penstock.trainer import eject as trainer_eject
    from penstock.trainer.plan import plan as features

    settings = default_trainer.trainer_config(config)
    plan = features.planned(
        settings,
        artifacts.Schema(schema).read(),
        artifacts.ExampleStatistics(statistics).read_all(settings["split"]),
    )
    origin = f"of the schema and the statistics of {chosen.folder.name}"
    atomic.write_text(output, trainer_eject.source(plan, settings.get("training", {}), origin))
    return _instructions(config, output)


def _learnt(config: Config, run: str | None) -> tuple[RunRecord, Path, Path]:
    """Returns a run with the folders of its schema and its statistics."""
    root = Path(config.pipeline_root)
    earlier = record.earlier(root, config.name)
    for candidate in earlier if run is None else [runs.named(root, run)]:
        schema, statistics = next(candidate.made("schema"), None), next(candidate.made("statistics"), None)
        if schema and statistics:
            return candidate, schema.path, statistics.path
        if run is not None:
            raise UserError(f"{candidate.folder.name} has no schema and statistics: expected a run that made both")
    raise UserError(
        f"no run of {config.name} in {root} has a schema and statistics: `penstock run` makes one, from which the "
        "module is written"
    )


def _instructions(config: Config, output: Path) -> str:
    lines = [
        f"{output}: preprocessing_fn and run_fn. In the configuration, from now on:",
        "",
        f"  module_file: {output}",
    ]
    kept = config.training.model_dump(exclude_defaults=True, exclude=set(OWN)) if config.training else {}
    if not kept:
        lines.append("  training: {}")
    settings = config.evaluation if config.compares_models else None
    if settings and not settings.label_key and not settings.eval_config:
        lines.append(f"  evaluation.label_key: {default_trainer.transformed_label(config)}")
    own = [f"training.{key}" for key in OWN if config.training and getattr(config.training, key) is not None]
    own += ["features"] if config.features else []
    if own:
        lines += ["", f"and without {', '.join(own)}: the module holds them."]
    return "\n".join(lines)
