"""The contest: candidates fitted one after the other on the same rows, judged alike, the best of them kept."""
