"""Jobs: what is fetched, kept, served stale and refreshed in the background; after cacheback."""
