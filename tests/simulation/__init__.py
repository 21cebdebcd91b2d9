"""Whole markets from a seed, for tests and campaigns."""
