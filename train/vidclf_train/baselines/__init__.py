"""What the trained classifiers are compared with: the two baselines of the paper."""
