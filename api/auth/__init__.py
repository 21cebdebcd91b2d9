"""Who asks: users, sessions, API keys, signatures, and how much each may ask."""
