"""From any FROM to a model folder, its tokenizer and its chat format."""
