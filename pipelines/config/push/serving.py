"""What is said of every service that a model is pushed to."""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from penstock.pipelines.config.section import NO_BOOL, ModelFolder, PositiveWhole, Section, Whole

Canary = Annotated[int, Field(ge=1, le=99), NO_BOOL]  # in percent


class Serving(Section):
    """A service that serves the model: where its versions are stored, and how a new one takes over."""

    storage: ModelFolder = Field(
        description="The folder or bucket that gets a version, <unix seconds>/, for each pushed model. The service "
        "reads the model from there."
    )
    image: str | None = Field(default=None, description="The model server's image, by default this version's.")
    canary: Canary | None = Field(
        default=None,
        description="The percentage of the requests that a new version gets at first; left out, it gets all at once.",
    )
    promote_after: Whole | None = Field(
        default=None,
        description="For how many seconds a canary has to be healthy to get all requests; if it is not, it is taken "
        "away. Left out, `penstock promote` and `penstock rollback` decide.",
    )
    max_error_rate: Annotated[float, Field(ge=0, le=1), NO_BOOL] = Field(
        default=0.01,
        description="The share of failed requests above which a canary is not healthy, where the service tells it.",
    )
    timeout: PositiveWhole = Field(
        default=3600, description="How many seconds the service may take to have a new version ready."
    )

    @model_validator(mode="after")
    def _trial(self) -> Self:
        if self.promote_after is not None and self.canary is None:
            raise ValueError(
                "promote_after: expected a canary, for without one a new version gets all requests at once"
            )
        return self

    @property
    def settings(self) -> dict[str, Any]:
        """The destination's settings in push_destination."""
        return self.model_dump(exclude_none=True)
