"""What people say and what may be learnt from it: verdicts, quarantine, frozen sets, the review queue."""
