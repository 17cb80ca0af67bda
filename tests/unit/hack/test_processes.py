"""Processes: only what we started, and still is what we started, is ever signalled."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.cluster.processes import Processes, start_time
from hack.cluster.settings import ClusterError


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Processes with one component `sleeper`, ended after the test whatever happened in it."""
    started = Processes(tmp_path / "processes.json")
    pid = started.start("sleeper", ["sleep", "600"], log=tmp_path / "logs" / "sleeper.log")
    yield started
    for each in {pid, started.pid("sleeper") or pid}:
        try:
            os.kill(each, signal.SIGKILL)
            os.waitpid(each, 0)
        except (ProcessLookupError, ChildProcessError):
            continue


def test_another_run_of_the_program_knows_what_this_one_started(processes: Processes, tmp_path: Path) -> None:
    again = Processes(tmp_path / "processes.json")
    assert again.names() == ["sleeper"]
    assert again.pid("sleeper") == processes.pid("sleeper") is not None


def test_a_killed_component_is_gone_and_starts_again_as_before(processes: Processes) -> None:
    first = processes.pid("sleeper")
    processes.kill("sleeper")
    assert processes.pid("sleeper") is None
    assert processes.start_again("sleeper") != first
    assert processes.command("sleeper") == ["sleep", "600"]


def test_stop_asks_first(processes: Processes) -> None:
    processes.stop("sleeper")
    assert processes.pid("sleeper") is None


def test_a_process_that_took_over_the_id_is_left_alone(processes: Processes, tmp_path: Path) -> None:
    file = tmp_path / "processes.json"
    record = json.loads(file.read_text())
    pid = record["sleeper"]["pid"]
    record["sleeper"]["started"] = "somebody else's"
    file.write_text(json.dumps(record))
    stranger = Processes(file)
    stranger.kill("sleeper")
    assert stranger.pid("sleeper") is None
    assert start_time(pid) is not None


def test_a_running_component_is_not_started_twice(processes: Processes) -> None:
    with pytest.raises(ClusterError, match="still runs"):
        processes.start_again("sleeper")


def test_an_unknown_component_is_answered_with_the_known_ones(processes: Processes) -> None:
    with pytest.raises(ClusterError, match="sleeper"):
        processes.pid("apiservr")


def test_a_component_that_ended_is_reported_with_its_last_words(processes: Processes, tmp_path: Path) -> None:
    processes.check_alive()
    (tmp_path / "logs" / "sleeper.log").write_text("bind: address already in use\n")
    processes.kill("sleeper")
    with pytest.raises(ClusterError, match="address already in use"):
        processes.check_alive()


def test_no_process_has_no_start_time() -> None:
    assert start_time(os.getpid()) is not None
    assert start_time(2**22 + 1) is None  # above the kernel's largest process id


def test_a_process_whose_first_thread_has_ended_is_not_gone_yet() -> None:
    """As after SIGKILL, while the other threads still hold its ports."""
    program = (
        "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(60,)).start();"
        "print(flush=True); ctypes.CDLL(None).pthread_exit(None)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            while "Z" not in Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2]:
                assert process.poll() is None
            assert start_time(process.pid) is not None
        finally:
            process.kill()
    assert start_time(process.pid) is None
