"""DGLAP evolution of parton densities given at one scale, by the operators of eko."""
