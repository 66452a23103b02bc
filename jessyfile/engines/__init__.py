"""Engines that load a model and answer: embedded llama.cpp, Ollama, MLX."""
