"""Several values of a recipe's settings tried side by side: every point is an ordinary apply that ends at the training, so what they share
runs once; none of them is promoted.

grid      what `--over` says -> the points
measure   what a point is chosen by: never the suites that promote
noise     whether the best stands out from what another seed brings
run       the points one after the other, resumable
page      the table and the plot as HTML
"""
