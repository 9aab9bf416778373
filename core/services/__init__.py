"""Connections to servers: one transport for all, and what becomes of requests without an answer."""
