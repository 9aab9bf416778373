"""What ExampleGen reads, a module or folder for each kind of file."""
