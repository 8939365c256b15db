"""Simulations on the workers of a queue: the client's end.

The core knows nothing of this package; it asks a hook.
"""
