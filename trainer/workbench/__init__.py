"""The workbench: anomaly detection on any table, from a file somebody has to a model that says why.

A table goes through the folders in this order:

    datasets/    a file, a database, captures -> one Parquet file with its description; a first look at it
    settings.py  what an experiment is asked to do, complete and hashable; also as YAML
    rows/        the table as columns, split into roles, encoded as numbers
    candidates/  the models that compete, one contract
    contest/     the run itself: fit, judge, compare, choose; it can be cut off anywhere and goes on where it was
    networks/    candidates that are Keras networks
    files/       a fitted candidate as one ONNX file with its preprocessing
    prediction/  new rows through such a file
    explanation/ why a model says what it says
    promotion/   what leaves: a model as a script, the check that a run can be done again, models for agents

Everything a person sees of a run is a JSON file in the run's folder; whoever shows it needs nothing of this room.
"""
