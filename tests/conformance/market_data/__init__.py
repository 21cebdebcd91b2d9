"""Recorded days of real exchanges, replayed through `matching.market`: the exchange itself says who was next."""
