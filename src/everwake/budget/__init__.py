"""Free instance hours: what is used, when they run out, who is kept awake when."""
