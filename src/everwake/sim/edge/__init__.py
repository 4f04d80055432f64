"""The edge: what answers for a service to the outside, asleep or awake."""
