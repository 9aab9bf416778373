"""Text of others, which may hold anything, and how it is shown."""
