"""The live side: the market as it moves, folded from the log in the doors' own process, and everybody told of it."""

from api.live.channels import PRIVATE, Channel, Key
from api.live.depth import DEPTH, Depth
from api.live.live import Latency, Live, Subscriber

__all__ = ["DEPTH", "PRIVATE", "Channel", "Depth", "Key", "Latency", "Live", "Subscriber"]
