"""Declarative fine-tuning of small local models."""

from __future__ import annotations

__version__ = "0.1.0"
