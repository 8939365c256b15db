"""All of the worker that needs rq, redis or boto3."""
