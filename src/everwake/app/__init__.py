"""The composition root: from what a person asked for to a running system. The only folder that knows everyone."""
