"""What a person sees of a run: its page, and the lines in the terminal."""
