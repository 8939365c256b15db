"""What a run is judged by: its key, and the record made of its outcome.

`baselines` stores records in files, `comparison` judges one record by another; neither knows the other, and this
package knows neither. It starts nothing, reads no file and does not know pytest.
"""

from __future__ import annotations

from .key import RunKey, natural
from .record import Record, make_record
from .selection import Inputs, ItemPattern, Recording

__all__ = ["Inputs", "ItemPattern", "Record", "Recording", "RunKey", "make_record", "natural"]
