"""To come."""
def is_url(source): return "://" in source
