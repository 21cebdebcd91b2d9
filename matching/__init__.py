"""Where orders meet: books and pure kernels over integer arrays, and the plain-Python rulebook they must equal."""
