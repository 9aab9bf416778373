"""The training application: what a user module may rely on, and what it may use."""
