"""One question, thought about once or several times: each iteration is a generation that yields a draft."""
