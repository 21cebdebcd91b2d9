"""The truth: the one writer, the accounts that alone move value, and the append-only log."""
