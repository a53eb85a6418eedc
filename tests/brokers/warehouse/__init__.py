"""A small application, as web processes and workers have it."""
