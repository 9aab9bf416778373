"""Tasks in containers of the image that clusters run."""
