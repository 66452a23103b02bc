"""`jessy serve`: promoted models behind OpenAI's and Ollama's HTTP interfaces."""
