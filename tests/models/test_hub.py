"""What a download can fail by: the disk, the network and the user's stop are told apart."""

from __future__ import annotations

import errno
import os
import socket

import huggingface_hub
import pytest
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

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
