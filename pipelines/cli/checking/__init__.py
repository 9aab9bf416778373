"""What is wrong before anything runs: of a configuration and its data, and of a compiled pipeline."""
