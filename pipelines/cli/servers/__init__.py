"""The commands that talk to a server: about runs, and about schedules."""
