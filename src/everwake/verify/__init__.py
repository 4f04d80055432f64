"""Is a service alive? The seven criteria, judged from what was seen."""
