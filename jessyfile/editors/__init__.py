"""Recipe -> editors: language server, completion, hover, TextMate and Pygments grammars, the written reference."""
