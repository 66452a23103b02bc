"""A model that is promoted while the server runs, and a server that is told to stop: nobody who asked is dropped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from serve_fakes import FACTS, Double, asks, get, of_entry, post, register_model, served, wait_for

from jessyfile.errors import DamagedError, EngineError
from jessyfile.export.registry import Registration
from jessyfile.serve.house import ServedName
from jessyfile.serve.served import ServedFacts

NEW = "e2" * 32


def test_a_promotion_under_load_drops_no_question(tmp_path: Path) -> None:
    """Every question is answered by a model that was promoted when it was asked or later, and the old one's memory is given back."""
    register_model(tmp_path)
    made: list[Double] = []
    make = of_entry(seconds=0.02, parallel=2)

    def loading(entry: Registration) -> Double:
        time.sleep(0.05)
        made.append(make(entry))
        return made[-1]

    with served(tmp_path, loading) as running:
        digests: list[str] = []
        statuses: list[int] = []
        ended = threading.Event()

        def ask() -> None:
            while not ended.is_set():
                answer = post(f"{running.url}/v1/chat/completions", asks())
                statuses.append(answer.status_code)
                digests.append(answer.json()["jessy"]["model_digest"])

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        wait_for(lambda: len(statuses) > 10)
        register_model(tmp_path, NEW)
        wait_for(lambda: digests[-6:] == [NEW] * 6)
        ended.set()
        for thread in threads:
            thread.join()
        assert set(statuses) == {200}
        assert set(digests) == {FACTS.digest, NEW}
        wait_for(lambda: made[0].unloaded == 1)
        assert [one.unloaded for one in made] == [1, 0]
        assert get(f"{running.url}/api/tags").json()["models"][0]["digest"] == NEW
        assert 'jessy_promotions_total{model="tiny"} 1' in get(f"{running.url}/metrics").text
    assert made[1].unloaded == 1


def test_an_answer_under_way_is_ended_by_the_model_that_began_it(tmp_path: Path) -> None:
    register_model(tmp_path)
    gate = threading.Event()
    doubles = [Double(gate=gate, parallel=1), Double(of_new())]
    with served(tmp_path, lambda _: doubles.pop(0)) as running:
        found = []
        asking = threading.Thread(target=lambda: found.append(post(f"{running.url}/v1/chat/completions", asks())))
        asking.start()
        wait_for(lambda: running.service.house.desks[0].running == 1)
        register_model(tmp_path, NEW)
        wait_for(lambda: running.service.house.facts[0].digest == NEW)
        assert post(f"{running.url}/v1/chat/completions", asks()).json()["jessy"]["model_digest"] == NEW
        gate.set()
        asking.join()
        assert found[0].json()["jessy"]["model_digest"] == FACTS.digest


def of_new() -> ServedFacts:
    from dataclasses import replace

    return replace(FACTS, id=NEW, digest=NEW)


def test_a_promoted_model_that_cannot_be_loaded_leaves_the_one_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    register_model(tmp_path)

    def make(entry: Registration) -> Double:
        if entry.digest == NEW:
            raise DamagedError("the file of tiny:latest is gone")
        return Double()

    with served(tmp_path, make) as running:
        register_model(tmp_path, NEW)
        wait_for(lambda: "tiny:latest is not taken: the file of tiny:latest is gone" in caplog.text)
        assert post(f"{running.url}/v1/chat/completions", asks()).json()["jessy"]["model_digest"] == FACTS.digest


def test_a_name_that_is_promoted_first_while_the_server_runs_is_served(tmp_path: Path) -> None:
    register_model(tmp_path)
    with served(tmp_path, lambda entry: Double(named(entry))) as running:
        assert post(f"{running.url}/api/show", {"model": "other"}).status_code == 404
        register_model(tmp_path, NEW, name="other")
        wait_for(lambda: post(f"{running.url}/api/show", {"model": "other"}).status_code == 200)
        assert [model["id"] for model in get(f"{running.url}/v1/models").json()["data"]] == ["tiny", "other"]


def named(entry: Registration) -> ServedFacts:
    from dataclasses import replace

    return replace(FACTS, name=entry.name, tag=entry.tag, id=entry.digest, digest=entry.digest)


def test_a_candidate_is_served_by_its_tag_alone(tmp_path: Path) -> None:
    register_model(tmp_path)
    register_model(tmp_path, NEW, tag="candidate")
    with served(tmp_path, lambda entry: Double(named(entry)), [ServedName("tiny", "candidate")]) as running:
        assert [model["id"] for model in get(f"{running.url}/v1/models").json()["data"]] == ["tiny:candidate"]
        assert post(f"{running.url}/api/show", {"model": "tiny"}).status_code == 404
        answer = post(f"{running.url}/v1/chat/completions", {**asks(), "model": "tiny:candidate"})
        assert answer.json()["model"] == "tiny:candidate"


def test_a_project_without_a_promoted_model_says_what_to_run(tmp_path: Path) -> None:
    (tmp_path / ".jessy").mkdir()
    with pytest.raises(EngineError, match="no promoted model"), served(tmp_path, of_entry()):
        pass


def test_a_stop_lets_everybody_who_asked_be_answered(tmp_path: Path) -> None:
    """Those who wait in the line, too; nobody new is let in."""
    register_model(tmp_path)
    double = Double(seconds=0.3, parallel=1)
    found = []
    with served(tmp_path, lambda _: double) as running:
        threads = [
            threading.Thread(target=lambda: found.append(post(f"{running.url}/v1/chat/completions", asks())))
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        desk = running.service.house.desks[0]
        wait_for(lambda: desk.running + desk.waiting == 3)
        running.server.stop()
        for thread in threads:
            thread.join()
        assert [answer.status_code for answer in found] == [200] * 3
        with pytest.raises(httpx.TransportError):
            wait_for(lambda: not get(running.url))
    assert double.unloaded == 1


SERVER = """
import sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
from pathlib import Path
from serve_fakes import Double, of_entry
from jessyfile.serve.assembly import assembled
from jessyfile.serve.server import address_of, listening, run
from jessyfile.serve.settings import Access, Limits
service = assembled(Path(sys.argv[3]), (), of_entry(seconds=1.0, parallel=1), Limits(grace=float(sys.argv[4])), Access())
service.house.open()
listener = listening("127.0.0.1", 0)
print(address_of(listener), flush=True)
run(service, listener)
print("stopped")
"""


@pytest.mark.parametrize(("grace", "ended"), [(10, "full"), (0.2, "cut")])
def test_sigterm_ends_a_server_with_its_answers_given(tmp_path: Path, grace: float, ended: str) -> None:
    """What was under way when the time was over is cut, and what there is of it is sent."""
    register_model(tmp_path)
    here = Path(__file__).parent
    words = [sys.executable, "-c", SERVER, str(here), str(here.parents[1]), str(tmp_path), str(grace)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        found = []
        asking = threading.Thread(target=lambda: found.append(post(f"{url}/v1/chat/completions", asks())))
        asking.start()
        wait_for(lambda: 'jessy_running{model="tiny"} 1' in get(f"{url}/metrics").text)
        os.kill(process.pid, signal.SIGTERM)
        asking.join()
        assert process.wait(10) == 0
        assert process.stdout.read() == "stopped\n"
    assert (found[0].status_code, found[0].json()["jessy"]["ended"]) == (200, ended)
