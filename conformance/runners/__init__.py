"""Run the suite elsewhere than in one pytest: on a GPU machine, on a Ray cluster."""
