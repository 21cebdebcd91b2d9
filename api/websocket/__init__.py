"""The WebSocket of the doors: what moves, told as it moves, and orders over the same socket."""

from api.websocket.endpoint import PATH, connections_of, router

__all__ = ["PATH", "connections_of", "router"]
