"""The workbench: data sets, experiments and predictions of any table; the trainer does the work, this room keeps it."""
