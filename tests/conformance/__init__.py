"""Other people's truth: recorded markets, published scenarios."""
