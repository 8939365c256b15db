"""The campaign of `make faults`, in short: with fewer runs, and leases that end soon."""

from __future__ import annotations

from faultkit.campaign import Plan, new_seed, run_campaign


def test_a_campaign_with_faults_by_chance() -> None:
    said: list[str] = []
    # One of so few runs is hit four times by chance now and then, which is rightly the end of it.
    changes = ("hurry", "retries=20")
    plan = Plan(runs=60, seed=new_seed(), hosts=2, run=1.0, pause=2.0, longest=4.0, patience=240, changes=changes)
    count = run_campaign(plan, said.append)

    assert count.good, "\n".join([*said, count.line])
