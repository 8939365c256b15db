"""Examples may take their time: how long one does depends on what else this machine has to do."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# The rest is as Hypothesis has it: in CI, the same examples each time.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
