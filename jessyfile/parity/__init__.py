"""The proof that what is served is what was trained: stage by stage, from the adapter to the model that answers."""
