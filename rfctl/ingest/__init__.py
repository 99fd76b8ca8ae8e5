"""HTTP in: a request is verified, read, stored, and only then answered."""
