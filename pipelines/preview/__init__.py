"""A first look at the data of a configuration: what its first rows tell before anything runs, without the runtime."""
