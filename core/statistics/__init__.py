"""Statistics of one shard, and how those of several are merged."""
