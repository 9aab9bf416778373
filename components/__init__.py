"""The components: each folder has a component.py (names and types) and an executor.py (the work)."""
