"""The monitoring section. alerts.py is who is told what it shows."""
