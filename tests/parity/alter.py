"""A GGUF with other keys or other numbers in its tensors."""

from jessyfile.models.from_gguf import dequantized
from jessyfile.models.gguf_container import OutTensor, pair_bytes, write_container
from jessyfile.models.gguf_reader import read_gguf


def alter(path, target, keys=(), without=(), tensors=None):
    """Write `path` to `target` with `keys` (name, type, value) set, keys left out, and tensors replaced by float32 numbers."""
    file, tensors = read_gguf(path), tensors or {}
    raw = {key: data for key, data in file.raw.items() if key not in without}
    raw |= {key: pair_bytes(key, kind, value) for key, kind, value in keys}
    out = []
    for name, tensor in file.tensors.items():
        new = tensors.get(name)
        if new is None:
            out.append(
                OutTensor(name, tensor.shape, tensor.kind, tensor.nbytes, lambda t=tensor: iter([file.stored(t)]))
            )
        else:
            out.append(OutTensor(name, new.shape, 0, new.nbytes, lambda n=new: iter([n])))
    write_container(target, list(raw.values()), out)
    return target


def numbers_of(path, name):
    file = read_gguf(path)
    return dequantized(file, file.tensors[name]).copy()
