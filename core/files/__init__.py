"""Local files that are written whole or not at all, and objects in object stores."""
