"""The benches themselves: what they print, what they measure against, and that tiny runs of them work."""
