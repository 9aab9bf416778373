"""ExampleValidator: anomalies of every split against the schema."""

from penstock.components.example_validator.component import example_validator

__all__ = ["example_validator"]
