"""Laws speak of results, never of speed: a busy machine fails no test."""

from hypothesis import settings

settings.register_profile("house", deadline=None)
settings.load_profile("house")
