"""Situations with their outcomes from public rulebooks, specifications and test suites."""
