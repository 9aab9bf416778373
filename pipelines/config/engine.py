"""What computes the heavy steps: this machine, an Apache Spark cluster, or a runner of Apache Beam's.

engine: {spark: {master: "spark://head:7077", conf: {spark.executor.memory: 4g}}}
"""

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from penstock.components.engines import settings
from penstock.core.errors import ConfigError
from penstock.pipelines.config.section import Section, json_text, matching

EngineName = Annotated[str, matching(settings.PATTERN, settings.EXPECTED)]
_Master = Annotated[
    str,
    matching(
        r"^(spark://.+|k8s://.+|yarn|local(\[[^\]]+\])?|\$\{\w+\})$",
        "spark://host:7077, k8s://https://host:443, yarn, local[N], or ${NAME}, a variable of the task",
    ),
]


def _properties(value: Any) -> Any:
    """Returns Spark's properties as text by their dotted names, which `--set` writes as keys in one another."""
    if not isinstance(value, dict):
        return value
    flat: dict[str, Any] = {}
    for key, item in value.items():
        inner = _properties(item)
        flat |= {f"{key}.{name}": one for name, one in inner.items()} if isinstance(inner, dict) else {key: inner}
    return {key: str(item).lower() if isinstance(item, bool) else str(item) for key, item in flat.items()}


class Spark(Section):
    """An Apache Spark cluster of yours. The task is the driver; executors need its image, or its environment."""

    master: _Master | None = Field(
        default=None,
        description="The cluster: spark://host:7077, k8s://https://host:443, yarn, or local[N]. Left out, what "
        "spark-defaults.conf says, in the folder that SPARK_CONF_DIR names.",
    )
    conf: Annotated[dict[str, str], BeforeValidator(_properties)] = Field(
        default={},
        description="Spark's own properties, such as spark.executor.memory: 4g. ${NAME} is an environment variable of "
        "the task, which is how a secret comes in.",
    )


class Beam(Section):
    """A runner of Apache Beam's, as TFX names it."""

    beam_pipeline_args: list[str] = Field(
        default=[],
        description="Beam's own options, such as --runner=FlinkRunner; left out, the task's process computes all. "
        "${NAME} is an environment variable of the task.",
    )


class Engine(Section):
    """Where the heavy steps are computed: one of spark, beam."""

    spark: Spark | None = Field(default=None, description="An Apache Spark cluster.")
    beam: Beam | None = Field(default=None, description="A runner of Apache Beam's.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.spark is None) == (self.beam is None):
            raise ValueError("expected one of spark and beam, such as {spark: {master: spark://head:7077}}")
        try:
            settings.parse(self.parameter)
        except ConfigError as error:
            raise ValueError(error.message.removeprefix("engine.")) from None
        return self

    @property
    def parameter(self) -> str:
        """What components are told: the name alone where nothing else is said."""
        name, section = ("spark", self.spark) if self.spark else ("beam", self.beam)
        assert section is not None
        values = section.model_dump(exclude_defaults=True)
        return json_text({name: values}) if values else name
