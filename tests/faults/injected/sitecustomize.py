"""Changes the product in the processes of a test, as `FAULTS_CHANGES` says: Python imports this module at its start.

So the product needs no switches for tests. What the words mean, `faultkit.changes` tells.
"""

import os

if os.environ.get("FAULTS_CHANGES"):
    from faultkit import changes

    changes.make(os.environ["FAULTS_CHANGES"].split())
