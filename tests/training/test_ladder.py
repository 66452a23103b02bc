"""What is given up when memory is short, in which order, and in which words."""

from dataclasses import replace

import pytest
from training_fakes import LORA, TRAIN

from jessyfile.errors import InsufficientMemoryError
from jessyfile.training.ladder import Ladder

SHORT = InsufficientMemoryError("too little")


def descended(start: Ladder, train: object) -> Ladder:
    while True:
        try:
            start = start.next_rung(train, SHORT)
        except InsufficientMemoryError:
            return start


def test_on_a_gpu_what_changes_nothing_comes_before_the_rank() -> None:
    train = replace(TRAIN, batch_size=4, on_memory="shrink_rank")
    end = descended(Ladder(replace(LORA, rank=16, alpha=32)), train)
    words = [rung.split(": ")[1].split(" ")[0] for rung in end.rungs]
    assert words == ["2", "1", "layers", "rank", "rank"]
    assert all("stays the same" in rung for rung in end.rungs[:3])
    assert all("another adapter" in rung for rung in end.rungs[3:])
    assert (end.lora.rank, end.lora.scale, end.splits, end.checkpointing) == (4, 2, 4, True)


def test_on_a_cpu_layers_keep_their_inputs_anyway() -> None:
    end = descended(Ladder(LORA, keeps_inputs=True), replace(TRAIN, batch_size=2))
    assert [rung.split(": ")[1].split(" ")[0] for rung in end.rungs] == ["1"]


def test_what_the_recipe_forbids_is_not_given_up() -> None:
    with pytest.raises(InsufficientMemoryError):
        Ladder(LORA).next_rung(replace(TRAIN, on_memory="stop"), SHORT)
    assert descended(Ladder(replace(LORA, rank=64)), replace(TRAIN, on_memory="shrink_batch")).lora.rank == 64
