"""Selection of the replicas that reproduce a prior: estimators, error function, minimisers."""
