"""Measure speed: timer, sampler, statistics, roofline, telemetry."""
