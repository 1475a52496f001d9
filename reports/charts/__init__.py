"""The charts of a report: what they show, how they are drawn on matplotlib's axes, and the same in words."""
