"""The doors: the only package that knows the wire, the environment and the clock."""
