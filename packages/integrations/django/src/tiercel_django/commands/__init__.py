"""What `manage.py tiercel` has besides the commands of `tiercel`."""
