"""Bodies of requests and replies. What comes in and what goes out are different models; none takes unknown fields."""
