"""What all tests share: generated examples are not timed, for the machines that run them are shared and noisy."""

from hypothesis import settings

settings.register_profile("jessy", deadline=None)
settings.load_profile("jessy")
