"""What the commands share: the argument CONFIG, the options that override it, and how both are read."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.core.errors import ConfigError

if TYPE_CHECKING:
    from penstock.pipelines.config.training_pipeline import Config

DEFAULT_CONFIG = "pipeline.yaml"

config_argument = click.argument("config", default=DEFAULT_CONFIG, metavar="[CONFIG]", type=click.Path(path_type=Path))
set_option = click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="Sets any key of the configuration, such as training.train_steps=100. The value is YAML. May be repeated.",
)
data_option = click.option("--data", metavar="PATH", help="The data: data.path, relative to the current folder.")
label_option = click.option("--label", metavar="NAME", help="The feature to predict: label.")


def load(
    config: Path,
    assignments: Sequence[str] = (),
    data: str | None = None,
    label: str | None = None,
    values: Sequence[tuple[str, str, str]] = (),
) -> "Config":
    """Reads a configuration with what the command line overrides: `values` are a key, its value, and the option."""
    from penstock.pipelines.config import section
    from penstock.pipelines.config import training_pipeline as module
    from penstock.pipelines.servers import submission

    file = config_file(config)
    if submission.is_compiled(file):
        raise ConfigError(f"{file}: this is a compiled pipeline; expected a configuration")
    shortcuts = [] if data is None else [("data.path", section.from_here(data), "--data")]
    shortcuts += [] if label is None else [("label", label, "--label")]
    return module.load(file, assignments, [*shortcuts, *values])


def config_file(config: Path) -> Path:
    """Returns the configuration itself, where its folder may be given."""
    return config / DEFAULT_CONFIG if (config / DEFAULT_CONFIG).is_file() else config


def is_config(path: Path) -> bool:
    """Whether a command is given a configuration, and not a model."""
    return path.suffix in (".yaml", ".yml") or (path / DEFAULT_CONFIG).is_file()
