"""What every backend must do, by subject; `tiercel.testing.backends` puts it together.

entries.py  bytes in and out      leases.py   who may fill       drops.py   stamps and tags
channel.py  push and wakes        races.py    fixed and free     machine.py random histories
tier.py     one backend under test, driven from sync or async code
"""
