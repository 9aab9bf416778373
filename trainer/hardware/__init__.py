"""What a training runs on: devices, several of them or several machines, and Keras's backends."""
