"""HTTP: app.py takes requests and answers them by routes, of which each protocol has a module here."""
