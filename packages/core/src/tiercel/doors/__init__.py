"""The front doors: spellings of `Cache.cached` that other libraries' users know."""
