"""The page to trade on: HTML rendered by the server, and ES modules of our own for what is live. No build step."""
