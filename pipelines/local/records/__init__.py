"""What a run leaves: its record, the cache's entries, and why a task ran."""
