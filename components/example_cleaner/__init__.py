"""ExampleCleaner: rules that mend examples or drop them, and a quarantine of what was changed."""

from penstock.components.example_cleaner.component import example_cleaner

__all__ = ["example_cleaner"]
