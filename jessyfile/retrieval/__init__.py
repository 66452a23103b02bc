"""From answered rows to those nearest to a question, and the conversation that shows them to a model."""
