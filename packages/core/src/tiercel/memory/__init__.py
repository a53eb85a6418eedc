"""The memory tier: values in this process, in one table per function under one bound.

`tier` is the store, `table` its part of one function, `partition` and `names` how things are
dropped, `eviction` what leaves first.
"""

from tiercel.memory.entry import Entry
from tiercel.memory.partition import Partition, Statistics
from tiercel.memory.table import FunctionTable
from tiercel.memory.tier import MemoryTier

__all__ = ["Entry", "FunctionTable", "MemoryTier", "Partition", "Statistics"]
