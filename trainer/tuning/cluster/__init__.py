"""A search over several processes and machines: the chief's oracle, its clients, and what survives a lost one."""
