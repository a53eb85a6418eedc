"""A Django application with two models and two cached functions, as web and workers have it."""
