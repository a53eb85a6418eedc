"""Jobs under the names of django-cacheback: a project moves by changing its imports.

`base`, `jobs`, `decorators`, `utils` and `tasks` hold what their namesakes hold there.
"""
