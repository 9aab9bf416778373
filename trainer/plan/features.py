"""What a column can be to the default model, and what a person may say of it in place of the rules (plan.py)."""

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from penstock.core.errors import ConfigError

type Part = Literal["days", "year", "week", "day"]
Kind = Literal["numeric", "categorical", "text", "date"]
KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True)
class Numeric:
    """A number: float32 [batch, 2], its place in [0, 1] (0 where missing), and 1 where it is missing.

    `transform` is `quantiles` (linear between the training data's quantiles, `bins` of them, without those that are
    equal) or `z_score` (four deviations to each side of the mean, which is 0.5). `of` says what of a row it is:
    "value", a position in it, or the "mean", "min", "max" or "count" of the values there. Integers count from `origin`,
    so that large ones keep their last digits in the 32 bits of the quantiles.
    """

    kind: ClassVar[str] = "numeric"
    name: str
    output: str
    transform: Literal["quantiles", "z_score"] = "quantiles"
    bins: int = 48
    of: int | str = "value"
    origin: int = 0


@dataclass(frozen=True)
class Categorical:
    """Ids of a vocabulary: int64 [batch, width]; 0 is absent, and the last `oov_buckets` are of values not in it.

    The vocabulary holds the values that occur `frequency_threshold` times or more in the training data, the most
    frequent first, `vocabulary_size` of them at most. The network embeds an id by `embedding_dim` units, or by as many
    as its hyperparameter category_units says.
    """

    kind: ClassVar[str] = "categorical"
    name: str
    output: str
    vocabulary_size: int = 10_000
    frequency_threshold: int = 2
    oov_buckets: int = 1
    width: int = 1
    embedding_dim: int | None = None


@dataclass(frozen=True)
class Text:
    """Hashed words and their n-grams up to `ngrams` words: int64 [batch, width]; 0 is padding, then `hash_buckets`."""

    kind: ClassVar[str] = "text"
    name: str
    output: str
    hash_buckets: int = 8192
    ngrams: int = 2
    width: int = 64


@dataclass(frozen=True)
class Date:
    """A moment as numbers: `days` since `origin`, and the sine and cosine of where it stands in the year, week and day.

    dates.py tells what `format` may be. A zone is not converted: the clock that people read is what counts. Where `day`
    is no part, neither is the time. `origin` is in seconds since 1970, near the training data's. `missing` are
    values there that are no dates, as far as the statistics list them.
    """

    kind: ClassVar[str] = "date"
    name: str
    output: str
    format: str = "iso"
    parts: tuple[Part, ...] = ("days", "year", "week", "day")
    bins: int = 48
    origin: int = 0
    missing: tuple[str, ...] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the numbers, float32 [batch, 2] each, as those of a Numeric."""
        return tuple(
            f"{self.output}_{part}{way}"
            for part in self.parts
            for way in ([""] if part == "days" else ["_sin", "_cos"])
        )


@dataclass(frozen=True)
class Sparse:
    """A sparse feature: `size` numbers (0 where there is none), or its indices as ids, int64 [batch, width]."""

    kind: ClassVar[str] = "sparse"
    name: str
    output: str
    size: int
    width: int = 0  # 0: numbers

    @property
    def outputs(self) -> tuple[str, ...]:
        """The name of the ids, or those of the numbers."""
        return (self.output,) if self.width else tuple(f"{self.output}_{index}" for index in range(self.size))


Feature = Numeric | Categorical | Text | Date | Sparse


@dataclass(frozen=True)
class Override:
    """What a person says of a column; None leaves it to the rules."""

    kind: str | None = None
    ignore: bool | None = None
    transform: str | None = None
    bins: int | None = None
    vocabulary_size: int | None = None
    frequency_threshold: int | None = None
    oov_buckets: int | None = None
    embedding_dim: int | None = None
    hash_buckets: int | None = None
    ngrams: int | None = None
    format: str | None = None
    width: int | None = None

    def options(self, feature: type[Feature]) -> dict[str, Any]:
        """Returns what is said of this kind of feature; a ConfigError for what is said but has no meaning for it."""
        options = {
            key: value
            for key, value in dataclasses.asdict(self).items()
            if value is not None and key not in ("kind", "ignore")
        }
        known = {field.name for field in dataclasses.fields(feature)}
        for key in options:
            if key not in known:
                own = sorted(known - {"missing", "name", "output", "of", "origin", "parts", "size"})
                raise ConfigError(
                    f"{key}: the feature is {feature.kind}: expected some of {', '.join(own)}, or another kind"
                )
        return options
