"""What only FastAPI knows; without importing it, for it may not be installed."""
