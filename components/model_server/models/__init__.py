"""The models of the server and their versions: from a folder or a bucket, through loading and warm-up, to the end.

places.py finds versions, loading.py and warm_up.py make one ready, version.py answers for it, model.py decides which
versions are served and switches between them, and served.py holds all models.
"""
