"""An endpoint of AWS SageMaker that a model is pushed to.

sagemaker:
  endpoint: taxi
  storage: s3://my-bucket/serving/taxi
  role: arn:aws:iam::123456789012:role/serving
  image: 123456789012.dkr.ecr.eu-west-1.amazonaws.com/penstock-serving:1.0
  canary: 10
"""

from typing import Annotated, Literal

from pydantic import Field

from penstock.pipelines.config.push.serving import Serving
from penstock.pipelines.config.section import NO_BOOL, PositiveWhole, Section, matching

_S3 = r"^s3://[^/\s]+(/.*)?$"
_Bucket = Annotated[str, matching(_S3, "s3://BUCKET/FOLDER")]
_Name = Annotated[
    str,
    matching(r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$", "letters, digits and single dashes inside, 63 at most"),
]
_Role = Annotated[str, matching(r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$", "arn:aws:iam::ACCOUNT:role/NAME")]
_Region = Annotated[str, matching(r"^[a-z]{2}(-[a-z]+)+-[0-9]$", "a region of AWS, such as eu-west-1")]
_Instance = Annotated[str, matching(r"^ml\.[a-z0-9-]+\.[a-z0-9]+$", "an instance type, such as ml.m5.large")]


class DataCapture(Section):
    """Requests and answers that SageMaker writes to a bucket, such as for monitoring."""

    destination: _Bucket = Field(description="Where they are written, s3://BUCKET/FOLDER.")
    percent: Annotated[int, Field(ge=0, le=100), NO_BOOL] = Field(
        default=100, description="The percentage of the requests that is written; 0 turns it off."
    )
    capture: Annotated[list[Literal["input", "output"]], Field(min_length=1)] = Field(
        default=["input", "output"], description="What is written: requests, answers, or both."
    )
    kms_key: str | None = Field(
        default=None, min_length=1, description="The key that SageMaker encrypts the files with: its id, alias or ARN."
    )


class SageMaker(Serving):
    """An endpoint of AWS SageMaker. Credentials are boto3's: the task's role, AWS_PROFILE, or AWS_ACCESS_KEY_ID."""

    storage: _Bucket = Field(
        description="The folder of a bucket that gets a version, <unix seconds>/, for each pushed model. SageMaker "
        "reads the model from there."
    )
    endpoint: _Name = Field(description="The endpoint's name; it is made if there is none.")
    role: _Role = Field(description="The role that SageMaker reads the model and the image as, by its ARN.")
    image: str = Field(min_length=1, description="The model server's image, in a registry of Amazon's (ECR).")
    region: _Region | None = Field(
        default=None, description="The region, by default that of AWS_REGION or the profile."
    )
    instance_type: _Instance = Field(default="ml.m5.large", description="The machines of a version.")
    instance_count: PositiveWhole = Field(
        default=1, description="How many machines a version has at least; a canary has as many, to take over."
    )
    data_capture: DataCapture | None = Field(
        default=None,
        description="What SageMaker writes of requests and answers; left out, what the endpoint has is left as it is.",
    )
    alarms: list[str] = Field(
        default=[],
        description="CloudWatch alarms: while a version takes over, one that rings brings back what served before.",
    )
    tags: dict[str, str] = Field(default={}, description="Tags of all that is made.")
