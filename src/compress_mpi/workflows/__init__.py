"""One file per runcard task: where configuration, communicator, files and numerics meet."""
