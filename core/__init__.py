"""What everything stands on: errors, artifacts, files, examples, statistics, models, services."""
