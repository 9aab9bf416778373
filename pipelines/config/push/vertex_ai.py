"""An endpoint of Vertex AI that a model is pushed to."""

from penstock.pipelines.config.push.serving import Serving


class VertexAI(Serving):
    """An endpoint of Vertex AI."""
