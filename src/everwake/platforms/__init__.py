"""Who runs services, through their APIs: one file per platform."""
