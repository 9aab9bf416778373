"""The command line: `penstock` and its commands."""
