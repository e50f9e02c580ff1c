"""StyleSync in training: G, its sync network, and P."""
