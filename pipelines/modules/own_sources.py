"""A person's own sources of data: each class in a module that is published, or in a package where the tasks run."""

from collections.abc import Iterator
from dataclasses import dataclass

from penstock.core.errors import ConfigError
from penstock.core.suggestions import did_you_mean
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.modules import functions, parsed
from penstock.pipelines.modules.functions import UserModule


@dataclass(frozen=True)
class OwnSource:
    """A class that reads data.

    Args:
        path: Its dotted path, as the configuration has it.
        module: The module that it is in.
    """

    path: str
    module: UserModule

    @property
    def class_name(self) -> str:
        return self.path.rpartition(".")[2]


def of(config: Config) -> list[OwnSource]:
    """Returns the sources of one's own that the data names; an error that names the key if one is not there.

    A module beside the configuration comes before a package of its name.
    """
    return list({source.path: source for source in _named(config)}.values())


def _named(config: Config) -> Iterator[OwnSource]:
    data = config.data
    places = {f"data.splits.{name}": part for name, part in data.parts.items()} or {"data": data}
    for where, place in places.items():
        if place.custom is None:
            continue
        key, path = f"{where}.custom.class", place.custom.class_
        module_path, _, class_name = path.rpartition(".")
        module = functions.dotted_module(config, key, module_path)
        names = sorted(name for name in parsed.defined_names(module.source) if not name.startswith("_"))
        if class_name not in names:
            hint = did_you_mean(class_name, names, "it defines")
            raise ConfigError(f"{key}: {module.source}: expected a class {class_name!r}; {hint}")
        yield OwnSource(path, module)
