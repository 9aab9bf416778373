"""Tasks in processes forked from warm ones, which have imported what is slow to import."""
