"""How signals stop a command, however little it wants to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jessyfile.commands.signals import stopping
from jessyfile.errors import Exit, Interrupted

ROOT = Path(__file__).parents[2]
NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number.name)
def test_the_first_asks_and_the_second_stops_with_the_way_on(number):
    with pytest.raises(Interrupted) as caught, stopping(lambda: "jessy apply r.jessy") as stop:
        assert not stop.requested()
        os.kill(os.getpid(), number)
        assert stop.requested()
        os.kill(os.getpid(), number)
    assert caught.value.hint == "resume with: jessy apply r.jessy"
    assert "at once" in caught.value.message


def test_what_is_ignored_stays_ignored():
    """`nohup` and a shell's background jobs ignore a signal for the command: it must not listen all the same."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping(lambda: "") as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.requested()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


STUBBORN = """
import time
from jessyfile.commands.signals import stopping
with stopping(lambda: "") as stop:
    ready = False
    while True:
        try:
            if not ready:
                ready = True
                print("ready", flush=True)
            time.sleep(600)
        except KeyboardInterrupt:
            print("again", flush=True)
"""


def run(code):
    return subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True, stdout=subprocess.PIPE
    )


def test_the_third_ends_what_holds_on():
    with run(STUBBORN) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "again\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == Exit.INTERRUPTED


WAITING = """
import sys, threading, time
from jessyfile import cli
def main():
    threading.Thread(target=time.sleep, args=(600,)).start()
    try:
        print("ready", flush=True)
        time.sleep(600)
    except KeyboardInterrupt:
        return cli.Exit.INTERRUPTED
cli.main = main
cli.entry()
"""


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number.name)
def test_a_thread_that_waits_for_an_answer_holds_up_no_stop(number):
    with run(WAITING) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.wait(60) == Exit.INTERRUPTED
