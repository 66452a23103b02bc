"""What a client says of an answer lands in the project's store, whole or not at all."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from serve_fakes import FACTS, of_entry, post, register_model, served

from jessyfile.feedback.store import SignalStore

SAID = {
    "signal": "up", "model": "tiny", "messages": [{"role": "user", "content": "selam"}], "answer": "selam diyorsun.", "digest": FACTS.digest,
    "level": "low", "iterations": 1,
}  # fmt: skip


def test_signals_are_kept_with_their_ids_from_several_clients_at_once(tmp_path: Path) -> None:
    register_model(tmp_path)
    with served(tmp_path, of_entry()) as running:
        ids: list[str] = []
        threads = [
            threading.Thread(target=lambda: ids.append(post(f"{running.url}/jessy/feedback", SAID).json()["id"]))
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        answer = post(f"{running.url}/jessy/feedback", {**SAID, "signal": "edit", "chosen": "Selam!", "source": "page"})
        assert answer.status_code == 200
        for wrong, said in (
            ({"signal": "edit"}, "chosen"),
            ({"signal": "maybe"}, "Invalid enum value"),
            ({"messages": [{"role": "assistant", "content": "x"}]}, ""),
        ):
            refused = post(f"{running.url}/jessy/feedback", {**SAID, **wrong})
            assert refused.status_code == 400
            assert said in refused.json()["error"]
    kept = SignalStore(tmp_path).read().signals
    assert {one.id for one in kept} == {*ids, answer.json()["id"]}
    assert [one.signal.source for one in kept].count("page") == 1


@pytest.mark.parametrize("level", ["1" * 100, "LOW"])
def test_a_signal_that_the_store_refuses_is_a_bad_request(tmp_path: Path, level: str) -> None:
    register_model(tmp_path)
    with served(tmp_path, of_entry()) as running:
        assert post(f"{running.url}/jessy/feedback", {**SAID, "level": level}).status_code == 400
