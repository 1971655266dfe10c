"""Files: runcards, PDF sets, results."""
