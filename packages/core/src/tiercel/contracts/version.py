"""The version of the plugin interface (SPI), apart from the version of the core."""

SPI_VERSION: tuple[int, int] = (1, 0)
"""Major and minor. Plugins state the one they were written for; the same major and at most this
minor fit. New hooks, arguments and methods with a default raise the minor, all else the major."""
