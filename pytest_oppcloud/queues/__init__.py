"""What people do with the sessions of a shared queue beside pytest: list them, cancel them, fetch their results.

Knows the queue, and neither pytest nor how items are judged: both the command `oppcloud` and the cloud part use it.
"""
