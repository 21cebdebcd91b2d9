"""The page: its parts alone, and the whole in a real browser before a real house."""
