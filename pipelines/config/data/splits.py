"""The splits that examples are divided into, as the configuration says it."""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from penstock.core.artifacts import MOST_BUCKETS, By
from penstock.pipelines.config.section import PositiveWhole, Section, Seed, matching

SplitName = Annotated[str, matching(r"^[A-Za-z0-9][A-Za-z0-9_-]*$", "a split's name of letters, digits, _ and -")]


class Splits(Section):
    """The splits that examples are divided into, and what decides a row's split."""

    hash_buckets: dict[SplitName, PositiveWhole] = Field(
        default={"train": 2, "eval": 1}, description="Buckets of each split: its share of the examples.", min_length=1
    )
    partition_feature: str | None = Field(
        default=None,
        description="The feature that decides the split, so that equal values stay together; else the record.",
    )
    by: By | None = Field(
        default=None,
        description="What decides a row's split. content: the hash of the record, as in TFX, so equal rows stay "
        "together. row: its place, the row's number in its file; it stays when rows are appended or files added. "
        "random: chance, with a seed. auto: content, unless few rows differ, then row. By default content with a "
        "module, else auto.",
    )
    seed: Seed | None = Field(default=None, description="The seed of by: random, by default 0.")
    stratify: bool = Field(
        default=False, description="With by: random, whether each split gets its share of every class of the label."
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        total = sum(self.hash_buckets.values())
        if total > MOST_BUCKETS:
            raise ValueError(f"hash_buckets: expected at most {MOST_BUCKETS:,} in all, received {total:,}")
        if self.partition_feature and self.by in ("row", "random"):
            raise ValueError(f"by: {self.by}: expected none beside partition_feature, which decides a row's split")
        for key, is_set in (("seed", self.seed is not None), ("stratify", self.stratify)):
            if is_set and self.by != "random":
                raise ValueError(f"{key}: expected by: random with it, received {self.by or 'none'}")
        return self

    def output_config(self, by: By) -> dict[str, Any]:
        """Returns TFX's SplitConfig message, with keys of our own where the rows are not divided by content.

        `by` stands where a person says nothing of it.
        """
        splits = [{"name": name, "hash_buckets": buckets} for name, buckets in self.hash_buckets.items()]
        config: dict[str, Any] = {"splits": splits}
        if self.partition_feature:
            return config | {"partition_feature_name": self.partition_feature}
        by = self.by or by
        config |= {} if by == "content" else {"by": by}
        config |= {} if self.seed is None else {"seed": self.seed}
        return config | ({"stratify": True} if self.stratify else {})
