"""Under which licence a base is published, by the beginning of its name on the hub."""

from __future__ import annotations

from collections.abc import Mapping

OTHER = "other"
_LICENCES: Mapping[str, str] = {
    "google/gemma": "gemma", "mlx-community/gemma": "gemma", "mlx-community/quantized-gemma": "gemma",
    "meta-llama/Llama-3.1": "llama3.1", "meta-llama/Llama-3.2": "llama3.2", "mlx-community/Llama-3.2": "llama3.2",
    "microsoft/Phi-": "mit", "mistralai/Mistral-7B": "apache-2.0", "mistralai/Mistral-Nemo": "apache-2.0",
    "Qwen/Qwen2.5-0.5B": "apache-2.0", "Qwen/Qwen2.5-1.5B": "apache-2.0", "Qwen/Qwen2.5-7B": "apache-2.0",
    "Qwen/Qwen3-": "apache-2.0", "HuggingFaceTB/SmolLM": "apache-2.0",
}  # fmt: skip


def licence_word(repo: str) -> str:
    """Return what the hub calls the licence of a repository, `other` where that is not known here."""
    return next((word for start, word in _LICENCES.items() if repo.startswith(start)), OTHER)
