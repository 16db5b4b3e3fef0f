"""A first look at a data set: figures of each column, relations, suspects, candidates for the label."""
