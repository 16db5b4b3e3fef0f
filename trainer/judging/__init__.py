"""What a model is worth: evaluation, frozen sets, the gate, reports."""
