"""The parameter `engine` of components: which engine, and what it is to be told. One string, short or JSON.

    local    local:4    spark    beam
    {"spark": {"master": "spark://head:7077", "conf": {"spark.executor.memory": "4g"}}}
    {"beam": {"beam_pipeline_args": ["--runner=FlinkRunner", "--flink_master=head:8081"]}}

Values may name environment variables of the task, `${NAME}`, which is how a secret comes in: none is written here.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from penstock.core.arguments import check_object, check_string, check_strings, parse_object
from penstock.core.credentials import masks, names
from penstock.core.errors import ConfigError
from penstock.core.text import printable

PATTERN = r"^(local(:[1-9][0-9]*)?|spark|beam)$"
EXPECTED = "local or, with N workers, local:N, such as local:4; spark; or beam"
_NAMES = ("spark", "beam")
_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class Local:
    """Processes of this machine; None: one for each core."""

    workers: int | None = None


@dataclass(frozen=True)
class Spark:
    """An Apache Spark cluster: its master, "" where the environment says it, and Spark's own properties."""

    master: str = ""
    conf: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Beam:
    """A runner of Apache Beam's, named by Beam's own options; none for one in the task's process."""

    beam_pipeline_args: Sequence[str] = ()


def parse(engine: str) -> Local | Spark | Beam:
    """Returns what the parameter says; a ConfigError for what cannot be, or holds a secret."""
    if re.fullmatch(PATTERN, engine):
        name, _, workers = engine.partition(":")
        if name == "local":
            return Local(int(workers) if workers else None)
        return Spark() if name == "spark" else Beam()
    if not engine.lstrip().startswith("{"):
        raise ConfigError(f"engine: expected {EXPECTED}, received {printable.value(engine)}")
    sections = check_object("engine", parse_object("engine", engine), _NAMES)
    if len(sections) != 1:
        raise ConfigError(f"engine: expected one of {' and '.join(_NAMES)}, received {printable.value(engine)}")
    ((name, section),) = sections.items()
    return _spark(section) if name == "spark" else _beam(section)


def _spark(section: object) -> Spark:
    values = check_object("engine.spark", section, ("master", "conf"))
    master = check_string("engine.spark.master", values["master"], "an address") if values.get("master") else ""
    conf = check_object("engine.spark.conf", values.get("conf") or {})
    for key, value in conf.items():
        if not isinstance(value, str):
            raise ConfigError(f"engine.spark.conf: {key}: expected text, received {printable.value(value)}")
    check_conf(conf)
    return Spark(master, conf)


def _beam(section: object) -> Beam:
    values = check_object("engine.beam", section, ("beam_pipeline_args",))
    arguments = check_strings("engine.beam.beam_pipeline_args", values.get("beam_pipeline_args") or [], "strings")
    check_arguments(arguments)
    return Beam(tuple(arguments))


def check_conf(conf: Mapping[str, str]) -> None:
    """Raises a ConfigError for a key that is no property of Spark's, and for a value that is a secret."""
    for key, value in conf.items():
        if not key.startswith("spark."):
            raise ConfigError(f"engine.spark.conf: expected properties that begin with spark., received {key!r}")
        _refuse_secret(f"engine.spark.conf.{key}", key, value)


def check_arguments(arguments: Sequence[str]) -> None:
    """Raises a ConfigError for what is no option of Beam's, and for a value that is a secret."""
    if arguments and not arguments[0].startswith("--"):
        raise ConfigError(f"engine.beam.beam_pipeline_args: expected --name=value, received {arguments[0]!r}")
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, _, value = argument.partition("=")
        if name.startswith("--"):
            _refuse_secret(f"engine.beam.beam_pipeline_args: {name}", name, value or following)


def _refuse_secret(where: str, name: str, value: str) -> None:
    if names.is_secret(name, value) or masks.masked(value) != value:
        raise ConfigError(
            f"{where}: expected no secret, which everybody could read in the pipeline: name an environment variable of "
            "the task, ${NAME}, or use what the cluster has for it"
        )


def from_environment(where: str, value: str) -> str:
    """Returns a value with the task's environment variables in it; a ConfigError names one that is not set."""

    def variable(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise ConfigError(f"{where}: the environment variable {match[1]} is not set: expected it in the task")
        return os.environ[match[1]]

    return _VARIABLE.sub(variable, value)
