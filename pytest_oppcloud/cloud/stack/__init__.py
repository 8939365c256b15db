"""Campaign clusters in Amazon's cloud: one CloudFormation stack each, from `oppcloud up` to `oppcloud down`.

What happens is decided first (`plan`, `fleet`, `cost`: pure) and done then (`deploy`, `teardown`, `claim`, through
`pytest_oppcloud.cloud.aws`). Knows neither pytest nor the queue.
"""
