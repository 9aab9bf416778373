"""ExampleCleaner: rules that mend examples, drop those that cannot be mended, and keep what was changed in quarantine."""

from penstock.components.example_cleaner.component import example_cleaner

__all__ = ["example_cleaner"]
