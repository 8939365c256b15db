"""Run OMNeT++ simulations as pytest items, at the desk or on RQ workers, and check them against baselines."""

from oppcloud_worker import __version__

__all__ = ["__version__"]
