"""What a training reports of itself: kept beside the checkpoints, with the run, and in a tracker's own format."""

import ctypes
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray
from training_fakes import Silent, StopAfter, trainer

from jessyfile import TrainingMetrics
from jessyfile.errors import Interrupted, TrainingError
from jessyfile.training import trackers, utilization
from jessyfile.training.metrics import MetricsLog, read_metrics
from jessyfile.training.utilization import Utilization, apple_share


class Heard(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def at(update: int, **changes: object) -> TrainingMetrics:
    return replace(TrainingMetrics(1, update, 2.0, 1e-4, None, 1.0, float(update)), **changes)


def test_every_update_is_a_line_and_a_stopped_training_goes_on_in_the_same_file(tmp_path: Path) -> None:
    """Lines of updates that came after the last checkpoint vanish: those updates are made once more."""
    path = tmp_path / "metrics.jsonl"
    first = trainer(tmp_path, stop=StopAfter(5))
    first.log = MetricsLog(path)
    with pytest.raises(Interrupted):
        first.run()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["iteration"] for line in lines] == [1, 2, 3, 4, 5]
    assert set(lines[0]) >= {"epoch", "iteration", "loss", "learning_rate", "tokens_per_second", "memory_usage"}
    sorted((tmp_path / "work").glob("checkpoint-*"))[-1].rename(tmp_path / "lost")
    path.write_text(path.read_text() + '{"epoch": 2, "itera')  # torn by a kill
    second = trainer(tmp_path)
    second.log = MetricsLog(path)
    cursor = second.run()
    kept = read_metrics(path)
    assert kept == second.log.kept
    assert [one.iteration for one in kept] == list(range(1, cursor.update + 1))
    assert [one.loss for one in kept] == [entry["loss"] for entry in cursor.curve]


def test_utilization_of_the_whole_is_weighed_by_time() -> None:
    log = MetricsLog()
    for one in (at(1, gpu_utilization=0.2), at(3, gpu_utilization=0.8), at(4)):
        log.add(one)
    assert log.mean_gpu() == pytest.approx((0.2 * 1 + 0.8 * 2) / 3)
    assert log.mean_cpu() is None
    assert MetricsLog().mean_gpu() is None


def test_compiling_counts_neither_for_the_utilization_nor_against_it() -> None:
    """A training whose kernels were compiled for most of its time was said to have left the GPU idle."""
    log = MetricsLog()
    for one in (at(10, compile_seconds=9.0, gpu_utilization=0.6), at(12, gpu_utilization=0.9)):
        log.add(one)
    assert log.mean_gpu() == pytest.approx((0.6 * 1 + 0.9 * 2) / 3)


def test_the_progress_line_says_what_is_busy() -> None:
    assert at(1, gpu_utilization=0.75).live().endswith("1.0 GB · GPU 75%")
    assert at(1, cpu_utilization=0.5).live().endswith("1.0 GB · CPU 50%")
    assert at(1).live().endswith("1.0 GB")


REGISTRY = b"""+-o AGXAcceleratorG13G  <class AGXAcceleratorG13G, registered, matched, active>
    {
      "PerformanceStatistics" = {"In use system memory"=1,"Device Utilization %"=63,"Renderer Utilization %"=12}
    }"""


def test_apples_registry_is_read_and_its_absence_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert apple_share(REGISTRY) == 0.63
    assert apple_share(REGISTRY.replace(b"63", b"113")) == 1
    assert apple_share(b"") is None
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(utilization, "_IOREG", ("/nowhere/ioreg",))
    assert Utilization(on_gpu=True).gpu() is None


class Nvml:
    """A driver's library as ctypes calls it: samples of a percentage, the newest once."""

    def __init__(self, samples: list[tuple[int, int]], reading: int = 41) -> None:
        self.samples, self.reading = samples, reading

    def nvmlInit_v2(self) -> int:  # noqa: N802 (the library's name)
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: int, device: object) -> int:  # noqa: N802 (the library's name)
        return 0

    def nvmlDeviceGetSamples(self, *given: object) -> int:  # noqa: N802 (the library's name)
        _, _, since, _, count, buffer = given
        new = [one for one in self.samples if one[0] > since.value]
        for place, (when, value) in enumerate(new):
            buffer[place].when, buffer[place].value = when, value | 7 << 32  # the upper half of the union is not set
        count._obj.value = len(new)
        return 0 if new else 6

    def nvmlDeviceGetUtilizationRates(self, device: object, rates: object) -> int:  # noqa: N802 (the library's name)
        rates._obj.gpu = self.reading
        return 0


def test_nvidias_samples_since_the_last_question_are_averaged(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Nvml([(1, 10), (2, 20)])
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(utilization, "_library", lambda: driver)
    monkeypatch.setattr(utilization, "_SAMPLED", 0.0)
    busy = Utilization(on_gpu=True)
    driver.samples += [(3, 60), (4, 100)]
    assert busy.gpu() == 0.8  # not those from before the training
    assert busy.gpu() == 0.8  # nothing new was sampled in a short update
    driver.samples.append((5, 50))
    assert busy.gpu() == 0.5
    driver.samples.append((6, 0))
    busy.forget()  # kernels were compiled until now
    driver.samples.append((7, 70))
    assert busy.gpu() == 0.7


def test_a_driver_without_samples_gives_its_reading_and_no_driver_gives_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(utilization, "_library", lambda: Nvml([]))
    assert Utilization(on_gpu=True).gpu() is None  # a reading of this moment would be of what came before
    monkeypatch.setattr(utilization, "_SAMPLED", 0.0)
    assert Utilization(on_gpu=True).gpu() == 0.41
    monkeypatch.setattr(utilization, "_library", lambda: None)
    assert Utilization(on_gpu=True).gpu() is None
    monkeypatch.setattr(utilization, "_library", lambda: SimpleNamespace(nvmlInit_v2=lambda: 12))
    assert Utilization(on_gpu=True).gpu() is None
    monkeypatch.setattr(ctypes, "CDLL", lambda name: (_ for _ in ()).throw(OSError(name)))
    monkeypatch.undo()
    assert 0 <= Utilization(on_gpu=False).cpu() <= 1


def test_tensorboard_reads_what_its_own_writer_wrote(tmp_path: Path) -> None:
    made, heard = trainer(tmp_path), Heard()
    made.train = replace(made.train, tracker="tensorboard")
    with trackers.tracking(made.train, tmp_path / "7", heard) as tracker:
        made.log = MetricsLog(None, (), tracker)
        cursor = made.run()
    assert heard.lines == [f"tensorboard --logdir {tmp_path} draws this run and those before"]
    events = EventAccumulator(str(tmp_path / "7" / "tensorboard"), size_guidance={"tensors": 0})
    events.Reload()
    drawn = [
        [(one.step, pytest.approx(make_ndarray(one.tensor_proto).item(), rel=1e-6)) for one in events.Tensors(name)]
        for name in ("training/loss", "validation/loss")
    ]
    assert drawn[0] == [(entry["update"], entry["loss"]) for entry in cursor.curve]
    assert drawn[1] == [(entry["update"], entry["loss"]) for entry in cursor.validations]
    assert {"training/learning_rate", "training/memory_usage"} <= set(events.Tags()["tensors"])


def test_a_log_that_the_disk_refuses_does_not_stop_the_training(tmp_path: Path) -> None:
    heard = Heard()
    tracker = trackers.TensorBoard(tmp_path, heard)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    tracker._writer = SimpleNamespace(add_scalar=full, close=full)
    tracker.training(at(1))
    tracker.validation(1, 2.0)
    tracker.close()
    assert len(heard.lines) == 1
    assert "No space left" in heard.lines[0]


def test_a_tracker_that_is_not_installed_is_named_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda _: None)
    with pytest.raises(TrainingError, match="not installed") as caught:
        trackers.refuse_missing(SimpleNamespace(tracker="tensorboard"))
    assert "jessy[tensorboard]" in caught.value.hint
    trackers.refuse_missing(SimpleNamespace(tracker="none"))
