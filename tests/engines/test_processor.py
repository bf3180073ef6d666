"""What the processor can do, as the system's own list tells it: lists of real processors, shortened."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from acutance.engines import processor
from acutance.engines.onnx_engine import session_options
from acutance.engines.processor import is_intel, multiplies_bfloat16, usable_cpus, within_cpus
from acutance.errors import ConfigError

SAPPHIRE_RAPIDS = """\
processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz
flags\t\t: fpu vme sse4_2 avx2 avx512f avx512_bf16 amx_bf16 avx512_vnni amx_tile amx_int8
bugs\t\t: spectre_v1

processor\t: 1
flags\t\t: fpu vme sse4_2 avx2 avx512f avx512_bf16 amx_bf16 avx512_vnni amx_tile amx_int8
"""
ZEN_4 = "processor\t: 0\nvendor_id\t: AuthenticAMD\nflags\t\t: avx2 avx512f avx512_bf16 avx512_vnni\n"
HASWELL = "processor\t: 0\nmodel name\t: amx_bf16\nflags\t\t: fpu sse4_2 avx2 fma\nvmx flags\t: amx_bf16\nbugs\t\t:\n"
GRAVITON_3 = "processor\t: 0\nBogoMIPS\t: 2100.00\nFeatures\t: fp asimd aes crc32 atomics bf16 asimddp ssbs\n"

On = Callable[[str | bytes], None]


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[On]:
    """Say what Linux tells; whatever was known before is forgotten, and afterwards, too."""

    def forget() -> None:
        multiplies_bfloat16.cache_clear()
        is_intel.cache_clear()

    def pretend(cpuinfo: str | bytes) -> None:
        (tmp_path / "cpuinfo").write_bytes(cpuinfo.encode() if isinstance(cpuinfo, str) else cpuinfo)
        forget()

    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(platform, "processor", lambda: "")
    forget()
    yield pretend
    forget()


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        (SAPPHIRE_RAPIDS, True),
        (ZEN_4, False),
        (HASWELL, False),
        (GRAVITON_3, False),
        ("", False),
        ("flags", False),
        ("flags\t\t:\n", False),
        ("flags: amx_bf16_x xamx_bf16\n", False),
        (b"model name\t: \xff\xfe\nflags\t\t: amx_bf16\n", True),
    ],
    ids=[
        "Sapphire Rapids",
        "Zen 4",
        "Haswell",
        "Graviton 3",
        "empty",
        "no colon",
        "no flags",
        "other flags",
        "no text",
    ],
)
def test_bfloat16_counts_where_tiles_of_it_are_multiplied(on: On, cpuinfo: str | bytes, expected: bool) -> None:
    on(cpuinfo)
    assert multiplies_bfloat16() is expected


def test_without_a_list_the_answer_is_no(on: On) -> None:
    assert not multiplies_bfloat16()
    processor.CPUINFO.mkdir()
    multiplies_bfloat16.cache_clear()
    assert not multiplies_bfloat16()


def test_the_system_is_asked_once(on: On) -> None:
    on(SAPPHIRE_RAPIDS)
    assert multiplies_bfloat16()
    processor.CPUINFO.write_text(HASWELL)
    assert multiplies_bfloat16()
    multiplies_bfloat16.cache_clear()
    assert not multiplies_bfloat16()


def test_the_answer_here_is_a_plain_yes_or_no() -> None:
    multiplies_bfloat16.cache_clear()
    assert isinstance(multiplies_bfloat16(), bool)


@pytest.mark.parametrize(("cpuinfo", "expected"), [(SAPPHIRE_RAPIDS, True), (ZEN_4, False), (GRAVITON_3, False)])
def test_the_make_of_the_processor(on: On, cpuinfo: str, expected: bool) -> None:
    on(cpuinfo)
    assert is_intel() is expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="binds a process to CPUs, as Linux can")
def test_cpus_are_those_that_the_process_is_bound_to() -> None:
    bound = os.sched_getaffinity(0)
    assert usable_cpus() == len(bound)
    try:
        os.sched_setaffinity(0, {min(bound)})
        assert usable_cpus() == 1
    finally:
        os.sched_setaffinity(0, bound)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="binds a process to CPUs, as Linux can")
def test_a_network_gets_a_thread_per_core_that_the_process_is_bound_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime counts the machine's: two threads on one CPU wait for each other."""
    bound = os.sched_getaffinity(0)
    if len(bound) < 2 or len(bound) < (os.cpu_count() or 1):
        pytest.skip("a machine of two CPUs, all of them this process's")
    assert session_options(None).intra_op_num_threads == 0  # left to ONNX Runtime
    first, second = sorted(bound)[:2]
    monkeypatch.setattr(os, "cpu_count", lambda: len(bound) + 1)
    monkeypatch.setattr(processor, "SIBLINGS", f"{tmp_path}/{{}}")
    try:
        os.sched_setaffinity(0, {first, second})
        assert session_options(None).intra_op_num_threads == 2
        for cpu in (first, second):  # now of one core
            (tmp_path / str(cpu)).write_text(f"{first},{second}\n")
        assert session_options(None).intra_op_num_threads == 1
        assert session_options(5).intra_op_num_threads == 5
        os.sched_setaffinity(0, {first})
        assert session_options(None).intra_op_num_threads == 1
    finally:
        os.sched_setaffinity(0, bound)


def test_a_machine_is_told_by_what_speeds_depend_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that is installed anew changes its folder, or a file in it; so does one that is chosen by a variable."""
    drivers, version = tmp_path / "icd.d", tmp_path / "version"
    drivers.mkdir()
    for variable in processor.DRIVER_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(processor, "DRIVER_FOLDERS", (str(drivers), str(tmp_path / "none")))
    monkeypatch.setattr(processor, "NVIDIA_VERSION", version)

    def told() -> str:
        processor.describe_machine.cache_clear()
        return processor.describe_machine()

    seen = {told()}
    assert told() in seen
    (drivers / "radeon.json").touch()
    os.utime(drivers / "radeon.json", (2e9, 2e9))
    seen.add(told())
    version.write_text("580.12\n")
    seen.add(told())
    assert "version 580.12" in told()
    monkeypatch.setenv("VK_ICD_FILENAMES", "other.json")
    seen.add(told())
    monkeypatch.setattr(processor, "usable_cpus", lambda: 99)
    seen.add(told())
    assert len(seen) == 5
    processor.describe_machine.cache_clear()


def test_no_more_threads_are_taken_than_there_are_cpus() -> None:
    assert within_cpus(None) is None
    assert within_cpus(1) == 1
    assert within_cpus(100_000) == usable_cpus()
    with pytest.raises(ConfigError, match="threads = 0: must be at least 1"):
        within_cpus(0)
