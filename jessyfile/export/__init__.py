"""From an adapter to a served model: merge, GGUF, Modelfile, registration."""
