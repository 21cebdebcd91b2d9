"""Tests on the ground itself: contracts, locks, documents and the door for developers."""
