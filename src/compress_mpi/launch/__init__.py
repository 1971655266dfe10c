"""Run a stage of a workflow elsewhere: in a process of its own, or as a job of a scheduler."""
