"""How many files the process may have open: a connection is one, and a server that has none left answers nobody."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace

from acutance.errors import ConfigError
from acutance.server.limits import Limits

_LOG = logging.getLogger("acutance.server")

OTHER_FILES = 128
"""Besides connections and uploads: the list of jobs, models, pipes to workers, results on their way."""

FEWEST_CONNECTIONS = 16


def with_files(limits: Limits) -> Limits:
    """Let the process have as many files open as its connections need.

    Returns:
        The limits; with fewer connections where the system does not allow as many, which is logged.

    Raises:
        ConfigError: When it does not even allow a few.
    """
    if sys.platform == "win32":  # sockets are no files there
        return limits
    import resource

    # A connection may have an upload or a result open beside its socket.
    needed = 2 * limits.max_connections + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        except (ValueError, OSError):  # macOS has a limit below that one, too
            most = soft
    connections = (most - OTHER_FILES) // 2
    if connections < FEWEST_CONNECTIONS:
        raise ConfigError(
            f"open files: the system allows {most}, the server needs at least "
            f"{2 * FEWEST_CONNECTIONS + OTHER_FILES}; raise the limit: ulimit -n, LimitNOFILE=."
        )
    if connections < limits.max_connections:
        _LOG.warning("the system allows %d open files: no more than %d connections are let in", most, connections)
    return replace(limits, max_connections=min(limits.max_connections, connections))
