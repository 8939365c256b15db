"""Baselines: what the runs of an ini file gave when they were recorded.

One text file per ini file, `baselines/omnetpp.ini.txt` beside `omnetpp.ini`:

    oppcloud-baselines 1

    made-with ed933eb4ac51
    compiler "gcc 12.2.0"
    mode release
    omnetpp 6.1
    platform linux-x86_64
    program aloha

    settings fc221c906102
    sim-time-limit 3600s

    run PureAlohaExperiment iaMean=1 numHosts=10 #0
    lines 9
    made-with ed933eb4ac51
    settings fc221c906102
    seed-set 0
    fingerprint tplx 0617-2d8e
    digest attr 31 7c5dd2f6c9a1b3e4
    digest par 12 9f86d081884c7d65
    scalar Aloha.server duration 3600
    statistic Aloha.server "collision length" mean 0.17
    bin Aloha.server "collision length" -inf 0

A section of a run counts its lines, and a block that sections share is named by a hash of its lines: a line that was
deleted, added or moved is noticed. Reading the file only splits it; a section is read when its record is asked for.

`read_baselines(path)` returns a `BaselineFile`; `file.record(key)` a `Record`, None (no baseline) or `BaselineError`
(damaged); `file.unused(keys)` the sections nobody needs; `write_baselines(path, {key: record})` changes the file.
A `BaselineFile` with obtained records in it (`BaselineFile(path).updated({...})`, its `data`) is also how records
travel between processes, and how they are kept for review.

This package does not know pytest, and does not compare: that is `comparison`.
"""

from __future__ import annotations

from .file import BaselineFile
from .storage import baseline_path, read_baselines, write_baselines

__all__ = ["BaselineFile", "baseline_path", "read_baselines", "write_baselines"]
