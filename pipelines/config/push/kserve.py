"""An InferenceService of KServe that a model is pushed to."""

from penstock.pipelines.config.push.serving import Serving


class KServe(Serving):
    """An InferenceService of KServe."""
