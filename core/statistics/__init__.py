"""Statistics of one shard, and the merge of several."""
