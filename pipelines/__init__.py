"""The pipelines, their configuration, the targets they compile for, and the command line."""
