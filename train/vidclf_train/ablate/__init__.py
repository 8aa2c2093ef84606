"""The paper's ablations, repeated with several seeds on a dataset that has its splits."""
