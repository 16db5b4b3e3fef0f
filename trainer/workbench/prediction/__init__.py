"""New rows through a model file, in this order.

incoming.py  a file, a pasted table or one row -> batches of columns
schema.py    which of its columns are the model's, and what is said of the rest
cells.py     a batch of those columns -> what the graph is fed, counting what was odd
opened.py    the model file: asked with columns, answers with prediction, score and chance
reasons.py   why a row scores as it does
summary.py   what is said of all rows together
predict.py   the way through, in bounded memory
download.py  the rows as CSV that no spreadsheet runs
"""
