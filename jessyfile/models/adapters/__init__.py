"""Adapters that others trained, and jessy's own: read, checked against a base, and merged into it."""
