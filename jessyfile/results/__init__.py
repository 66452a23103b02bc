"""The results of steps as types: the facts of every step, a criterion's outcome, and how both are read back."""
