"""Where models are pushed to, a module each."""
