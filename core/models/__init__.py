"""What asks a SavedModel."""
