"""The part of pytest-oppcloud that runs where the simulations run.

It needs the standard library only, so that the image of a worker stays small; all that needs
rq, redis or boto3 lives in `oppcloud_worker.remote`.
"""

__version__ = "0.1.0"
