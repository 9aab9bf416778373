"""Servers that run pipelines: what is sent to them, and how runs and schedules are followed."""
