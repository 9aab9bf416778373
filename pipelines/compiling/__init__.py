"""From a configuration to compiled pipelines and components."""
