"""Polish: selected replicas moved a little, until their statistics are nearer to the prior's."""
