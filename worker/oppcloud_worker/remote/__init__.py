"""What needs Redis and RQ on the worker, and what both ends of the queue must agree on.

The only part of `oppcloud_worker` that imports rq and redis; the plugin's cloud part uses it for the client's end.
"""
