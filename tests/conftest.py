"""What all tests share: hypothesis has no deadline, for a slow machine is not a failing test."""

from hypothesis import settings

settings.register_profile("weft", deadline=None, print_blob=True)
settings.load_profile("weft")
