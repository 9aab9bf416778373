"""What a person writes: pipeline.yaml, section by section."""
