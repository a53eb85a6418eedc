"""The generated hit path: per cached function, one that does what a hit needs and no more.

It has the target's own signature, builds the fast key, looks it up, compares one deadline and
returns; whatever else there is to do, it leaves to the slow path.
"""

from tiercel.hitpath.bound import BoundMethod
from tiercel.hitpath.compile import HitPath, compile_hit_path
from tiercel.hitpath.vetted import is_vetted

__all__ = ["BoundMethod", "HitPath", "compile_hit_path", "is_vetted"]
