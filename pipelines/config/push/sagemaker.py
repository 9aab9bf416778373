"""An endpoint of AWS SageMaker that a model is pushed to."""

from penstock.pipelines.config.push.serving import Serving


class SageMaker(Serving):
    """An endpoint of AWS SageMaker."""
