"""The keeper over HTTP: the page, the API, live events, metrics. It shows what the keeper does and decides nothing."""
