"""Pusher: delivers a blessed model to where it is served from."""

from penstock.components.pusher.component import pusher

__all__ = ["pusher"]
