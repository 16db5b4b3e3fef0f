"""Why a model says what it says, asked of its file alone.

sheet.py       rows as a matrix that any method can mix, and back to what the graph is fed
subject.py     what is explained: strangeness, or the chance of a class
sampling.py    rows drawn from a table
shapley.py     SHAP, of a row and over many
lime.py        a plain model around one row
importance.py  what is lost when a column is shuffled
partial.py     what the model says as one column goes through its values
charts.py      the same as ECharts options
explain.py     the way through
"""
