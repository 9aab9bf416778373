"""Kubeflow Pipelines: the client, the service, the nodes of a run, and why they failed."""
