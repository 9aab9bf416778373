"""Which files there are to read: folders and buckets, spans and versions."""
