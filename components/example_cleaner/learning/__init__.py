"""What rules need to know of all rows before they are applied to one: found by passes over the shards.

passes.py         which rules learn in the same pass, and the passes themselves
learners.py       what a rule collects in a shard: small counts, or files
quantiles.py      medians and quantiles of sorted files    modes.py    duplicates.py    of files by partition
"""
