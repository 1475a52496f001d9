"""Other people's AdEMAMix optimizers, where one needs more than a line of the registry."""
