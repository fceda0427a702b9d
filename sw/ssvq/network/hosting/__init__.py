"""What runs on the core and what on the host, and running both."""
