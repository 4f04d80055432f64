"""One file for each remedy: what it would do in a case, what it costs, what would prove it. A file is found by being here."""
