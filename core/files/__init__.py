"""Files of this machine that are written whole or not at all, and objects in stores."""
