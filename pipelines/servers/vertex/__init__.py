"""Vertex AI Pipelines: the service, and the nodes of a run."""
