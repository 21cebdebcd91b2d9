"""Proofs: one folder for each package, and campaigns that run for long."""
