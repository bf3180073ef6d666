"""The three stages of a video, in threads of their own: decoding, the network, encoding."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from acutance.inference.sharpener import Sharpener
from acutance.inference.workers import Abandoned
from acutance.videos.channel import INTERRUPTIBLE_S, Cancelled, Channel
from acutance.videos.frames import FrameFinisher, FramePreparer, PendingFrame, sharpen_frame
from acutance.videos.progress import Clock
from acutance.videos.reading import StreamChunk
from acutance.videos.writing import Writer

QUEUE_FRAMES = 2
"""Frames that wait between two stages: enough to even out their paces, and few enough for 8K."""

MOST_IN_WORK = 2
"""Frames that a network on a GPU has at once: while one is turned into floats or back into pixels on the processor, it
works on the other. On the processor itself two at once took a fifth more of its time than one after the other."""


def run_stages(
    chunks: Iterable[StreamChunk],
    *,
    preparer: FramePreparer,
    sharpener: Sharpener,
    finisher: FrameFinisher,
    writer: Writer,
    strength: float,
    clock: Clock,
) -> None:
    """Let all chunks pass; the calling thread waits for the network, so that Ctrl-C arrives between two frames.

    Args:
        chunks: Of the file, read in a thread of their own from now on.
        preparer: Makes decoded frames ready.
        sharpener: The opened model.
        finisher: Puts what it changed into the frames.
        writer: Encodes them and writes the rest.
        strength: See `Sharpener.__call__`.
        clock: Counts the frames.

    Raises:
        AcutanceError: What any stage raises; all threads have ended then.
        Abandoned: What the report raised to stop in order: the frames before are encoded.
    """
    decoded, sharpened = Channel[PendingFrame](QUEUE_FRAMES), Channel[PendingFrame](QUEUE_FRAMES)

    def stop(stage: Future[None]) -> None:
        if stage.exception() is not None and not isinstance(stage.exception(), Cancelled):
            decoded.cancel()
            sharpened.cancel()

    with ThreadPoolExecutor(2, thread_name_prefix="acutance-video") as pool:
        stages = [pool.submit(_decode, chunks, preparer, decoded), pool.submit(_encode, sharpened, finisher, writer)]
        for stage in stages:
            stage.add_done_callback(stop)
        try:
            _sharpen(decoded, sharpened, sharpener, strength, clock)
        except Cancelled:
            pass  # the stage that failed says why, below
        except Abandoned:
            sharpened.finish()  # what has been sharpened by now is encoded, and kept where it is kept at all
            decoded.cancel()
            raise
        except BaseException:
            decoded.cancel()
            sharpened.cancel()
            raise
    for stage in stages:
        error = stage.exception()
        if error is not None and not isinstance(error, Cancelled):
            raise error


def _sharpen(
    decoded: Channel[PendingFrame],
    sharpened: Channel[PendingFrame],
    sharpener: Sharpener,
    strength: float,
    clock: Clock,
) -> None:
    """Run the network on all frames, and hand them on in their order."""
    most = MOST_IN_WORK if sharpener.is_offloaded else 1
    in_work: deque[tuple[PendingFrame, Future[None]]] = deque()

    def hand_on() -> None:
        pending, work = in_work.popleft()
        while not wait([work], INTERRUPTIBLE_S).done:
            pass
        work.result()
        sharpened.put(pending)
        if pending.chunk.time is not None:
            clock.tick()

    with ThreadPoolExecutor(most, thread_name_prefix="acutance-network") as pool:
        for pending in decoded:
            in_work.append((pending, pool.submit(sharpen_frame, pending, sharpener, strength)))
            if len(in_work) == most:
                hand_on()
        while in_work:
            hand_on()
    sharpened.finish()


def _decode(chunks: Iterable[StreamChunk], preparer: FramePreparer, decoded: Channel[PendingFrame]) -> None:
    for chunk in chunks:
        decoded.put(preparer.prepare(chunk))
    decoded.finish()


def _encode(sharpened: Channel[PendingFrame], finisher: FrameFinisher, writer: Writer) -> None:
    for pending in sharpened:
        chunk = pending.chunk
        writer.copy(chunk.packets)
        frame = finisher.finish(pending)
        if chunk.time is not None and frame is not None:
            writer.show(frame, chunk.time, chunk.duration)
        elif chunk.time is not None:
            writer.repeat(chunk.time, chunk.duration)
    writer.finish()
