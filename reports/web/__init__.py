"""The same report as one HTML file: nothing is fetched, nothing of a record can act, and it reads without its script."""
