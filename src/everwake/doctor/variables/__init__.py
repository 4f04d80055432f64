"""Files of variables as texts: a parse that loses nothing, and how each program that reads such files understands them."""
