"""What a download can fail by: the disk, the network and the user's stop are told apart."""

from __future__ import annotations

import errno
import os
import socket
from typing import ClassVar

import huggingface_hub
import pytest
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RevisionNotFoundError, XetDownloadError

from jessyfile.errors import Interrupted, ModelError, StorageError
from jessyfile.models.hub import fetch


def failing(monkeypatch, error):
    def download(*_, **__):
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_a_disk_that_refuses_is_no_fault_of_the_network(monkeypatch, code):
    """With a full disk a download ended in "the hub cannot be reached"."""
    failing(monkeypatch, OSError(code, os.strerror(code), "/cache/blobs/x"))
    with pytest.raises(StorageError, match=r"cannot download `hf:a/b` to `/cache/blobs/x`") as caught:
        fetch("a/b")
    assert os.strerror(code).lower() in caught.value.message
    assert caught.value.hint


WIRE = HfHubHTTPError.__mro__[1]


@pytest.mark.parametrize(
    "error",
    [
        LocalEntryNotFoundError("offline"),
        socket.gaierror(-2, "no name"),
        ConnectionResetError(104, "reset"),
        TimeoutError(),
        WIRE("down"),
    ],
)
def test_a_network_that_fails_is_said(monkeypatch, error):
    failing(monkeypatch, error)
    with pytest.raises(ModelError, match="the hub cannot be reached"):
        fetch("a/b")


class Answer:
    """What of the hub's answer is read."""

    headers: ClassVar[dict] = {}
    request = None

    def __init__(self, status):
        self.status_code = status


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(
    ("error", "says"),
    [
        (RevisionNotFoundError("404", response=Answer(404)), "has no such revision"),
        (HfHubHTTPError("401", response=Answer(401)), r"refuses your token for `hf:a/b` \(HTTP 401\)"),
        (HfHubHTTPError("429", response=Answer(429)), r"cannot serve `hf:a/b` now \(HTTP 429\)"),
        (HfHubHTTPError("503", response=Answer(503)), r"cannot serve `hf:a/b` now \(HTTP 503\)"),
    ],
)
def test_a_hub_that_answers_is_not_called_unreachable(monkeypatch, error, says, wrapped):
    """A wrong revision and an old token were told as a network that fails."""

    def download(*_, **__):
        if wrapped:
            raise LocalEntryNotFoundError("no snapshot") from error
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(ModelError, match=says) as caught:
        fetch("a/b", "v9")
    assert caught.value.hint


def test_a_connection_lost_in_mid_download_is_the_networks(monkeypatch):
    failing(monkeypatch, XetDownloadError("lost"))
    with pytest.raises(ModelError, match=r"could not be downloaded|cannot be reached"):
        fetch("a/b")


def test_what_the_downloader_itself_says_is_passed_on(monkeypatch):
    failing(monkeypatch, RuntimeError("Data processing error:\nno space left"))
    with pytest.raises(ModelError, match="could not be downloaded: Data processing error: no space left"):
        fetch("a/b")


def test_a_stop_ends_a_download_at_its_next_bytes(monkeypatch):
    class Stop:
        def requested(self):
            return True

    def download(*_, tqdm_class, **__):
        with tqdm_class(total=10, disable=True) as bar:
            bar.update(1)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(Interrupted, match="the part that came is kept"):
        fetch("a/b", stop=Stop())
