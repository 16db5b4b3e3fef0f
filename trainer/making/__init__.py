"""From dealt rows to one model file: choice, teaching, calibration, soundness, export."""
