"""What the server allows, in one place: sizes, counts and times."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from acutance.errors import ConfigError

MIB = 2**20
GIB = 2**30
HOUR_S = 3600.0
LONGEST_S = 100 * 365 * 24 * HOUR_S
"""Beyond it, clocks and calendars overflow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the server allows.

    Raises:
        ConfigError: When a limit is not a positive number, or a time is longer than a hundred years.
    """

    max_body_bytes: int = 256 * MIB
    """Of one upload, counted while it streams to the disk."""
    max_pixels: int = 100_000_000
    """Of one picture; larger ones are refused before they are decoded."""
    max_ensemble: int = 8
    """Orientations of one picture of which the mean may be asked for; 1 forbids it. Each is a run of the network."""
    max_queue: int = 256
    """Pictures of all clients that wait or are worked on."""
    max_queue_per_client: int = 128
    """The same, of one client."""
    max_uploads: int = 64
    """Uploads of all clients that come in at once."""
    max_uploads_per_client: int = 16
    """The same, of one client."""
    runs: int = 1
    """Pictures worked on at once. One run of the engine already uses every core: more cost memory."""
    run_s: float = 600.0
    """Time for one picture, from its decoding on; its worker is ended then."""
    video_s: float = 24 * HOUR_S
    """Time for one video."""
    worker_bytes: int = 3 * GIB
    """Memory of one worker; it is ended when it takes more."""
    max_attempts: int = 3
    """How often a job is begun before it counts as failed: one that takes the server down must not do so for ever."""
    retry_s: float = 10.0
    """Wait before a job is tried again that failed for want of memory or disk."""
    posts_per_minute: float = 600.0
    """Uploads of one client, in the long run."""
    posts_at_once: int = 200
    """Uploads of one client that may come in a burst."""
    head_s: float = 10.0
    """Time for the head of a request."""
    body_grace_s: float = 20.0
    """Time that an upload may lag behind `body_bytes_per_s`."""
    body_bytes_per_s: float = 16 * 1024.0
    """Slowest upload."""
    stall_s: float = 30.0
    """Time in which a client must take some of what is sent to it."""
    linger_s: float = 10.0
    """Time for the rest of an upload that was refused: a client that is cut off while sending sees no answer."""
    drain_s: float = 1.0
    """Time for what is being worked on when the server is asked to stop. After it, jobs go back into the list, and who
    waits is told to come again."""
    heartbeat_s: float = 15.0
    """Longest silence of an event stream."""
    max_watchers: int = 256
    """Event streams open at once."""
    max_watchers_per_client: int = 32
    """The same, of one client."""
    max_connections: int = 1024
    """Connections open at once."""
    max_connections_per_client: int = 256
    """The same, of one address or IPv6 network; trusted proxies have no such limit."""
    keep_s: float = 24 * HOUR_S
    """How long a finished job's result is kept."""
    remember_s: float = 7 * 24 * HOUR_S
    """How long it is known of an expired job that it was there."""
    max_stored_bytes: int = 20 * GIB
    """Of all uploads and results of jobs."""
    min_free_bytes: int = 512 * MIB
    """What must stay free on the disk; nothing more is taken in below it."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            is_counted = isinstance(value, int)
            if not (math.isfinite(value) and value > 0) and field.name != "min_free_bytes":
                raise ConfigError(f"{field.name} = {value}: must be {'at least 1' if is_counted else 'above 0'}.")
            if field.name.endswith("_s") and value > LONGEST_S:
                raise ConfigError(f"{field.name} = {value:g}: must be at most {LONGEST_S:g} s, a hundred years.")
