"""The features section: what a person says of columns where the model comes without code.

Everything left out is decided by rules over the schema and the statistics (penstock.trainer.plan.plan).
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from penstock.core.errors import ConfigError
from penstock.core.suggestions import did_you_mean
from penstock.pipelines.config.section import NO_BOOL, PositiveWhole, Section
from penstock.trainer.plan import dates

OPTIONS = {
    "numeric": ("transform", "bins"),
    "categorical": ("vocabulary_size", "frequency_threshold", "oov_buckets", "embedding_dim", "width"),
    "text": ("hash_buckets", "ngrams", "width"),
    "date": ("format", "bins"),
}
KINDS = tuple(OPTIONS)


def _known_kind(kind: Any) -> Any:
    if isinstance(kind, str) and kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}; {did_you_mean(kind, KINDS)}")
    return kind


class Feature(Section):
    """What a column is to the model."""

    ignore: bool = Field(default=False, description="Whether the column is left out.")
    kind: Annotated[Literal["numeric", "categorical", "text", "date"], BeforeValidator(_known_kind)] | None = Field(
        default=None, description="What its values are."
    )
    transform: Literal["quantiles", "z_score"] | None = Field(
        default=None, description="Of numbers: what they are scaled by, by default quantiles."
    )
    bins: Annotated[int, Field(ge=2), NO_BOOL] | None = Field(
        default=None, description="Of numbers and dates: quantiles, by default 48."
    )
    vocabulary_size: PositiveWhole | None = Field(
        default=None, description="Of categories: how many are told apart at most, by default 10000."
    )
    frequency_threshold: PositiveWhole | None = Field(
        default=None,
        description="Of categories: how often one occurs at least to be told apart, by default twice, or five times in "
        "10,000 rows or more.",
    )
    oov_buckets: PositiveWhole | None = Field(
        default=None, description="Of categories: buckets that all others share, by default one."
    )
    embedding_dim: PositiveWhole | None = Field(
        default=None, description="Of categories: numbers that the network embeds each by, by default 8."
    )
    hash_buckets: PositiveWhole | None = Field(
        default=None, description="Of text: buckets that words and their n-grams share, by default 8192."
    )
    ngrams: PositiveWhole | None = Field(default=None, description="Of text: the longest n-gram, by default 2 words.")
    format: str | None = Field(
        default=None,
        description="Of dates: iso, a format of strptime such as %d/%m/%Y, or unix, unix_ms, unix_us, unix_ns (seconds "
        "since 1970 and their parts), by default what reads the values.",
    )
    width: PositiveWhole | None = Field(
        default=None, description="Of categories and text: how many of a row's values, or words and n-grams, are used."
    )

    @model_validator(mode="after")
    def _of_its_kind(self) -> Self:
        if self.format is not None and self.format not in dates.UNITS:
            try:
                dates.pattern(self.format)
            except ConfigError as error:
                raise ValueError(error.message) from None
        keys = [key for key in self.model_fields_set - {"ignore", "kind"} if getattr(self, key) is not None]
        if self.kind is None and any(set(keys) <= set(options) for options in OPTIONS.values()):
            return self
        for key in sorted(keys):
            kinds = [kind for kind, options in OPTIONS.items() if key in options]
            if self.kind is None:
                others = ", ".join(other for other in sorted(keys) if other != key)
                raise ValueError(f"{key}: it is of {' and '.join(kinds)} columns, and no kind has {others} beside it")
            if self.kind not in kinds:
                raise ValueError(
                    f"{key}: it is of {' and '.join(kinds)} columns, and kind is {self.kind}: expected some of "
                    f"{', '.join(OPTIONS[self.kind])}"
                )
        return self
